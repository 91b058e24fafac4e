"""What takes long to make, cached between runs: data sets as they were read, words as they were cut.

An entry is a folder named by a digest of all that its content depends on, so a changed input has another
entry. It is written beside its place and moved there whole, so several processes at once, or a kill, leave
an entry complete or absent. A damaged entry is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_MOST_ENTRIES = 64  # of more, those unused for longest go
_MANIFEST = "manifest.json"
PACKAGE = Path(__file__).parents[1]


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
    """A digest of a package's readers and of what cuts text into words and pieces, at any depth."""
    folders = [path for name in ("data", "text") for path in (package / name).rglob("*.py")]
    return digest(*(path.read_bytes() for path in sorted([*folders, package / "schema.py"])))


@cache
def code_digest() -> str:
    """The digest of this package's sources: their changes change results."""
    return sources_digest(PACKAGE)


def tree_state(folder: Path) -> list[tuple[str, int, int]]:
    """(path, size, time of change in ns) of every file under a folder: what tells that one was changed."""
    found = []
    for root, _, files in os.walk(folder, followlinks=True):
        for name in files:
            path = Path(root, name)
            try:
                status = path.stat()
            except OSError:
                continue  # a link to nowhere; whoever needs it will say so
            found.append((str(path), status.st_size, status.st_mtime_ns))
    return sorted(found)


def cached(
    kind: str, key: str, make: Callable[[], T], write: Callable[[T, Path], None], read: Callable[[Path], T]
) -> T:
    """What `make` gives, from the cache if it is there.

    Args:
      kind: a folder of its own for this kind of entries.
      key: a digest of all that the result depends on.
      write: puts a result into an empty folder; `read` gets it back.

    A cache that is not there or cannot be written (no room, no right) is no error: the result is made each time.
    """
    folder = user_cache()
    if folder is None:
        return make()
    entry = folder / kind / key
    if os.path.isdir(entry):  # `Path.is_dir` raises where the folder may not be entered
        try:
            _check(entry)
            value = read(entry)
            with suppress(OSError):  # another user's
                os.utime(entry)
            return value
        except Exception:  # whatever is wrong with an entry, it can be made again
            shutil.rmtree(entry, ignore_errors=True)
    value = make()
    temporary = entry.with_name(f".{key}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.mkdir(parents=True)
        write(value, temporary)
        (temporary / _MANIFEST).write_text(json.dumps(_files(temporary)))
        temporary.rename(entry)  # fails where another process was first: its entry is as good
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
    _prune(entry.parent)
    return value


def _files(entry: Path) -> Mapping[str, str]:
    return {
        path.name: hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        for path in sorted(entry.iterdir())
        if path.name != _MANIFEST
    }


def _check(entry: Path) -> None:
    if json.loads((entry / _MANIFEST).read_text()) != _files(entry):
        raise ValueError(f"{entry}: damaged")


def _prune(folder: Path) -> None:
    try:
        entries = [p for p in folder.iterdir() if not p.name.startswith(".")]
        for path in sorted(entries, key=lambda p: p.stat().st_mtime)[:-_MOST_ENTRIES]:
            shutil.rmtree(path, ignore_errors=True)
    except OSError:
        return  # another process is pruning, or there is no cache
