"""The programs of a training's steps, one for each shape of its batches, compiled side by side."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import jax
from jax.sharding import Mesh

from toner_jax.common.console import Compilations
from toner_jax.parallel.mesh import on_cpu, shard_batch
from toner_jax.parallel.runtime import cores
from toner_jax.pipeline.batching import HostBatch, Shape
from toner_jax.training.state import State

_MOST = 8  # compiled at once, each of which may take gigabytes of the host's memory


class Programs:
    """A training's programs. All are begun at once, in the order in which they are needed, as far as there are cores.

    On accelerators the training takes its first steps as soon as the program of their shape is there. A CPU computes
    them on the cores that compile: there the first step waits for all programs, so that no step's time holds a
    compilation.

    Leaving it as a context gives up the programs that are not begun.
    """

    def __init__(self, title: str, step: Any, state: State, batches: Iterable[HostBatch], mesh: Mesh):
        """Args:
        title: of the training, for what is said.
        step: jitted, (state, device batch) → (state, metrics).
        state: one of those that the step will be called with; only its shapes and shardings are used.
        batches: one of each shape, those first that are needed first.
        """
        examples = {batch.shape: shard_batch(batch.arrays, mesh) for batch in batches}
        state = jax.tree.map(_abstract, state)  # the steps give up the arrays themselves
        said = Compilations(title, examples)

        def compiled(shape: Shape) -> Any:
            with said.compiling(shape):
                return step.lower(state, examples[shape]).compile()

        self._pool = ThreadPoolExecutor(max(1, min(len(examples), cores(), _MOST)), "compile")
        self._begun: dict[Shape, Future[Any]] = {s: self._pool.submit(compiled, s) for s in examples}
        self._all_first = on_cpu(mesh)

    def __enter__(self) -> Programs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def ready(self, shape: Shape) -> bool:
        """Whether `of` will not wait."""
        return all(found.done() for found in self._needed(shape))

    def of(self, shape: Shape) -> Any:
        """The program, (state, device batch) → (state, metrics), once it is compiled.

        Raises:
          Exception: what the compiler has raised.
        """
        for found in self._needed(shape):
            found.result()
        return self._begun[shape].result()

    def _needed(self, shape: Shape) -> Iterable[Future[Any]]:
        return self._begun.values() if self._all_first else [self._begun[shape]]


def _abstract(x: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding, weak_type=x.weak_type)
