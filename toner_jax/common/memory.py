"""Memory that runs out, of the host or of a device: said in one line that tells what to lower."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from toner_jax.errors import UserError

# XLA's status, and what drivers say that fail below it. A full disk has the same status.
_FULL = re.compile(r"RESOURCE_EXHAUSTED|OUT_OF_MEMORY|out of memory", re.IGNORECASE)
_DISK = re.compile(r"no space left|disk quota", re.IGNORECASE)
LESS_DATA = "give it less data, or a machine with more memory"  # what is to be done where data are read
_CGROUP = Path("/sys/fs/cgroup")  # of a container, which sees its own alone
_LONGEST = 160  # characters of the library's own words that are passed on


def available_bytes() -> int:
    """Memory of this host that is free to take, of the container's share where there is one."""
    free = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # "max" is no limit
        limit, used = (int((_CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        free = min(free, max(0, limit - used))
    return free


def out_of_memory(error: BaseException) -> str:
    """What ran out, in words, if the error is that of memory running out; "" for any other.

    JAX's error class is known by what it says: this package does without JAX.
    """
    if isinstance(error, MemoryError):
        return f"out of memory on the host{_detail(error)}"
    if not isinstance(error, RuntimeError | ValueError) or isinstance(error, UserError):
        return ""
    text = str(error)
    return (
        f"out of memory on the device{_detail(error)}"
        if _FULL.search(text) and not _DISK.search(text)
        else ""
    )


@contextmanager
def told_of_memory(doing: str, lower: str) -> Iterator[None]:
    """Within, running out of memory is the user's to mend.

    Args:
      doing: what is being done, for the message.
      lower: what needs less memory: "lower decode.batch_size".

    Raises:
      UserError: memory ran out.
    """
    try:
        yield
    except Exception as error:
        if what := out_of_memory(error):
            raise UserError(f"{doing}: {what}; {lower}") from error
        raise


def _detail(error: BaseException) -> str:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    said = re.sub(r"^[A-Z_]+: ", "", said)
    return f" ({said[:_LONGEST]}{'…' * (len(said) > _LONGEST)})" if said else ""
