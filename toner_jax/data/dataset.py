"""A data set in memory, and as text for the cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from toner_jax.data.repairs import Repairs
from toner_jax.data.sentences import dump_sentences, parse_sentences
from toner_jax.schema import Schema, Sentence
from toner_jax.text.words import AUTO


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


def dump_dataset(dataset: Dataset) -> str:
    """A data set as lines: its sentences follow one of all the rest."""
    rest = {
        "schema": dataset.schema.to_json(),
        "sentences": {split: len(sentences) for split, sentences in dataset.splits.items()},
        "repairs": {split: repairs.to_json() for split, repairs in dataset.repairs.items()},
        "schemes": {split: repairs.scheme for split, repairs in dataset.repairs.items()},
        "notes": dataset.notes,
        "edges": dataset.edges,
    }
    return "".join([json.dumps(rest), "\n", *map(dump_sentences, dataset.splits.values())])


def parse_dataset(text: str) -> Dataset:
    """Reads what `dump_dataset` gave."""
    lines = iter(text.splitlines())
    rest = json.loads(next(lines))
    return Dataset(
        Schema.from_json(rest["schema"]),
        {
            split: tuple(parse_sentences(islice(lines, count), split))
            for split, count in rest["sentences"].items()
        },
        {split: Repairs(places, rest["schemes"][split]) for split, places in rest["repairs"].items()},
        tuple(rest["notes"]),
        rest["edges"],
    )
