"""Orbax checkpoints of one stage: the latest ones, and the best.

A step directory holds the train state and a small JSON record (the step, the best so far). A save is
marked as best only when dev improved, so among marked steps the newest is the best.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from toner_jax.errors import UserError

logging.getLogger("absl").setLevel(logging.WARNING)  # Orbax reports every file it touches


class Checkpoints:
    """The checkpoints under one directory; a context manager that waits for pending saves."""

    def __init__(self, directory: Path, keep: int = 1, read_only: bool = False):
        self.directory = directory.absolute()
        if read_only and not self.directory.is_dir():
            raise UserError(f"{self.directory}: no checkpoints there; train the run first")
        policy = AnyPreservationPolicy(
            [
                LatestN(n=keep),
                BestN(get_metric_fn=lambda m: m["mark"], n=1, keep_checkpoints_without_metrics=False),
            ]
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy,
            cleanup_tmp_directories=not read_only,
            read_only=read_only,
            create=not read_only,
        )
        self._manager = ocp.CheckpointManager(self.directory, options=options)

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *_: Any) -> None:
        self._manager.close()

    def save(self, step: int, state: Any, record: Mapping[str, Any], best: bool = False) -> None:
        """Writes in the background; `best` marks the step as the best so far."""
        if step in self._manager.all_steps():
            return
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), record=ocp.args.JsonSave(dict(record))
            ),
            metrics={"mark": float(step)} if best else None,
        )

    def wait(self) -> None:
        """Returns when every save so far is on disk."""
        self._manager.wait_until_finished()

    def latest(self) -> int | None:
        return self._manager.latest_step()

    def steps(self) -> list[int]:
        return sorted(self._manager.all_steps())

    def record(self, step: int) -> dict[str, Any]:
        return dict(self._manager.restore(step, args=ocp.args.Composite(record=ocp.args.JsonRestore()))["record"])

    def restore(self, step: int, like: Any) -> Any:
        """The state of a step, as arrays with the shapes, dtypes and shardings of `like`.

        Raises:
          UserError: the step does not exist, or holds other shapes.
        """
        if step not in self._manager.all_steps():
            raise UserError(f"{self.directory}: no checkpoint of step {step}; there are {self.steps()}")
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        try:
            restored = self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target)))
        except (ValueError, KeyError, OSError) as error:
            reason = str(error).split("\n")[0][:200]
            raise UserError(f"{self.directory}/{step}: cannot be restored ({reason})") from error
        return restored["state"]

    def restore_params(self, step: int, like: Any) -> Any:
        """The parameters of a step alone, as arrays like `like`; optimizer moments are not read."""
        if step not in self._manager.all_steps():
            raise UserError(f"{self.directory}: no checkpoint of step {step}; there are {self.steps()}")
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, {"params": like})
        with ocp.PyTreeCheckpointer() as reader:
            arguments = ocp.checkpoint_utils.construct_restore_args(target)
            restored = reader.restore(
                self.directory / str(step) / "state",
                args=ocp.args.PyTreeRestore(item=target, restore_args=arguments, partial_restore=True),
            )
        return restored["params"]
