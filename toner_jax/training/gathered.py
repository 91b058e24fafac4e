"""Checkpoints of processes that share no file system: the first writes whole arrays, and gives all what it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import numpy as np

from toner_jax.parallel import processes
from toner_jax.parallel.exchange import array_of_first, whole_on_first

if TYPE_CHECKING:
    from toner_jax.training.checkpoint import Checkpoints

    AnyCheckpoints: TypeAlias = "Checkpoints | GatheredCheckpoints"


class GatheredCheckpoints:
    """As `Checkpoints`, whose files the first process alone reads and writes; each asks at the same place."""

    def __init__(self, open_own: Callable[[], Checkpoints]):
        """`open_own`: called by the first process.

        Raises:
          UserError: as it does.
        """
        self._opened: list[Checkpoints] = []
        processes.on_first(lambda: self._opened.append(open_own()))

    @property
    def _own(self) -> Checkpoints:
        return self._opened[0]

    def __enter__(self) -> GatheredCheckpoints:
        if self._opened:
            self._own.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            processes.on_first(lambda: self._own.__exit__(None, None, None))
        elif self._opened:
            self._own.__exit__(kind, error, traceback)

    def save(self, step: int, state: Any, record: Mapping[str, Any]) -> None:
        """As `Checkpoints.save`, of arrays that the first process gathers before this returns."""
        whole = whole_on_first(state)
        processes.on_first(lambda: self._own.save(step, whole, record))

    def wait(self) -> None:
        processes.on_first(lambda: self._own.wait())

    def latest_good(self) -> int | None:
        return processes.on_first(lambda: self._own.latest_good())

    def record(self, step: int) -> dict[str, Any]:
        return processes.on_first(lambda: self._own.record(step))

    def restore(self, step: int, like: Any) -> Any:
        return self._given(lambda whole: self._own.restore(step, whole), like)

    def restore_params(self, step: int, like: Any) -> Any:
        return self._given(lambda whole: self._own.restore_params(step, whole), like)

    def _given(self, read: Callable[[Any], Any], like: Any) -> Any:
        """What the first process reads as numpy arrays, placed as `like` is on all."""
        found: list[Any] = []
        processes.on_first(lambda: found.append(read(jax.tree.map(_unplaced, like))))
        leaves = jax.tree.leaves(found[0]) if found else None
        targets, tree = jax.tree.flatten(like)
        placed = []
        for i, target in enumerate(targets):
            whole = array_of_first(leaves[i] if leaves else None, target.shape, np.dtype(target.dtype))
            placed.append(jax.make_array_from_callback(target.shape, target.sharding, whole.__getitem__))
        return jax.tree.unflatten(tree, placed)


def open_checkpoints(
    directory: Path,
    keep: int = 2,
    read_only: bool = False,
    committed: Callable[[], None] = lambda: None,
) -> AnyCheckpoints:
    """The checkpoints of a stage, as this job's processes can reach them; arguments as of `Checkpoints`."""
    # Of Orbax, which a model that was saved does without: its import takes a while.
    from toner_jax.training.checkpoint import Checkpoints

    if processes.share_files():
        return Checkpoints(directory, keep, read_only, committed)
    return GatheredCheckpoints(lambda: Checkpoints(directory, keep, read_only, committed, alone=True))


def _unplaced(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
