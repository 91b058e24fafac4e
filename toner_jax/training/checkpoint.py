"""Orbax checkpoints of one stage: the latest ones, and the best.

A step directory holds the train state and a small JSON record: the step, `best_step`, the metrics not
yet logged. A step without a manifest that matches (`toner_jax.training.manifests`) is never loaded; one that a
kill left half written is removed, and one whose manifest was lost is an error.
"""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import jax

from toner_jax.common.console import warn
from toner_jax.common.files import file_digest, write_atomically
from toner_jax.common.memory import out_of_memory
from toner_jax.errors import UserError
from toner_jax.parallel import processes
from toner_jax.parallel.sharding import path_string
from toner_jax.training.manifests import (
    BEGUN,
    DAMAGED,
    MANIFESTS,
    committed_steps,
    files_under,
    step_damage,
    without_manifest,
)
from toner_jax.training.preservation import LatestAndBest
from toner_jax.training.quiet_orbax import drop_tracebacks, ocp, without_orbax_messages


class Checkpoints:
    """The checkpoints under one directory; a context manager that waits for pending saves."""

    def __init__(
        self,
        directory: Path,
        keep: int = 2,
        read_only: bool = False,
        committed: Callable[[], None] = lambda: None,
        alone: bool = False,
    ):
        """Args:
          keep: how many of the latest steps are kept, besides the best.
          alone: whether the first process reads and writes whole arrays, and the others have no part in it.
          committed: called, in the background, whenever a step is committed.

        Raises:
          UserError: read-only, and there are none; or a step has lost its manifest.
        """
        self.directory = directory.absolute()
        self._committed = committed
        self._read_only = read_only
        self._pending: tuple[int, Future[None]] | None = None
        self._failed = False  # a save, which has been told
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="commit")
        if read_only and not self.directory.is_dir():
            raise UserError(f"{self.directory}: no checkpoints there; train the run first")
        self._decided: Callable[[Callable[[], Any]], Any] = _called if alone else processes.on_first
        self._readers = _ALONE if alone else ocp.options.MultiprocessingOptions()
        if not read_only:
            self._decided(self._remove_uncommitted)
            if alone:  # Orbax leaves it to us
                self.directory.mkdir(parents=True, exist_ok=True)
        self._best: int | None = None
        self._within = ExitStack()
        with without_orbax_messages():
            options = ocp.CheckpointManagerOptions(
                preservation_policy=LatestAndBest(keep, lambda: self._best),
                read_only=read_only,
                create=not (read_only or alone),
                multiprocessing_options=self._readers,
            )
            self._manager = ocp.CheckpointManager(self.directory, options=options)

    def __enter__(self) -> Checkpoints:
        self._within.enter_context(without_orbax_messages())
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            with self._within:
                self._committer.shutdown()
                told, failure = error is not None or self._failed, self._close()
                if failure is not None and not told:
                    raise failure
        finally:
            if self._failed:
                drop_tracebacks()

    def _close(self) -> UserError | None:
        """Closes Orbax's manager, which raises what a save has raised before; returns that."""
        step, failure = self._pending[0] if self._pending else None, None
        try:
            self._manager.close()
        except Exception as error:  # as in `save`
            failure = self._failure(step, error)
        if self._failed:
            with suppress(Exception):
                self._manager.close()  # the rest of it
            # What the save has left half done is cleared while nobody hears of it, not at the interpreter's end.
            self._pending = None
            del self._manager
            gc.collect()
        return failure

    def save(self, step: int, state: Any, record: Mapping[str, Any]) -> None:
        """Writes in the background, once the save before is done; `record["best_step"]` is kept.

        Raises:
          UserError: this or the previous save failed (a full disk); what was committed before is intact.
        """
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(state), record=ocp.args.JsonSave(dict(record))
        )
        self.wait()
        self._best, failure = record.get("best_step"), None
        try:
            if processes.is_first():
                write_atomically(self.directory / MANIFESTS / f"{step}{BEGUN}", "")
            self._manager.save(step, args=arguments, force=True)
        except Exception as error:  # Orbax and TensorStore have no common error class
            failure = self._failure(step, error)
        if failure:
            raise failure  # without its cause, which would hold what the save has left half done
        self._pending = step, self._committer.submit(self._commit, step)

    def wait(self) -> None:
        """Returns when every save so far is committed; raises as `save`."""
        if self._pending is None:
            return
        step, commit = self._pending
        self._pending, failure = None, None
        try:
            commit.result()
        except Exception as error:  # as above
            failure = self._failure(step, error)
        del commit
        if failure:
            raise failure  # as above

    def steps(self) -> list[int]:
        """Committed steps, damaged or not."""
        return committed_steps(self.directory)

    def latest_good(self) -> int | None:
        """The newest undamaged step. Damaged ones on the way are named, and moved aside unless read-only.

        Raises:
          UserError: not read-only, and none is whole: who goes on would begin at step 0.
        """
        step, moved = self._newest_whole() if self._read_only else self._decided(self._newest_whole)
        if step is not None:
            if moved:
                self._manager.reload()
            self._best = self.record(step).get("best_step")  # or the next save would prune it
        return step

    def _newest_whole(self) -> tuple[int | None, bool]:
        """That step, and whether others were moved aside."""
        damages: dict[int, str] = {}
        for step in reversed(self.steps()):
            damage = self.damage(step)
            if damage is None:
                moved = list(damages) if not self._read_only else []
                for other in moved:
                    self._set_aside(other)
                return step, bool(moved)
            damages[step] = damage
            warn(f"{self.directory / str(step)}: damaged, not used: {damage}")
        if damages and not self._read_only:
            stage = self.directory.parent
            raise UserError(
                f"{self.directory}: none of its checkpoints is whole; put back copies of what is named above, or move "
                f"{stage} away to train this stage anew"
            )
        return None, False

    def damage(self, step: int) -> str | None:
        """What is wrong with a step's files, or None; reads all of them."""
        return step_damage(self.directory, step)

    def record(self, step: int) -> dict[str, Any]:
        restored = self._manager.restore(step, args=ocp.args.Composite(record=ocp.args.JsonRestore()))
        return dict(restored["record"])

    def restore(self, step: int, like: Any) -> Any:
        """The state of a step that `latest_good` or `verify` found good, with the shapes, dtypes and
        shardings of `like`.

        Raises:
          UserError: it holds other shapes.
        """
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        arguments = ocp.args.Composite(state=ocp.args.StandardRestore(target))
        try:
            return self._manager.restore(step, args=arguments)["state"]
        except (ValueError, KeyError) as error:
            reason = str(error).split("\n")[0][:200]
            raise UserError(f"{self.directory / str(step)}: cannot be restored ({reason})") from error

    def restore_params(self, step: int, like: Any) -> Any:
        """The parameters of a step alone, as arrays like `like`; optimizer moments are not read.

        Raises:
          UserError: the step does not exist, is damaged, or holds other shapes.
        """
        self.verify(step)
        self.check_params(step, like)
        target = {"params": jax.tree.map(ocp.utils.to_shape_dtype_struct, like)}
        path = self.directory / str(step) / "state"
        with self._reader() as reader:
            arguments = ocp.checkpoint_utils.construct_restore_args(target)
            restored = reader.restore(
                path,
                args=ocp.args.PyTreeRestore(item=target, restore_args=arguments, partial_restore=True),
            )
        return restored["params"]

    def check_params(self, step: int, like: Any) -> None:
        """Compares the shapes of a step's parameters before anything is read: Orbax itself finds out half way, and
        leaves the other half pending.

        Raises:
          UserError: the step does not exist, or holds other shapes.
        """
        self._require(step)
        with self._reader() as reader:
            stored = reader.metadata(self.directory / str(step) / "state").item_metadata.tree
        found = {path_string(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(stored)}
        for path, leaf in jax.tree_util.tree_leaves_with_path({"params": like}):
            name = path_string(path)
            if found.get(name) != leaf.shape:
                raise UserError(
                    f"{self.directory / str(step)}: {name} has shape {found.get(name)}, the model's is {leaf.shape}"
                )

    def _reader(self) -> ocp.Checkpointer:
        handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=self._readers)
        return ocp.Checkpointer(handler, multiprocessing_options=self._readers)

    def _require(self, step: int) -> None:
        if step not in self.steps():
            raise UserError(f"{self.directory}: no checkpoint of step {step}; there are {self.steps()}")

    def verify(self, step: int) -> None:
        """Raises a UserError unless the step exists and is undamaged."""
        self._require(step)
        if damage := self.damage(step):
            raise UserError(f"{self.directory / str(step)}: damaged, not loaded: {damage}")

    def _commit(self, step: int) -> None:
        """Waits for Orbax to finish a step, then vouches for it."""
        self._manager.wait_until_finished()
        if not processes.is_first():
            return
        files = files_under(self.directory / str(step))
        manifest = {name: (path.stat().st_size, file_digest(path)) for name, path in files.items()}
        manifests = self.directory / MANIFESTS
        write_atomically(manifests / f"{step}.json", json.dumps(manifest, indent=0) + "\n")
        (manifests / f"{step}{BEGUN}").unlink(missing_ok=True)
        for path in manifests.glob("*.json"):  # of steps pruned since
            if not (self.directory / path.stem).is_dir():
                path.unlink(missing_ok=True)
        self._committed()

    def _remove_uncommitted(self) -> None:
        """Clears what a kill left behind: what Orbax had not finished, and steps that were begun and never vouched for.

        Raises:
          UserError: a step was vouched for once, and its manifest is gone.
        """
        if not self.directory.is_dir():
            return
        if lost := without_manifest(self.directory):
            manifest = self.directory / MANIFESTS / f"{lost[-1]}.json"
            raise UserError(
                f"{manifest}: missing, so nothing vouches for step {lost[-1]}; put it back, or move the folder "
                f"{self.directory / str(lost[-1])} away to do without that step"
            )
        good = {str(step) for step in self.steps()}
        for path in self.directory.iterdir():
            begun = path.name.isdigit() and path.name not in good
            if path.is_dir() and (
                begun or ".orbax-checkpoint-tmp" in path.name
            ):  # whatever else is the user's
                shutil.rmtree(path)
        for path in (self.directory / MANIFESTS).glob(f"*{BEGUN}"):
            path.unlink()

    def _set_aside(self, step: int) -> None:
        """Moves a damaged step where no run looks for it."""
        aside = self.directory.parent / DAMAGED / str(step)
        aside.parent.mkdir(exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)  # an earlier one of the same step, made again since
        (self.directory / str(step)).rename(aside)
        (self.directory / MANIFESTS / f"{step}.json").replace(aside.with_suffix(".json"))

    def _failure(self, step: int | None, error: Exception) -> UserError:
        self._failed = True
        reason = _reason(error)
        kept = f"step {self.steps()[-1]} is intact" if self.steps() else "no earlier step exists"
        if what := out_of_memory(error):
            return UserError(
                f"{self.directory}: saving step {step}: {what}; {kept}. Lower the sizes of batches"
            )
        return UserError(
            f"{self.directory}: the checkpoint of step {step} could not be written ({reason}); {kept}. Make room "
            "or permit writing, and start the same command again"
        )


_ALONE = ocp.options.MultiprocessingOptions(
    primary_host=0, active_processes={0}, barrier_sync_key_prefix="first"
)


def _called(do: Callable[[], Any]) -> Any:
    return do()


def _reason(error: Exception) -> str:
    """The first line of what a library says; of a full disk the file and that alone."""
    text = str(error).strip().split("\n")[0]
    if number := re.search(r"os_error_code='(\d+)'", text):
        files = re.findall(r'"(/[^"]+)"', text)
        return ": ".join([*files[-1:], os.strerror(int(number[1]))])
    return text[:200]
