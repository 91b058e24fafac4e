"""The work directory: its splits, its lock, and whether it can be written."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax
from filelock import FileLock, Timeout

from toner_jax.common.files import describe_failure, is_full, is_over, naming, remove, why_unwritable
from toner_jax.errors import UserError

_LOCK = ".lock"
_SCRATCH = "toner_jax-setup-"
_PROBE = ".write-"
_OWNER = ".owner"  # a file beside it: on Windows, nobody else may read a file that is locked


def split_path(workdir: Path, split: str) -> Path:
    """Where a work directory keeps a split as it was read."""
    return workdir / "data" / f"{split}.jsonl"


def read_report(workdir: Path, split: str) -> dict[str, Any] | None:
    """The report of a run on a split; None where there is none yet."""
    path = workdir / "report" / f"{split}.json"
    if not path.is_file():
        return None
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error})") from error
    return report


@contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Keeps a second run off the work directory; the lock goes with the process, however it ends.

    Raises:
      UserError: another run holds it, or its file system has no locks.
    """
    lock, owner = FileLock(workdir / _LOCK), workdir / _OWNER
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{workdir}: another run (process {_read_owner(owner)}) is at work there; wait for it or choose another "
            "workdir"
        ) from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and is_full(error):
            raise UserError(describe_failure(error, workdir / _LOCK)) from error
        raise UserError(f"{workdir / _LOCK}: cannot be locked ({error}); choose another workdir") from error
    try:
        with naming(owner):
            owner.write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def is_at_work(workdir: Path) -> bool:
    """Whether a run is at work there, as far as this machine knows."""
    process = _read_owner(workdir / _OWNER)
    return process.isdecimal() and not is_over(process)


def remove_leftovers(workdir: Path) -> None:
    """Removes temporary files that a killed run has left behind; to be called under the lock, so that they are
    nobody's."""
    for path in (*workdir.rglob(".*.tmp"), *workdir.glob(f"{_PROBE}*")):
        if is_over(path.name.removesuffix(".tmp").removeprefix(_PROBE).rpartition(".")[2]):
            remove(path)


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder, where what has to be made before it is known that a run may begin is made."""
    with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-") as made:
        yield Path(made)


def remove_scratch() -> None:
    """Removes the folders of `scratch` whose processes are no more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        if is_over(folder.name.removeprefix(_SCRATCH).split("-")[0]):
            remove(folder)  # another user's stays


def _read_owner(path: Path) -> str:
    with suppress(OSError, ValueError):
        return str(int(path.read_text(encoding="utf-8")))
    return "unknown"


def check_writable(workdir: Path) -> None:
    """Makes sure that the work directory is there or can be created, without creating it.

    Raises:
      UserError: it or a folder above it is a file, or read-only.
    """
    if reason := why_unwritable(workdir):
        raise _unwritable(workdir, reason)


def check_shared(workdir: Path, written: str, patience: float = 60.0) -> None:
    """Makes sure that this process sees the work directory that the first one writes.

    Args:
      written: the name of a file that the first has written.
      patience: seconds that its file system is given.

    Raises:
      UserError: it does not.
    """
    until = time.monotonic() + patience
    while not workdir.is_dir() or written not in os.listdir(workdir):
        if time.monotonic() > until:
            raise UserError(
                f"{workdir}: process {jax.process_index()} does not see what process 0 has written there; choose a "
                "work directory on a file system that all of them share, or set processes.share_files=false"
            )
        time.sleep(0.2)


def prepare_workdir(workdir: Path) -> None:
    """Creates the work directory and makes sure that it can be written.

    Raises:
      UserError: it is a file, or read-only.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        probe = workdir / f"{_PROBE}{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        if is_full(error):
            raise UserError(describe_failure(error, workdir)) from error
        raise _unwritable(workdir, error.strerror) from error


def _unwritable(workdir: Path, reason: object) -> UserError:
    return UserError(f"{workdir}: cannot be written ({reason}); choose another workdir")
