"""Files written whole or not at all, their digests, paths as users write them, and what is said where a file fails."""

from __future__ import annotations

import errno
import glob
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import xxhash

_BLOCK = 1 << 24  # bytes read at a time

# What an error's number tells to do about it.
_MEND = {
    errno.ENOSPC: "make room there, and start the same command again",
    getattr(errno, "EDQUOT", errno.ENOSPC): "make room in your quota, and start the same command again",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f), or choose another disk",
}


def write_atomically(path: Path, content: str | bytes) -> None:
    """All of the text, as UTF-8, or of the bytes, or none of it, also after a kill.

    Raises:
      OSError: it cannot be written; the error names the file.
    """
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = unfinished(path, "tmp")
        try:
            if isinstance(content, str):
                temporary.write_text(content, encoding="utf-8")
            else:
                temporary.write_bytes(content)
            os.replace(temporary, path)
        except BaseException:
            remove(temporary)
            raise


def unfinished(path: Path, ending: str) -> Path:
    """Where this process writes what is to stand at a path once it is whole: a name that no file of a user's has."""
    return path.with_name(f".{path.name}.{os.getpid()}.{ending}")


def remove_leftovers(path: Path, ending: str) -> None:
    """Removes what processes that were killed have left `unfinished`."""
    for found in path.parent.glob(f".{glob.escape(path.name)}.*.{ending}"):
        process = found.name.removesuffix(f".{ending}").rpartition(".")[2]
        if is_over(process):
            remove(found)


def is_over(process: str) -> bool:
    """Whether a part of a file's name is the number of a process that is no more."""
    return process.isdecimal() and not psutil.pid_exists(int(process))


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there and as far as that may be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def copy_file(source: Path, target: Path) -> None:
    """Copies the contents; of a full disk the error names the target, where `shutil` names the source."""
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        if is_full(error):
            error.filename, error.filename2 = str(target), None
        raise


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Within, an OSError that names no file names this one: a write that fails does not say where."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def append_json(path: Path, entry: Any) -> None:
    """Adds a value to a file of JSON lines.

    Raises:
      OSError: it cannot be written; the error names it.
    """
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def is_full(error: OSError) -> bool:
    """Whether there was no room for what was to be written."""
    return error.errno in _MEND


def describe_failure(error: OSError, path: str | Path = "", mend: str = "") -> str:
    """An OSError in one line: the file, what is wrong, and where the disk is full what to do.

    Args:
      path: the file, if the error names none.
      mend: what to do about any other error.
    """
    name = path if error.filename is None else error.filename
    where = f"{os.fsdecode(name)}: " if isinstance(name, bytes | str | os.PathLike) and name else ""
    what = _MEND.get(error.errno or 0, mend)
    return f"{where}{error.strerror or error}{'; ' * bool(what)}{what}"


def why_unwritable(folder: Path) -> str:
    """Why a folder, which need not be there, cannot be written or made; "" if it can, as far as is told beforehand."""
    folder = folder.absolute()
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        return f"{folder} is no folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} is read-only"


def expanded(path: str | Path) -> Path:
    """The path with `~` as the home folder; as it is where there is no home, which `Path.expanduser` refuses."""
    return Path(os.path.expanduser(path))


def file_damage(path: Path, size: int, digest: str) -> str | None:
    """How a file differs from one of so many bytes with this xxh3: "missing", or what it has instead; None if it is
    the same."""
    if not path.is_file():
        return "missing"
    if path.stat().st_size != size:
        return f"{path.stat().st_size} bytes instead of {size}"
    return None if file_digest(path) == digest else "other contents than were written"


def file_digest(path: Path) -> str:
    """The xxh3 of a file's contents."""
    digest = xxhash.xxh3_64()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
