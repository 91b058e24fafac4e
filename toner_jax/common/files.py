"""Files written whole or not at all, their digests, and paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path

import xxhash

_BLOCK = 1 << 24  # bytes read at a time


def write_atomically(path: Path, text: str) -> None:
    """All of the text or none of it, also after a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def expanded(path: str | Path) -> Path:
    """The path with `~` as the home folder; as it is where there is no home, which `Path.expanduser` refuses."""
    return Path(os.path.expanduser(path))


def file_digest(path: Path) -> str:
    """The xxh3 of a file's contents."""
    digest = xxhash.xxh3_64()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
