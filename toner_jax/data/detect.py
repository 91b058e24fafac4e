"""Which format a file, a folder or a split is in, by looking at it: what `data.format=auto` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path

from toner_jax.common import reads
from toner_jax.data.dataset import Dataset
from toner_jax.data.find import SPLITS, candidates, data_folder, find_path, missing_split, several
from toner_jax.data.formats.format import Format, read_each
from toner_jax.data.formats.json_texts import refuse_other_data
from toner_jax.data.formats.sample import Sample
from toner_jax.data.options import DataOptions
from toner_jax.data.reading import Read, shown
from toner_jax.errors import UserError
from toner_jax.schema import Schema

Formats = Mapping[str, Format]


def detect(path: Path, formats: Formats, root: Path | None = None) -> str:
    """The first format that recognizes a file or a folder, or else one whose reader can say what is wrong in it.

    Args:
      root: the data folder, where the documents lie that a list names; None recognizes no list.

    Raises:
      UserError: it cannot be read, or no format recognizes it.
    """
    sample = Sample(path, root)
    name = _recognized(sample, formats) or _resembled(sample, formats)
    if name is not None:
        return name
    if not sample.is_folder and not sample.first:
        raise UserError(f"{path}: empty: it holds no sentence; check that this is the right file")
    found, first = "", f"; it begins with {shown(sample.first)}" if sample.first else ""
    if sample.records:
        refuse_other_data(sample.records[0], str(path))
        found, first = (
            f" (its records have the keys {', '.join(map(shown, list(sample.records[0])[:8]))})",
            "",
        )
    elif sample.is_binary:
        first = "; it is no plain UTF-8 text"
    known = ", ".join(name for name, format in formats.items() if format.recognizes)
    raise UserError(f"{path}: looks like no known format{found}; name its format, one of {known}{first}")


def _recognized(sample: Sample, formats: Formats) -> str | None:
    return next((n for n, format in formats.items() if format.recognizes and format.recognizes(sample)), None)


def _resembled(sample: Sample, formats: Formats) -> str | None:
    return next((n for n, format in formats.items() if format.resembles and format.resembles(sample)), None)


def locate_split(options: DataOptions, split: str, formats: Formats) -> tuple[str, Path | None]:
    """The format of a split and its path.

    The path is the first of the names in `data.<split>` that exists, a file or a folder. Without names, it is
    None where a format tells the splits of `data.dir` apart by itself, or else the one that some format
    recognizes among what is there under the formats' usual names.

    Raises:
      UserError: no data folder, nothing at any candidate, nothing that a format recognizes, or several.
    """
    root = data_folder(options)
    path = find_path(options, split, folders=True)
    if path is not None:
        return detect(path, formats, root), path
    for name, format in formats.items():
        if format.read_split and format.recognizes and format.recognizes(Sample(root)):
            return name, None
    names = candidates(options, split, _suffixes(formats))
    there = [path for path in (root / name for name in names) if reads.is_file(path) or reads.is_folder(path)]
    if not there:
        raise missing_split(options, split, _suffixes(formats))
    return _choose(there, split, formats, root)


def _choose(paths: Sequence[Path], split: str, formats: Formats, root: Path) -> tuple[str, Path]:
    """The format and the path of the only one of several paths that a format recognizes."""
    found: list[tuple[str, Path]] = []
    for path in paths:
        # One that is not JSON as it should be does not count beside another that is recognized.
        with suppress(UserError):
            if name := _recognized(Sample(path, root), formats):
                found.append((name, path))
    if len(found) > 1:
        (_, path), (_, other) = found[:2]
        raise several(path, other, split)
    return found[0] if found else (detect(paths[0], formats, root), paths[0])


def load_detected(options: DataOptions, splits: Sequence[str], formats: Formats) -> Dataset:
    """The splits, each in the format of what its files hold; all in one schema, and where none is named, in
    that of the training labels."""
    found = {split: locate_split(options, split, formats) for split in splits}  # shows all that is missing
    _refuse_shared(options, {split: path for split, (_, path) in found.items() if path}, formats)

    def read(split: str, schema: Schema | None, options: DataOptions) -> Read:
        if split not in found:
            found[split] = locate_split(options, split, formats)
        name, path = found[split]
        format = formats[name]
        if path is None:
            assert format.read_split is not None
            return format.read_split(schema, split, options)
        assert format.read is not None
        return format.read(path, schema, split, options)

    return read_each(options, splits, read)


def _refuse_shared(options: DataOptions, paths: Mapping[str, Path], formats: Formats) -> None:
    """Refuses one file or folder for two splits, asked for or not."""
    suffixes = _suffixes(formats)
    each = {s: paths.get(s) or find_path(options, s, suffixes, folders=True) for s in SPLITS}
    there = [(split, path) for split, path in each.items() if path]
    for (one, taken), (other, path) in combinations(there, 2):
        if reads.are_same(path, taken):
            raise UserError(f"{path}: data.{one} and data.{other} are the same file; give each its own")


def _suffixes(formats: Formats) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s for format in formats.values() for s in format.suffixes))
