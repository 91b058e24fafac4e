"""What the processes of a job give each other: flags, arrays, and what each has made of its share of the work.

All of them call the same function at the same place in the program; a process alone does all of it.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from toner_jax.parallel.processes import is_first, on_first, several
from toner_jax.parallel.watch import job

T = TypeVar("T")

_CHUNK = 1 << 26  # bytes that are sent at a time


def any_of(flag: bool) -> bool:
    """Whether it is true on some process."""
    if not several():
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))


def on_host(tree: Any) -> Any:
    """Arrays as numpy has them, whole on every process."""
    return jax.tree.map(_whole, tree) if several() else jax.device_get(tree)


def whole_on_first(tree: Any) -> Any:
    """As `on_host` on the first process; None for every array on the others."""
    keep = is_first()

    def gathered(leaf: Any) -> Any:
        whole = _whole(leaf)
        return whole if keep else None

    return jax.tree.map(gathered, tree)


def _whole(leaf: Any) -> Any:
    split = isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated)
    return multihost_utils.process_allgather(leaf, tiled=True) if split else np.asarray(leaf)


def share(count: int) -> range:
    """Which of `count` things are this process's to do: neighbours, as many as every other has."""
    index, processes = job().process_id, job().num_processes
    return range(index * count // processes, (index + 1) * count // processes)


def by_share(do: Callable[[int], T], count: int) -> list[T]:
    """`do(i)` of i = 0 … `count` − 1, each of them done by one process and told to the others."""
    return [done for own in of_all([do(i) for i in share(count)]) for done in own]


def filled(own: Sequence[T | None]) -> list[T]:
    """What each process has made of some of the same things, None of the rest: all of it, on every process. Each thing
    is made by one of them at least."""
    found: dict[int, T] = {}
    for made in of_all({i: value for i, value in enumerate(own) if value is not None}):
        found |= made
    return [found[i] for i in range(len(own))]


def of_all(value: T) -> list[T]:
    """What every process has, in their order; of anything that pickle holds, as all run the same code."""
    if not several():
        return [value]
    data = pickle.dumps(value)
    sizes = multihost_utils.process_allgather(np.array(len(data)))
    padded = np.zeros(_room(int(sizes.max())), np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    rows = multihost_utils.process_allgather(padded)
    return [pickle.loads(row[:size].tobytes()) for row, size in zip(rows, sizes.tolist(), strict=True)]


def of_first(make: Callable[[], bytes]) -> bytes:
    """Bytes that the first process makes, on all of them.

    Raises:
      UserError: as `make`, on the first process; the others end quietly.
    """
    if not several():
        return make()
    made = b""

    def do() -> int:
        nonlocal made
        made = make()
        return len(made)

    size = on_first(do)
    return _sent(np.frombuffer(made, np.uint8), size).tobytes()


def array_of_first(array: np.ndarray | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """An array that the first process has, on all of them, to the last bit; the others give its shape and dtype."""
    size = math.prod(shape) * dtype.itemsize
    own = np.zeros(0, np.uint8) if array is None else np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return _sent(own, size).view(dtype).reshape(shape)


def _sent(own: np.ndarray, size: int) -> np.ndarray:
    """So many bytes of the first process, uint8 [size]; of the others, `own` is not looked at. They are sent as bytes,
    since what is sent is a sum with zeros: of −0.0 and 0.0 it is another number."""
    out, first = np.empty(size, np.uint8), is_first()
    for start in range(0, size, _CHUNK):
        count = min(_CHUNK, size - start)
        padded = np.zeros(_room(count), np.uint8)
        if first:
            padded[:count] = own[start : start + count]
        out[start : start + count] = np.asarray(multihost_utils.broadcast_one_to_all(padded))[:count]
    return out


def _room(size: int) -> int:
    """A size of few, as a program is compiled for each."""
    return 1 << max(10, (size - 1).bit_length())
