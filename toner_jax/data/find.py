"""Where a config's splits lie on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from toner_jax.common.files import expanded
from toner_jax.data.options import DataOptions
from toner_jax.data.reading import read_lines
from toner_jax.errors import UserError

SPLITS = ("train", "dev", "test")
_STEMS = {"train": ("train",), "dev": ("dev", "validation", "valid"), "test": ("test",)}


def data_folder(options: DataOptions) -> Path:
    """The folder that `data.dir` names.

    Raises:
      UserError: it is not given or not there; the message tells which data to bring.
    """
    if not options.dir:
        raise missing(options, f"data.dir is empty: it names the folder that holds {options.name}")
    folder = expanded(options.dir)
    if not folder.is_dir():
        raise missing(options, f"{folder}: no such folder (data.dir)")
    return folder


def candidates(options: DataOptions, split: str, suffixes: Sequence[str] = ()) -> list[str]:
    """The names that `data.<split>` gives, in order of preference, or without any the usual ones with
    `suffixes`."""
    given = [name.strip() for name in getattr(options, split).split(",") if name.strip()]
    return given or [stem + suffix for stem in _STEMS[split] for suffix in suffixes]


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
    return next((p for p in paths if (files and p.is_file()) or (folders and p.is_dir())), None)


def find_paths(options: DataOptions, splits: Sequence[str], suffixes: Sequence[str]) -> dict[str, Path]:
    """Split → its file, for the splits asked for; no file may serve two splits, asked for or not.

    Args:
      suffixes: of files whose names the config does not give; "" where each split is a folder.

    Raises:
      UserError: a missing folder or file, or one file for two splits.
    """
    folder, in_folders = data_folder(options), "" in suffixes
    found: dict[str, Path] = {}
    for split in SPLITS:
        path = find_path(options, split, suffixes, files=not in_folders, folders=in_folders)
        if path is None:
            if split not in splits:
                continue
            names = " or ".join(candidates(options, split, suffixes))
            raise missing(
                options, f"{folder}: no {'folder' if in_folders else 'file'} {names} (data.{split})"
            )
        for other, taken in found.items():
            if path.samefile(taken):
                raise UserError(f"{path}: data.{other} and data.{split} are the same file; give each its own")
        found[split] = path
    return {split: found[split] for split in splits}


def missing(options: DataOptions, problem: str) -> UserError:
    """The error for absent data: the problem, and what `data.source` says to bring."""
    return UserError(f"{problem}. {options.source}" if options.source else problem)


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
