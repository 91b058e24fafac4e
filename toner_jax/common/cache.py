"""The user's cache: what takes long to make, on disk between runs.

An entry is a file named by a digest of what its content is made of and how. It is written beside its place and moved
there whole, so a kill at any moment leaves it complete or absent; one that is damaged counts as absent. Nobody else may
read the folder, and one that others may write to is not used. What is unused for longest goes when there is too much.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import xxhash
from filelock import FileLock, Timeout

from toner_jax.common.console import warn
from toner_jax.common.versions import installed

MOST_BYTES = 4 << 30  # of a kind of entries

_LOCK = ".lock"
_HALF_WRITTEN = ".tmp"
_LOCK_SECONDS = 10.0  # to wait for other processes; without the lock nothing is written
_DAY = 86_400.0
_CHECKSUM = 16  # bytes
PACKAGE = Path(__file__).parents[1]
_LIBRARIES = ("nltk", "regex", "sentencex", "spacy")  # that cut texts


def user_cache() -> Path | None:
    """The folder of this program's caches: `toner_jax` in $XDG_CACHE_HOME, or in ~/.cache. None where there is
    neither: a user that the system does not know, as in some containers, has no home."""
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "toner_jax"
    try:
        return Path.home() / ".cache" / "toner_jax"
    except RuntimeError:
        return None


def digest(*parts: Any) -> str:
    """A digest of JSON values (whatever JSON cannot hold counts by its string) and bytes."""
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True, default=str).encode()
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()


def sources_digest(package: Path) -> str:
    """A digest of a package's readers and of what cuts text into words, at any depth."""
    folders = [path for name in ("common", "data", "text") for path in (package / name).rglob("*.py")]
    return digest(
        *(path.read_bytes() for path in sorted([*folders, package / "schema.py", package / "atoms.py"]))
    )


@cache
def code_digest() -> str:
    """The digest of all code that data are read with: its changes change results."""
    versions = [f"{name} {version}" for name, version in installed(_LIBRARIES).items()]
    return digest(sources_digest(PACKAGE), [sys.version, *versions])


# The folder.


def private_folder(kind: str) -> Path | None:
    """The folder of a kind of entries, which nobody else may read, made if need be.

    None where there can be none: no home, no room, no right to write; or where it is not to be trusted, as another
    user may write there, which is said.
    """
    whole = user_cache()
    if whole is None:
        return None
    try:
        return whole / kind if _is_private(whole) and _is_private(whole / kind) else None
    except OSError:
        return None


@cache
def _is_private(folder: Path) -> bool:
    """Whether a folder, made if need be, is this user's alone; others may not even read it from now on."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name != "posix":
        return True
    problem = _problem(folder.stat())
    if problem:
        warn(
            f"{folder}: not used as a cache, as {problem}; remove it, or let XDG_CACHE_HOME name a folder of your own"
        )
    elif folder.stat().st_mode & 0o077:
        _shut(folder)
    return not problem


def _problem(status: os.stat_result) -> str:
    """Why what others put there may be taken for this user's own; "" where none can."""
    if status.st_uid != os.geteuid():
        return "it is another user's"
    return "others may write to it" if status.st_mode & 0o022 else ""


def _shut(folder: Path) -> None:
    """Takes the right to read from others. What they may write to is left to be refused if it is a folder, and goes
    if it is a file."""
    folder.chmod(0o700)
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if entry.is_symlink():
                    continue
                if entry.is_dir():
                    if not _problem(status):
                        _shut(Path(entry.path))
                elif _problem(status):
                    os.unlink(entry.path)
                else:
                    os.chmod(entry.path, 0o600)


# Entries.


def fetch(kind: str, key: str) -> bytes | None:
    """An entry, or None where it is absent, damaged, or cannot be read."""
    folder = private_folder(kind)
    if folder is None:
        return None
    _tidy_once(folder)
    try:
        with (folder / key).open("rb") as file:
            checksum, data = file.read(_CHECKSUM), file.read()
        if xxhash.xxh3_128_digest(data) != checksum:
            return None
        with suppress(OSError):  # where entries can be read alone
            os.utime(folder / key)  # used just now
        return data
    except OSError:
        return None


def store(kind: str, key: str, data: bytes) -> None:
    """Writes an entry, in place of an older one. What cannot be written (no room, no right, no locks) is not cached,
    and neither is what alone would be too much."""
    folder = private_folder(kind)
    if folder is None or len(data) > MOST_BYTES:
        return
    with suppress(OSError, Timeout, NotImplementedError), _locked(folder, _LOCK_SECONDS):
        _remove_half_written(folder)
        half = folder / f".{key}.{platform.node()}{_HALF_WRITTEN}"
        opened = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(opened, "wb") as file:
                file.write(xxhash.xxh3_128_digest(data))
                file.write(data)
            os.replace(half, folder / key)
        finally:
            half.unlink(missing_ok=True)
        trim(folder)


def _locked(folder: Path, seconds: float) -> FileLock:
    """Who writes or removes holds this lock. The system lets go of it when a process ends, however it ends: what is
    half written while one holds it has been left behind."""
    return FileLock(folder / _LOCK, timeout=seconds, mode=0o600)


@cache
def _tidy_once(folder: Path) -> None:
    """Removes what dead processes have left, once in this process; not while another one is writing."""
    with suppress(OSError, Timeout, NotImplementedError), _locked(folder, 0):
        _remove_half_written(folder)


def _remove_half_written(folder: Path) -> None:
    """Removes what dead processes have left, and what no entries are. Locks may not reach other machines: what one of
    them may be writing goes after a day."""
    for entry in _entries(folder):
        with suppress(OSError):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name.endswith(_HALF_WRITTEN):
                own = entry.name.endswith(f".{platform.node()}{_HALF_WRITTEN}")
                if own or time.time() - entry.stat().st_mtime > _DAY:
                    os.unlink(entry.path)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        yield from (entry for entry in found if entry.name != _LOCK)


def trim(folder: Path) -> None:
    """Removes the files of a folder that are unused for longest, until `MOST_BYTES` are left.

    Raises:
      OSError: the folder cannot be listed.
    """
    ages: list[tuple[float, int, str]] = []
    for entry in _entries(folder):
        with suppress(OSError):
            status = entry.stat(follow_symlinks=False)
            # Whoever does not say when it reads has it in the time of access, as far as the system keeps it.
            ages.append((max(status.st_mtime, status.st_atime), status.st_size, entry.path))
    left = MOST_BYTES - sum(size for _, size, _ in ages)
    for _, size, path in sorted(ages):
        if left >= 0:
            return
        with suppress(OSError):
            os.unlink(path)
            left += size
