"""The work directory: its splits, its lock, and whether it can be written."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toner_jax.errors import UserError


def split_path(workdir: Path, split: str) -> Path:
    """Where a work directory keeps a split as it was read."""
    return workdir / "data" / f"{split}.jsonl"


@contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Keeps a second run off the work directory; the lock goes with the process, however it ends.

    Raises:
      UserError: another run holds it.
    """
    with (workdir / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise UserError(
                f"{workdir}: another run (process {owner}) is at work there; wait for it or choose another --workdir"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def prepare_workdir(workdir: Path) -> None:
    """Creates the work directory and makes sure that it can be written.

    Raises:
      UserError: it is a file, or read-only.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        probe = workdir / f".write-{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"{workdir}: cannot be written ({error.strerror}); choose another --workdir"
        ) from error
