"""A data set in memory, and as files of the cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toner_jax.data.repairs import Repairs
from toner_jax.data.sentences import dump_sentences, load_sentences
from toner_jax.schema import Schema, Sentence
from toner_jax.text.words import AUTO

_REST = "dataset.json"  # beside a file of sentences for each split


@dataclass(frozen=True)
class Dataset:
    """Annotated sentences by split.

    Attributes:
      schema: what every entity's type belongs to.
      splits: the splits that were asked for, in that order.
      repairs: per split, what reading repaired; empty where the file was clean.
      notes: what else is to be said about the data, a line each.
      edges: where entities of raw text begin and end, "atoms" or "words"; "auto" where no training data were read.
    """

    schema: Schema
    splits: Mapping[str, tuple[Sentence, ...]]
    repairs: Mapping[str, Repairs]
    notes: tuple[str, ...] = ()
    edges: str = AUTO


def write_dataset(dataset: Dataset, folder: Path) -> None:
    """Writes a data set into an empty folder, exactly."""
    rest = {
        "schema": dataset.schema.to_json(),
        "repairs": {split: repairs.to_json() for split, repairs in dataset.repairs.items()},
        "schemes": {split: repairs.scheme for split, repairs in dataset.repairs.items()},
        "notes": dataset.notes,
        "edges": dataset.edges,
    }
    (folder / _REST).write_text(json.dumps(rest))
    for split, sentences in dataset.splits.items():
        (folder / f"{split}.jsonl").write_text(dump_sentences(sentences), encoding="utf-8")


def read_dataset(folder: Path) -> Dataset:
    """Reads what `write_dataset` wrote."""
    rest = json.loads((folder / _REST).read_text())
    return Dataset(
        Schema.from_json(rest["schema"]),
        {split: tuple(load_sentences(folder / f"{split}.jsonl")) for split in rest["repairs"]},
        {split: Repairs(places, rest["schemes"][split]) for split, places in rest["repairs"].items()},
        tuple(rest["notes"]),
        rest["edges"],
    )
