"""The formats: every value of `data.format`. A new one is a reader and an entry here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from toner_jax.common import reads
from toner_jax.common.console import say
from toner_jax.common.memory import LESS_DATA, told_of_memory
from toner_jax.data.corpora.ace import read_ace, recognizes_ace
from toner_jax.data.corpora.ontonotes import read_ontonotes, recognizes_ontonotes
from toner_jax.data.dataset import Dataset
from toner_jax.data.detect import detect, load_detected
from toner_jax.data.find import (
    STEMS,
    MissingData,
    candidates,
    data_folder,
    find_path,
    given_names,
    missing,
)
from toner_jax.data.formats.brat import read_brat, recognizes_brat
from toner_jax.data.formats.columns import (
    TAG_SUFFIXES,
    read_columns,
    recognizes_columns,
    resembles_columns,
)
from toner_jax.data.formats.csv_columns import read_csv_columns, recognizes_csv
from toner_jax.data.formats.docbin import read_docbin, recognizes_docbin
from toner_jax.data.formats.doccano import read_doccano, recognizes_doccano
from toner_jax.data.formats.format import Format, file_format, read_each
from toner_jax.data.formats.hub import find_split, is_saved, open_hub, read_hub
from toner_jax.data.formats.json_shapes import read_json_shapes, recognizes_json_shapes
from toner_jax.data.formats.jsonl import read_jsonl, recognizes_jsonl
from toner_jax.data.formats.label_studio import read_label_studio, recognizes_label_studio
from toner_jax.data.options import DataOptions
from toner_jax.data.reading import Read
from toner_jax.data.repairs import Repairs
from toner_jax.errors import ParameterError, UserError
from toner_jax.schema import Schema, Sentence
from toner_jax.text.words import WORDS


def get_format(name: str) -> Format:
    """The format of a name.

    Raises:
      UserError: there is none.
    """
    if name not in FORMATS:
        raise ParameterError("data.format", repr(name), f"expected one of {', '.join(FORMATS)}")
    return FORMATS[name]


def are_ours() -> bool:
    """Whether every format is the package's own: what others read, and with which code, nobody can tell."""
    made = [
        getattr(function, "func", function)
        for format in FORMATS.values()
        for function in (format.load, format.read, format.recognizes, format.resembles, format.read_split)
    ]
    return all(function is None or function.__module__.startswith("toner_jax.") for function in made)


def format_of(path: Path, name: str) -> str:
    """The format to read one file or folder in: the one named, or what "auto" finds it to be.

    Raises:
      UserError: an unknown format, a path that is not there, a format that reads no single file or folder, or
        a path that no format recognizes.
    """
    format = get_format(name)
    if not reads.is_there(path):
        raise UserError(f"{path}: no such file or folder")
    if format.read is None:
        able = ", ".join(other for other, found in FORMATS.items() if found.read)
        raise UserError(
            f"{path}: the format {name!r} reads no single file or folder; name the one that it is in: {able}"
        )
    return detect(path, FORMATS) if name == "auto" else name


def said_format_of(path: Path, name: str) -> str:
    """As `format_of`, and says what "auto" found."""
    found = format_of(path, name)
    if name == "auto":
        say(f"{path.name}: detected format {found}")
    return found


def read_path(path: Path, name: str, schema: Schema | None, split: str, options: DataOptions) -> Read:
    """The sentences of one file or folder, wherever it lies.

    Args:
      name: its format; "auto" looks at it.
      schema: its names and tags are the labels that it may use; None leaves them as they are.
      split: begins the sentences' ids.
      options: how the format is to be read; where the data of a run lie does not matter.

    Raises:
      UserError: as `format_of` or the format's reader.
    """
    read = FORMATS[format_of(path, name)].read
    if read is None:
        raise TypeError(f"{name}: format_of gave a format without a reader of single files")
    with told_of_memory(f"{path}: reading it", LESS_DATA):
        return read(
            path, schema, split, replace(options, dir=str(path if reads.is_folder(path) else path.parent))
        )


def _auto(path: Path, schema: Schema | None, split: str, options: DataOptions) -> Read:
    return read_path(path, "auto", schema, split, options)


def _load_auto(options: DataOptions, splits: Sequence[str]) -> Dataset:
    return load_detected(options, splits, FORMATS)


def _columns(path: Path, schema: Schema | None, split: str, options: DataOptions) -> Read:
    token, tags = options.token_column, options.tag_columns
    return read_columns(
        path, schema, split=split, token_column=token, tag_columns=tags, tagging=options.tagging
    )


def _csv(path: Path, schema: Schema | None, split: str, options: DataOptions) -> Read:
    return read_csv_columns(path, schema, split, columns=options.columns, tagging=options.tagging)


def _json(path: Path, schema: Schema | None, split: str, options: DataOptions) -> Read:
    return read_json_shapes(path, schema, split, reading=options.reading)


def _label_studio(path: Path, schema: Schema | None, split: str, options: DataOptions) -> Read:
    columns, pretokenized, reading = options.columns, options.pretokenized, options.reading
    return read_label_studio(path, schema, split, columns=columns, pretokenized=pretokenized, reading=reading)


def _doccano(path: Path, schema: Schema | None, split: str, options: DataOptions) -> Read:
    return read_doccano(path, schema, split, pretokenized=options.pretokenized, reading=options.reading)


def _jsonl(path: Path, schema: Schema | None, split: str, options: DataOptions) -> Read:
    return read_jsonl(
        path,
        schema,
        split,
        pretokenized=options.pretokenized,
        reading=options.reading,
        tagging=options.tagging,
    )


def _brat(path: Path, schema: Schema | None, split: str, options: DataOptions) -> Read:
    pieces, pretokenized, reading = options.discontinuous, options.pretokenized, options.reading
    return read_brat(path, schema, split, discontinuous=pieces, pretokenized=pretokenized, reading=reading)


def _docbin(path: Path, schema: Schema | None, split: str, options: DataOptions) -> Read:
    return read_docbin(path, schema, split, span_group=options.span_group, reading=options.reading)


def _ontonotes(path: Path | None, schema: Schema | None, split: str, options: DataOptions) -> Read:
    root, genres, without = data_folder(options), options.genres, options.exclude_genres
    return read_ontonotes(path, schema, root=root, split=split, genres=genres, exclude_genres=without)


def _load_ontonotes(options: DataOptions, splits: Sequence[str]) -> Dataset:
    def read(split: str, schema: Schema | None, options: DataOptions) -> Read:
        return _ontonotes(find_path(options, split, folders=True), schema, split, options)

    return read_each(options, splits, read)


def _ace(path: Path, schema: Schema | None, split: str, options: DataOptions) -> Read:
    return read_ace(path, schema, root=data_folder(options), split=split, reading=options.reading)


def _load_ace(options: DataOptions, splits: Sequence[str]) -> Dataset:
    def read(split: str, schema: Schema | None, options: DataOptions) -> Read:
        path = find_path(options, split, folders=True)
        if path is None:
            names = " or ".join(candidates(options, split)) or "named"
            problem = f"no list of document ids, nor folder, {names} (data.{split})"
            raise missing(options, f"{data_folder(options)}: {problem}")
        return _ace(path, schema, split, options)

    return read_each(options, splits, read)


def _load_hub(options: DataOptions, splits: Sequence[str]) -> Dataset:
    if not options.dir:
        raise UserError("data.dir is empty: it names a data set of the Hugging Face hub, or its folder")
    opened = open_hub(options.dir, subset=options.subset, revision=options.revision)
    return read_each(options, splits, partial(_hub_split, opened))


def _hub_split(opened: Mapping[str, Any], split: str, schema: Schema | None, options: DataOptions) -> Read:
    given = given_names(options, split)
    name = find_split(opened, split, given)
    if name is None:
        names = " or ".join(given or STEMS[split])
        raise MissingData(f"{options.dir}: no split {names} (data.{split}); it has {', '.join(opened)}")
    where, tagging = f"{options.dir}: split {name}", options.tagging
    return read_hub(opened[name], schema, split, location=where, columns=options.columns, tagging=tagging)


def _saved_split(schema: Schema | None, split: str, options: DataOptions) -> Read:
    """A split of a folder of `save_to_disk`, `data.dir` itself."""
    return _hub_split(open_hub(options.dir), split, schema, options)


def _saved(path: Path, schema: Schema | None, split: str, options: DataOptions) -> Read:
    """All of a folder that `save_to_disk` wrote: one split, or those of a set, in their order."""
    sentences: list[Sentence] = []
    repairs = Repairs()
    for name, rows in open_hub(str(path)).items():
        where, tagging = f"{path}: split {name}", options.tagging
        prefix = split if len(sentences) == 0 else f"{split}-{name}"
        read = read_hub(rows, schema, prefix, location=where, columns=options.columns, tagging=tagging)
        sentences += read.sentences
        repairs.update(read.repairs)
    return Read(tuple(sentences), repairs)


def _load_generated(options: DataOptions, splits: Sequence[str]) -> Dataset:
    from toner_jax.data.corpora import generated
    from toner_jax.data.corpora.generated_types import FINE

    schema = FINE if options.generated.fine else generated.SCHEMA
    if options.schema not in ("", schema.name):
        raise ParameterError(
            "data.schema", repr(options.schema), "generated data brings its own schema; leave it empty"
        )
    sizes = {split: getattr(options.generated, split) for split in splits}
    made = generated.generate(options.generated.seed, sizes, fine=options.generated.fine)
    return Dataset(schema, {s: tuple(made[s]) for s in splits}, {s: Repairs() for s in splits}, edges=WORDS)


# Of several formats that recognize a file, the first is taken: those with a header or keys of their own come
# before the more general.
FORMATS: dict[str, Format] = {
    "auto": Format(_load_auto, _auto),
    "csv": file_format(_csv, (".csv",), recognizes_csv),
    "columns": file_format(
        _columns, (".txt", ".conll", ".tsv", *TAG_SUFFIXES), recognizes_columns, resembles_columns
    ),
    "json": file_format(_json, (".json", ".jsonl"), recognizes_json_shapes),
    "label_studio": file_format(_label_studio, (".json",), recognizes_label_studio),
    "doccano": file_format(_doccano, (".jsonl",), recognizes_doccano),
    "jsonl": file_format(_jsonl, (".jsonl", ".json"), recognizes_jsonl),
    "docbin": file_format(_docbin, (".spacy",), recognizes_docbin),
    "ontonotes": Format(
        _load_ontonotes, _ontonotes, recognizes=recognizes_ontonotes, read_split=partial(_ontonotes, None)
    ),
    "ace": Format(_load_ace, _ace, recognizes=recognizes_ace),
    "brat": file_format(_brat, ("",), recognizes_brat),
    "hub": Format(
        _load_hub, _saved, recognizes=lambda sample: is_saved(sample.path), read_split=_saved_split
    ),
    "generated": Format(_load_generated),
}
