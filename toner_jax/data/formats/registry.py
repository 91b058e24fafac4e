"""Formats of a file (or folder) a split: each one's reader, and what its files are usually called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from toner_jax.data.formats.brat import read_brat
from toner_jax.data.formats.columns import read_columns
from toner_jax.data.formats.csv_columns import read_csv_columns
from toner_jax.data.formats.docbin import read_docbin
from toner_jax.data.formats.doccano import read_doccano
from toner_jax.data.formats.json_shapes import read_json_shapes
from toner_jax.data.formats.jsonl import read_jsonl
from toner_jax.data.formats.label_studio import read_label_studio
from toner_jax.data.reading import Read
from toner_jax.schema import Schema


class Format(NamedTuple):
    """A format of files.

    Attributes:
      read: takes a file (of brat, a folder), a schema or None for the labels as they are, the split, and a
        config's `data` section, and reads from the latter what the format has options for.
      suffixes: of its files, in the order of preference; "" for a folder.
    """

    read: Callable[[Path, Schema | None, str, Any], Read]
    suffixes: tuple[str, ...]


def _columns(path: Path, schema: Schema | None, split: str, data: Any) -> Read:
    columns = {"token_column": data.token_column, "tag_columns": data.tag_columns}
    return read_columns(path, schema, split=split, **columns)


def _csv(path: Path, schema: Schema | None, split: str, data: Any) -> Read:
    return read_csv_columns(path, schema, split, columns=data.columns)


def _jsonl(path: Path, schema: Schema | None, split: str, data: Any) -> Read:
    return read_jsonl(path, schema, split, pretokenized=data.pretokenized)


def _brat(path: Path, schema: Schema | None, split: str, data: Any) -> Read:
    options = {"discontinuous": data.discontinuous, "pretokenized": data.pretokenized}
    return read_brat(path, schema, split, **options)


def _docbin(path: Path, schema: Schema | None, split: str, data: Any) -> Read:
    return read_docbin(path, schema, split)


def _label_studio(path: Path, schema: Schema | None, split: str, data: Any) -> Read:
    return read_label_studio(path, schema, split, pretokenized=data.pretokenized)


def _doccano(path: Path, schema: Schema | None, split: str, data: Any) -> Read:
    return read_doccano(path, schema, split, pretokenized=data.pretokenized)


def _json(path: Path, schema: Schema | None, split: str, data: Any) -> Read:
    return read_json_shapes(path, schema, split)


FORMATS: Mapping[str, Format] = {
    "columns": Format(_columns, (".txt", ".conll", ".tsv", ".iob2")),
    "csv": Format(_csv, (".csv",)),
    "json": Format(_json, (".json", ".jsonl")),
    "jsonl": Format(_jsonl, (".jsonl", ".json")),
    "brat": Format(_brat, ("",)),
    "docbin": Format(_docbin, (".spacy",)),
    "label_studio": Format(_label_studio, (".json",)),
    "doccano": Format(_doccano, (".jsonl",)),
}


def labels_of(path: Path, format: str, data: Any) -> dict[str, int]:
    """The labels that a file uses, as it spells them, by how often.

    Args:
      format: a key of `FORMATS`.
      data: a config's `data` section, for the format's options.

    Raises:
      UserError: as the format's reader.
    """
    return count_labels(FORMATS[format].read(path, None, "", data))


def count_labels(read: Read) -> dict[str, int]:
    """The types of the entities read, by how often."""
    counts: dict[str, int] = {}
    for sentence in read.sentences:
        for entity in sentence.entities:
            counts[entity.type] = counts.get(entity.type, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
