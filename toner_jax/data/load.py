"""From a config's `data` section to the sentences of its splits."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from toner_jax.common import cache
from toner_jax.data.corpora.ace import read_ace
from toner_jax.data.corpora.ontonotes import read_ontonotes
from toner_jax.data.corpora.schemas import BUILTIN, get_schema
from toner_jax.data.detect import detect_format
from toner_jax.data.find import (
    SPLITS,
    candidates,
    data_folder,
    find_path,
    find_paths,
    missing,
)
from toner_jax.data.formats.hub import SPLIT_NAMES, open_hub, read_hub
from toner_jax.data.formats.registry import FORMATS, Format, count_labels
from toner_jax.data.infer import infer_schema
from toner_jax.data.overlap import (
    carve_dev,
    describe_shared_sentences,
    named_documents,
    refuse_shared_documents,
)
from toner_jax.data.reading import Read
from toner_jax.data.sentences import dump_sentences, load_sentences
from toner_jax.errors import UserError
from toner_jax.schema import Schema, Sentence


@dataclass(frozen=True)
class Dataset:
    """Annotated sentences by split.

    Attributes:
      schema: what every entity's type belongs to.
      splits: the splits that were asked for, in that order.
      repairs: per split, what reading repaired: reason → times; empty where the file was clean.
      notes: what else is to be said about the data, a line each.
    """

    schema: Schema
    splits: Mapping[str, tuple[Sentence, ...]]
    repairs: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...] = ()


def load_dataset(data: Any, splits: Sequence[str] = SPLITS) -> Dataset:
    """Loads the splits that `data` describes.

    Args:
      data: the config's `data` section: `name`, `schema` (a built-in name or a file; "" for the
        one called `name`, or else inferred from the training labels), `format`, and what the format
        reads. Formats of files read `dir`, `train`, `dev`, `test` (comma-separated candidates, the
        first that exists; "" for usual names), `source` (what data to bring and from where, for the
        errors) and their options (`toner_jax.data.formats`); "ontonotes" also `genres` and
        `exclude_genres`; "auto" chooses a format for each split by what lies there (`detect_format`);
        "hub" reads `dir` (an id or a folder), `subset`, `revision`, `columns` and the splits' names in
        `train`, `dev`, `test`; "generated" reads `generated.seed` and the split sizes
        `generated.{train,dev,test}`. With `carve_dev`, dev is carved out of train if train's documents
        have ids.
      splits: which of train, dev and test to load.

    Raises:
      UserError: an unknown format or split, a missing folder or file, one file for two splits, a
        malformed file, or a document in two splits.
    """
    for split in splits:
        if split not in SPLITS:
            raise UserError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    # Generated data take less time to make than to read; the hub keeps its own.
    folder = Path(data.dir).expanduser()
    if not data.cache or data.format == "generated" or not (data.dir and folder.is_dir()):
        return _load_and_compare(data, splits)
    schema_file = Path(data.schema)
    key = cache.digest(
        data.to_dict(),
        list(splits),
        cache.code_digest(),
        cache.tree_state(folder),
        schema_file.read_bytes() if schema_file.is_file() else None,
    )
    return cache.kept("data", key, lambda: _load_and_compare(data, splits), _write, _read)


def _write(dataset: Dataset, folder: Path) -> None:
    rest = {"schema": dataset.schema.to_json(), "repairs": dataset.repairs, "notes": dataset.notes}
    (folder / "dataset.json").write_text(json.dumps(rest))
    for split, sentences in dataset.splits.items():
        (folder / f"{split}.jsonl").write_text(dump_sentences(sentences), encoding="utf-8")


def _read(folder: Path) -> Dataset:
    rest = json.loads((folder / "dataset.json").read_text())
    return Dataset(
        Schema.from_json(rest["schema"]),
        {split: tuple(load_sentences(folder / f"{split}.jsonl")) for split in rest["repairs"]},
        rest["repairs"],
        tuple(rest["notes"]),
    )


def _load_and_compare(data: Any, splits: Sequence[str]) -> Dataset:
    dataset = _load_carved(data, splits) if data.carve_dev else _load(data.format, data, splits)
    refuse_shared_documents(dataset.splits)
    shared = describe_shared_sentences(dataset.splits)
    return replace(dataset, notes=(*dataset.notes, shared)) if shared else dataset


def _load(format: str, data: Any, splits: Sequence[str]) -> Dataset:
    if format not in _FORMATS:
        raise UserError(f"data.format={format!r}: expected one of {', '.join(_FORMATS)}")
    return _FORMATS[format](data, splits)


def _load_carved(data: Any, splits: Sequence[str]) -> Dataset:
    """The splits with dev carved out of train, or as the files have them where train names no documents."""
    if not {"train", "dev"} & set(splits):
        return _load(data.format, data, splits)
    train = _load(data.format, data, ["train"])
    if not named_documents(train.splits["train"]):
        return _load(data.format, data, splits)
    rest, dev = carve_dev(train.splits["train"], data.carve_dev, data.carve_seed)
    others = [split for split in splits if split not in ("train", "dev")]
    found = _load(data.format, data, others) if others else train
    sentences = {**found.splits, "train": rest, "dev": dev}
    repairs = {**found.repairs, "train": train.repairs["train"], "dev": {}}
    note = f"dev: {data.carve_dev} documents carved out of train (data.carve_dev); data.dev is not read"
    return Dataset(train.schema, {s: sentences[s] for s in splits}, {s: repairs[s] for s in splits}, (note,))


def _load_ontonotes(data: Any, splits: Sequence[str]) -> Dataset:
    root = data_folder(data)

    def read(split: str, schema: Schema | None) -> Read:
        path = find_path(data, split, folders=True)
        return read_ontonotes(
            path, schema, root=root, split=split, genres=data.genres, exclude_genres=data.exclude_genres
        )

    return _read_each(data, splits, read)


def _load_ace(data: Any, splits: Sequence[str]) -> Dataset:
    root = data_folder(data)

    def read(split: str, schema: Schema | None) -> Read:
        path = find_path(data, split, folders=True)
        if path is None:
            names = " or ".join(candidates(data, split)) or "named"
            raise missing(data, f"{root}: no list of document ids, nor folder, {names} (data.{split})")
        return read_ace(path, schema, root=root, split=split)

    return _read_each(data, splits, read)


def _load_files(format: Format, data: Any, splits: Sequence[str]) -> Dataset:
    def read(split: str, schema: Schema | None) -> Read:
        path = find_paths(data, [split], format.suffixes)[split]
        return format.read(path, schema, split, data)

    find_paths(data, splits, format.suffixes)  # all that is missing shows before anything is read
    return _read_each(data, splits, read)


def _load_hub(data: Any, splits: Sequence[str]) -> Dataset:
    if not data.dir:
        raise UserError("data.dir is empty: it names a data set of the Hugging Face hub, or its folder")
    opened = open_hub(data.dir, subset=data.subset, revision=data.revision)

    def read(split: str, schema: Schema | None) -> Read:
        names = candidates(data, split) or SPLIT_NAMES[split]
        return read_hub(opened, names, schema, split, source=data.dir, columns=data.columns)

    return _read_each(data, splits, read)


def _read_each(data: Any, splits: Sequence[str], read: Callable[[str, Schema | None], Read]) -> Dataset:
    """The splits, with the schema that is named or that the training labels make."""
    if data.schema or data.name in BUILTIN:
        schema = get_schema(data.schema or data.name)
    else:
        schema = infer_schema(count_labels(read("train", None)), data.name)
    reads = {split: read(split, schema) for split in splits}
    return Dataset(
        schema,
        {split: r.sentences for split, r in reads.items()},
        {split: r.repairs for split, r in reads.items()},
    )


def _load_auto(data: Any, splits: Sequence[str]) -> Dataset:
    """Each split in the format of what lies at its place."""
    formats = {split: detect_format(data, split) for split in splits}
    parts = [
        _load(format, data, [s for s in splits if formats[s] == format])
        for format in dict.fromkeys(formats.values())
    ]
    sentences = {split: found for part in parts for split, found in part.splits.items()}
    repairs = {split: found for part in parts for split, found in part.repairs.items()}
    return Dataset(parts[0].schema, {s: sentences[s] for s in splits}, {s: repairs[s] for s in splits})


def _load_generated(data: Any, splits: Sequence[str]) -> Dataset:
    from toner_jax.data.corpora import generated

    if data.schema not in ("", generated.SCHEMA.name):
        raise UserError(f"data.schema={data.schema!r}: generated data brings its own schema; leave it empty")
    sizes = {split: getattr(data.generated, split) for split in splits}
    made = generated.generate(seed=data.generated.seed, sizes=sizes)
    return Dataset(generated.SCHEMA, {s: tuple(made[s]) for s in splits}, {s: {} for s in splits})


_FORMATS: Mapping[str, Callable[[Any, Sequence[str]], Dataset]] = {
    "auto": _load_auto,
    **{name: partial(_load_files, format) for name, format in FORMATS.items()},
    "ontonotes": _load_ontonotes,
    "ace": _load_ace,
    "hub": _load_hub,
    "generated": _load_generated,
}
