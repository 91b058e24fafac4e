"""From a config's `data` section to the sentences of its splits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toner_jax.data.formats import FORMATS, Format, count_labels
from toner_jax.data.hub import SPLIT_NAMES, open_hub, read_hub
from toner_jax.data.infer import infer_schema
from toner_jax.data.reading import Read
from toner_jax.data.schemas import BUILTIN, get_schema
from toner_jax.errors import UserError
from toner_jax.schema import Schema, Sentence

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Dataset:
    """Annotated sentences by split.

    Attributes:
      schema: what every entity's type belongs to.
      splits: the splits that were asked for, in that order.
      repairs: per split, what reading repaired: reason → times; empty where the file was clean.
    """

    schema: Schema
    splits: Mapping[str, tuple[Sentence, ...]]
    repairs: Mapping[str, Mapping[str, int]]


def load_dataset(data: Any, splits: Sequence[str] = SPLITS) -> Dataset:
    """Loads the splits that `data` describes.

    Args:
      data: the config's `data` section: `name`, `schema` (a built-in name or a file; "" for the
        one called `name`, or else inferred from the training labels), `format`, and what the format
        reads. Formats of files read `dir`, `train`, `dev`, `test` (comma-separated candidates, the
        first that exists; "" for usual names), `source` (what data to bring and from where, for the
        errors) and their options (`toner_jax.data.formats`); "hub" reads `dir` (an id or a folder),
        `subset`, `revision`, `columns` and the splits' names in `train`, `dev`, `test`; "generated"
        reads `generated.seed` and the split sizes `generated.{train,dev,test}`.
      splits: which of train, dev and test to load.

    Raises:
      UserError: an unknown format or split, a missing folder or file, one file for two splits, or a
        malformed file.
    """
    for split in splits:
        if split not in SPLITS:
            raise UserError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    if data.format not in _FORMATS:
        raise UserError(f"data.format={data.format!r}: expected one of {', '.join(_FORMATS)}")
    return _FORMATS[data.format](data, splits)


def _load_files(format: Format, data: Any, splits: Sequence[str]) -> Dataset:
    files = _find_files(data, splits, format.suffixes)

    def labels() -> Iterable[str]:
        train = _find_files(data, ["train"], format.suffixes)["train"]
        return count_labels(format.read(train, None, "train", data))

    schema = _schema(data, labels)
    return _dataset(schema, {split: format.read(path, schema, split, data) for split, path in files.items()})


def _load_hub(data: Any, splits: Sequence[str]) -> Dataset:
    if not data.dir:
        raise UserError("data.dir is empty: it names a data set of the Hugging Face hub, or its folder")
    opened = open_hub(data.dir, subset=data.subset, revision=data.revision)

    def read(split: str, schema: Schema | None) -> Read:
        names = _names(data, split) or SPLIT_NAMES[split]
        return read_hub(opened, names, schema, split, source=data.dir, columns=data.columns)

    schema = _schema(data, lambda: count_labels(read("train", None)))
    return _dataset(schema, {split: read(split, schema) for split in splits})


def _dataset(schema: Schema, reads: Mapping[str, Read]) -> Dataset:
    sentences = {split: read.sentences for split, read in reads.items()}
    return Dataset(schema, sentences, {split: read.repairs for split, read in reads.items()})


def _schema(data: Any, labels: Callable[[], Iterable[str]]) -> Schema:
    if data.schema or data.name in BUILTIN:
        return get_schema(data.schema or data.name)
    return infer_schema(labels(), data.name)


def _load_generated(data: Any, splits: Sequence[str]) -> Dataset:
    from toner_jax.data import generated

    if data.schema not in ("", generated.SCHEMA.name):
        raise UserError(f"data.schema={data.schema!r}: generated data brings its own schema; leave it empty")
    sizes = {split: getattr(data.generated, split) for split in splits}
    made = generated.generate(seed=data.generated.seed, sizes=sizes)
    return Dataset(generated.SCHEMA, {s: tuple(made[s]) for s in splits}, {s: {} for s in splits})


_FORMATS: Mapping[str, Callable[[Any, Sequence[str]], Dataset]] = {
    **{name: partial(_load_files, format) for name, format in FORMATS.items()},
    "hub": _load_hub,
    "generated": _load_generated,
}


_STEMS = {"train": ("train",), "dev": ("dev", "validation", "valid"), "test": ("test",)}


def _names(data: Any, split: str) -> list[str]:
    return [name.strip() for name in getattr(data, split).split(",") if name.strip()]


def _find_files(data: Any, splits: Sequence[str], suffixes: Sequence[str]) -> dict[str, Path]:
    """Split → its file, for the splits asked for; no file may serve two splits, asked for or not.

    Args:
      suffixes: of files whose name the config does not give; "" where each split is a folder.
    """

    def error(problem: str) -> UserError:
        return UserError(f"{problem}. {data.source}" if data.source else problem)

    if not data.dir:
        raise error(f"data.dir is empty: it names the folder that holds {data.name}")
    folder = Path(data.dir).expanduser()
    if not folder.is_dir():
        raise error(f"{folder}: no such folder (data.dir)")
    is_there = Path.is_dir if "" in suffixes else Path.is_file
    found: dict[str, Path] = {}
    for split in SPLITS:
        names = _names(data, split) or [stem + suffix for stem in _STEMS[split] for suffix in suffixes]
        path = next((folder / name for name in names if is_there(folder / name)), None)
        if path is None:
            if split not in splits:
                continue
            what = "folder" if is_there is Path.is_dir else "file"
            raise error(f"{folder}: no {what} {' or '.join(names)} (data.{split})")
        for other, taken in found.items():
            if path.samefile(taken):
                raise UserError(f"{path}: data.{other} and data.{split} are the same file; give each its own")
        found[split] = path
    return {split: found[split] for split in splits}
