"""What a format is: the type of the registry's entries, and how formats of files load their splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from toner_jax.data.corpora.schemas import BUILTIN, get_schema
from toner_jax.data.dataset import Dataset
from toner_jax.data.find import SPLITS, MissingData, find_paths
from toner_jax.data.formats.sample import Sample
from toner_jax.data.infer import infer_schema
from toner_jax.data.options import DataOptions
from toner_jax.data.reading import Read
from toner_jax.data.repairs import Repairs
from toner_jax.data.tags import PLAIN_SCHEME, USUAL_SCHEMES
from toner_jax.schema import Schema
from toner_jax.text.words import ATOMS, AUTO, WORDS

# Takes a file or a folder, a schema (None for the labels as they are), what begins the sentences' ids ("" for
# nothing), and the options, of which a format reads its own. Relative to `options.dir` lie the documents that
# a list names.
Reader = Callable[[Path, Schema | None, str, DataOptions], Read]
Loader = Callable[[DataOptions, Sequence[str]], Dataset]


@dataclass(frozen=True)
class Format:
    """A value of `data.format`.

    Attributes:
      load: reads the splits asked for, wherever the options say that they lie.
      read: reads one file or folder; None for formats that have no such thing.
      suffixes: of a split's file where `data.<split>` names none, in order of preference; "" for a folder.
      recognizes: whether a file or a folder is of this format, by its name and beginning; None never.
      resembles: whether its reader can say what is wrong with a file that no format recognizes; None never.
      read_split: reads a split of `options.dir` that nothing names, for formats that tell the splits of a folder
        apart by themselves; None for others.
    """

    load: Loader
    read: Reader | None = None
    suffixes: tuple[str, ...] = ()
    recognizes: Callable[[Sample], bool] | None = None
    resembles: Callable[[Sample], bool] | None = None
    read_split: Callable[[Schema | None, str, DataOptions], Read] | None = None


def file_format(
    read: Reader,
    suffixes: tuple[str, ...],
    recognizes: Callable[[Sample], bool] | None = None,
    resembles: Callable[[Sample], bool] | None = None,
) -> Format:
    """A format with a file, or where a suffix is "" a folder, for each split."""

    def load(options: DataOptions, splits: Sequence[str]) -> Dataset:
        def read_split(split: str, schema: Schema | None, options: DataOptions) -> Read:
            return read(find_paths(options, [split], suffixes)[split], schema, split, options)

        find_paths(options, splits, suffixes)  # all that is missing shows before anything is read
        return read_each(options, splits, read_split)

    return Format(load, read, suffixes, recognizes, resembles)


def read_each(
    options: DataOptions, splits: Sequence[str], read: Callable[[str, Schema | None, DataOptions], Read]
) -> Dataset:
    """The splits, with the schema that is named or that the labels of all splits make, asked for or not.

    Where the training data came as words, entities of raw text in the other splits begin and end at words, too, unless
    `data.edges` says otherwise: so will those that the trained model finds.

    Args:
      read: reads a split, with a schema or None for the labels as they are.
    """
    notes: tuple[str, ...] = ()
    if options.schema or options.name in BUILTIN:
        schema = get_schema(options.schema or options.name)
    else:
        schema = infer_schema(_labels(options, read), options.name)
        notes = _describe_joined(schema)
    reads: dict[str, Read] = {}
    for split in sorted(splits, key=lambda split: split != "train"):
        reads[split] = read(split, schema, options)
        if split == "train" and options.edges == AUTO:
            options = replace(options, edges=ATOMS if any(s.raw for s in reads[split].sentences) else WORDS)
    repairs = {split: reads[split].repairs for split in splits}
    sentences = {split: reads[split].sentences for split in splits}
    return Dataset(schema, sentences, repairs, (*notes, *_describe_schemes(repairs)), options.edges)


def _labels(options: DataOptions, read: Callable[[str, Schema | None, DataOptions], Read]) -> tuple[str, ...]:
    """The labels of all splits that are there; none where the training split has none, which teaches nothing."""
    labels = count_labels(read("train", None, options))
    for split in SPLITS if labels else ():
        if split != "train":
            with suppress(MissingData):
                labels |= count_labels(read(split, None, options))
    return tuple(labels)


def _describe_schemes(repairs: Mapping[str, Repairs]) -> tuple[str, ...]:
    """A line for tags that are not written as B-TYPE, or from which entities are read less surely."""
    found: dict[str, list[str]] = {}
    for split, its in repairs.items():
        found.setdefault(its.scheme, []).append(split)
    return tuple(
        f"tags of {', '.join(splits)}: {scheme}"
        + (
            "; labels without prefixes, so neighbours of one label are one entity"
            if scheme == PLAIN_SCHEME
            else ""
        )
        for scheme, splits in found.items()
        if scheme not in ("", *USUAL_SCHEMES)
    )


def _describe_joined(schema: Schema) -> tuple[str, ...]:
    """A line for labels of which several became one type."""
    joined = [f"{t.name} ({', '.join(t.tags)})" for t in schema.types if len(t.tags) > 1]
    return (f"labels read as one type: {'; '.join(joined)}",) if joined else ()


def count_labels(read: Read) -> dict[str, int]:
    """The types of the entities read, by how often."""
    counts: dict[str, int] = {}
    for sentence in read.sentences:
        for entity in sentence.gold:
            counts[entity.type] = counts.get(entity.type, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
