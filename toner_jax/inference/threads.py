"""How a CPU's cores are used: on each of them a call of a program of its own, where models are small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from jax.sharding import Mesh

from toner_jax.parallel.mesh import on_cpu
from toner_jax.parallel.processes import several
from toner_jax.parallel.runtime import cores

# What compiles a program for one thread of a CPU.
ONE_THREAD = {"xla_cpu_multi_thread_eigen": False, "xla_cpu_enable_concurrency_optimized_scheduler": False}
# The matrix products of a model narrower than this gain nothing from more threads.
_WIDTH = 512
_MOST = 16  # threads


def threads_for(mesh: Mesh, width: int) -> int:
    """How many calls, each by one thread, are best at work at once, for a model of this width; 1 on accelerators."""
    alone = mesh.size == 1 and not several()
    return min(cores(), _MOST) if alone and on_cpu(mesh) and width < _WIDTH else 1


Started = TypeVar("Started")
Found = TypeVar("Found")


def in_threads(
    start: Callable[[Any], Started], fetch: Callable[[Started], Found], groups: Sequence[Any], threads: int
) -> Iterator[Found]:
    """Starts and fetches every group, in order. With one thread, the next group is prepared while the device
    works on the last one."""
    if threads > 1:
        pool = ThreadPoolExecutor(threads)
        try:
            yield from pool.map(lambda group: fetch(start(group)), groups)
        finally:
            pool.shutdown(cancel_futures=True)
        return
    waiting: list[Started] = []
    for group in groups:
        waiting.append(start(group))
        if len(waiting) > 1:
            yield fetch(waiting.pop(0))
    yield from map(fetch, waiting)
