"""Where a config's splits lie on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from toner_jax.common import reads
from toner_jax.common.files import expanded
from toner_jax.data.options import DataOptions
from toner_jax.data.reading import read_lines
from toner_jax.errors import UserError

SPLITS = ("train", "dev", "test")
# What files, folders and the splits of hub sets are usually called.
STEMS: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "dev": ("dev", "validation", "valid", "devel", "development", "val", "testa"),
    "test": ("test", "testb"),
}


class MissingData(UserError):
    """There are no data, or a split is not among them."""


def data_folder(options: DataOptions) -> Path:
    """The folder that `data.dir` names.

    Raises:
      UserError: it is not given or not there; the message tells which data to bring.
    """
    if not options.dir:
        raise missing(options, f"data.dir is empty: it names the folder that holds {options.name}")
    folder = expanded(options.dir)
    if not reads.is_folder(folder):
        raise missing(options, f"{folder}: no such folder (data.dir)")
    return folder


def candidates(options: DataOptions, split: str, suffixes: Sequence[str] = ()) -> list[str]:
    """The names that `data.<split>` gives, in order of preference, or without any the usual ones with
    `suffixes`."""
    return given_names(options, split) or [stem + suffix for stem in STEMS[split] for suffix in suffixes]


def given_names(options: DataOptions, split: str) -> list[str]:
    """The names in `data.<split>`."""
    return [name.strip() for name in getattr(options, split).split(",") if name.strip()]


# Of files in any format: those of `formats.registry`, which stands above this module.
SUFFIXES = (
    ".csv", ".txt", ".conll", ".tsv", ".iob2", ".iob", ".bio", ".bmes", ".conllu", ".json", ".jsonl", ".spacy",
)  # fmt: skip


def missing_split(
    options: DataOptions, split: str, suffixes: Sequence[str], kind: str = "file"
) -> MissingData:
    """The error for a split of which nothing is there under its names."""
    names = given_names(options, split) or [*STEMS[split]]
    ends = [suffix for suffix in suffixes if suffix]
    found_as = f" with {' or '.join(ends)}" if ends and not given_names(options, split) else ""
    others = [] if given_names(options, split) else _others(data_folder(options), names)
    there = f"; there is {' and '.join(others)}: data.format=auto tells its form" if others else ""
    return missing(
        options, f"{data_folder(options)}: no {kind} {' or '.join(names)}{found_as} (data.{split}){there}"
    )


def _others(folder: Path, stems: Sequence[str]) -> list[str]:
    """Files of a split's usual names, with the suffixes of any format."""
    names = (f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES)
    return [name for name in names if reads.is_file(folder / name)]


def find_path(
    options: DataOptions,
    split: str,
    suffixes: Sequence[str] = (),
    *,
    files: bool = True,
    folders: bool = False,
) -> Path | None:
    """The first candidate of a split that exists: a file, or with `folders` also a folder.

    Raises:
      UserError: no data folder.
    """
    folder = data_folder(options)
    paths = (folder / name for name in candidates(options, split, suffixes))
    return next((p for p in paths if (files and reads.is_file(p)) or (folders and reads.is_folder(p))), None)


def find_paths(options: DataOptions, splits: Sequence[str], suffixes: Sequence[str]) -> dict[str, Path]:
    """Split → its file, for the splits asked for; no file may serve two splits, asked for or not.

    Args:
      suffixes: of files whose names the config does not give; "" where each split is a folder.

    Raises:
      UserError: a missing folder or file, several under usual names, or one file for two splits.
    """
    folder, in_folders = data_folder(options), "" in suffixes
    found: dict[str, Path] = {}
    for split in SPLITS:
        path = find_path(options, split, suffixes, files=not in_folders, folders=in_folders)
        if path is None:
            if split not in splits:
                continue
            raise missing_split(options, split, suffixes, "folder" if in_folders else "file")
        if split in splits and not given_names(options, split):
            _refuse_several(folder, split, suffixes, in_folders)
        for other, taken in found.items():
            if reads.are_same(path, taken):
                raise UserError(f"{path}: data.{other} and data.{split} are the same file; give each its own")
        found[split] = path
    return {split: found[split] for split in splits}


def _refuse_several(folder: Path, split: str, suffixes: Sequence[str], in_folders: bool) -> None:
    """Refuses several files under the usual names of a split, as dev.txt beside devel.txt."""
    paths = [folder / (stem + suffix) for stem in STEMS[split] for suffix in suffixes]
    there = [path for path in paths if (reads.is_folder if in_folders else reads.is_file)(path)]
    for path in there[1:]:
        if not reads.are_same(path, there[0]):
            raise several(there[0], path, split)


def several(path: Path, other: Path, split: str) -> UserError:
    """The error for two files of which each may be the split."""
    return UserError(
        f"{path} and {other.name} may both be {split}; name one with data.{split}={path.name} or {other.name}"
    )


def missing(options: DataOptions, problem: str) -> MissingData:
    """The error for absent data: the problem, and what `data.source` says to bring."""
    return MissingData(f"{problem}. {options.source}" if options.source else problem)


def read_document_list(path: Path) -> tuple[str, ...]:
    """The document ids of a list file, one a line; blank lines and what follows a tab do not count.

    Raises:
      UserError: the file cannot be read, lists nothing, or lists a document twice.
    """
    first_line: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), 1):
        name = line.split("\t")[0].strip()
        if not name:
            continue
        if name in first_line:
            raise UserError(f"{path}:{number}: document {name!r} stands on line {first_line[name]} already")
        first_line[name] = number
    if not first_line:
        raise UserError(f"{path}: empty: a list holds one document id a line")
    return tuple(first_line)


def check_all_found(path: Path, listed: Iterable[str], found: Iterable[str], folder: Path) -> None:
    """Refuses a list of documents that are not all there.

    Raises:
      UserError: naming the first missing document and how many there are.
    """
    listed = tuple(listed)
    absent = sorted(set(listed) - set(found), key=listed.index)
    if absent:
        raise UserError(
            f"{path}: {len(absent)} of its {len(listed)} documents are not in {folder}, the first is "
            f"{absent[0]!r}; bring the missing files or another list"
        )
