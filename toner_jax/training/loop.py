"""The training loop that both models share.

What a step sees depends on (seed, step) alone: the batches come from a plan, the dropout key is folded
from the step. A checkpoint holds the rest: state, best so far, and the metrics not yet logged. So a run
resumed from it repeats what the uninterrupted run would have done, bit for bit on CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from toner_jax.common.console import Progress, say, warn
from toner_jax.common.files import append_json
from toner_jax.common.memory import told_of_memory
from toner_jax.errors import UserError
from toner_jax.parallel.exchange import any_of
from toner_jax.parallel.mesh import shard_batch
from toner_jax.parallel.processes import is_first, several
from toner_jax.pipeline.batching import HostBatch
from toner_jax.training import interrupts
from toner_jax.training.gathered import open_checkpoints
from toner_jax.training.metrics import MetricsWriter
from toner_jax.training.profile import FOLDER as PROFILE
from toner_jax.training.profile import Profile
from toner_jax.training.programs import Programs
from toner_jax.training.state import State
from toner_jax.training.throughput import Compute, Throughput, in_words

if TYPE_CHECKING:
    from toner_jax.training.gathered import AnyCheckpoints

_ASK_EVERY = 5  # steps; a question waits for the steps before it
_LONG_TRAINING = 300.0  # seconds; a shorter one has no time to save
_COSTLY_EVALUATION = 0.15  # the share of wall time above which a run is told how to spend less


class Samples(Protocol):
    """The batches of a whole training, of so many steps, padded to few shapes: a program is compiled for each."""

    steps: int

    def batches(self, first: int) -> Iterator[HostBatch]:
        """The batches from step `first` (0-based) on."""

    def one_of_each(self, first: int) -> Iterator[HostBatch]:
        """The first batch of each shape among them, in their order."""


@dataclass(frozen=True)
class FitOptions:
    """What the configuration says of every training; it changes nothing that is learned.

    Attributes:
      checkpoint_every: steps between checkpoints.
      checkpoint_keep: how many of the latest ones are kept, besides the best.
      log_every: steps between lines of metrics, which are means over the steps since.
      max_skipped: so many steps with a non-finite loss or gradient end the training.
      profile: steps that are traced.
    """

    checkpoint_every: int
    checkpoint_keep: int
    log_every: int
    max_skipped: int
    profile: int = 0


@dataclass(frozen=True)
class DevEvaluation:
    """How the step to use is chosen.

    Attributes:
      scores: params → dev metrics.
      steps: those after which to evaluate; the last one is among them.
      selection: the metric whose highest value decides.
      lower: what takes less memory, for the message where it runs out.
    """

    scores: Callable[[Any], dict[str, float]]
    steps: frozenset[int]
    selection: str = "f1"
    lower: str = "lower eval.batch_size"


@dataclass(frozen=True)
class Fit:
    """One training.

    Attributes:
      stage: its name in metrics and messages, and its folder in the work directory.
      workdir: where the metrics are, too.
      train_step: jitted, (state, device batch) → (state, metrics), of which `skipped` is 1 where it changed nothing.
      lower: what takes less memory, for the message where it runs out.
      committed: called, in the background, whenever a checkpoint is committed.
      learning_rate: of a step (0-based), as it is logged; None to log none.
      compute: what FLOPs mean here; None to tell none.
      begun: `time.monotonic()` when the stage began; None to tell no time to the first step.
    """

    stage: str
    workdir: Path
    samples: Samples
    train_step: jax.stages.Wrapped
    mesh: Mesh
    dev: DevEvaluation
    options: FitOptions
    lower: str
    committed: Callable[[], None] = lambda: None
    learning_rate: Callable[[int], Any] | None = None
    compute: Compute | None = None
    begun: float | None = None

    @property
    def folder(self) -> Path:
        return self.workdir / self.stage

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"


@dataclass
class _Record:
    """What a checkpoint holds besides the state."""

    best_step: int | None = None
    best: float | None = None
    skipped: int = 0
    unlogged: list[dict[str, float]] = field(default_factory=list)


def fit(job: Fit, state: State) -> tuple[State, int, float]:
    """Trains to the last step, from the newest good checkpoint if there is one.

    Returns:
      The last state, the step to use, and its dev score.

    Raises:
      UserError: too many steps were skipped, a checkpoint cannot be written, or memory runs out.
      Preempted: SIGTERM came; the step it came in is saved.
    """
    keep = job.options.checkpoint_keep
    with open_checkpoints(job.checkpoints, keep, committed=job.committed) as checkpoints:
        state, record, first = _resume(job, checkpoints, state)
        metrics = MetricsWriter(job.workdir)
        metrics.resume(job.stage, first)
        with Progress(job.stage, job.samples.steps, first) as progress, interrupts.deferred():
            loop = _Loop(job, checkpoints, metrics, record, progress)
            with (
                told_of_memory(f"{job.stage}: training", job.lower),
                Programs(
                    job.stage, job.train_step, state, job.samples.one_of_each(first), job.mesh
                ) as programs,
            ):
                state = loop.run(programs, state, first)
        checkpoints.wait()
    if first < job.samples.steps:
        loop.report(job.samples.steps - first)
    if record.best_step is None or record.best is None:
        raise RuntimeError(f"{job.stage}: no step was evaluated, and the last one always is")
    return state, record.best_step, record.best


def _resume(job: Fit, checkpoints: AnyCheckpoints, state: State) -> tuple[State, _Record, int]:
    latest = checkpoints.latest_good()
    if latest is None:
        return state, _Record(), 0
    found = checkpoints.record(latest)
    if latest < job.samples.steps:
        say(f"{job.stage}: going on from step {latest} of {job.samples.steps}")
    record = _Record(found["best_step"], found["best"], found["skipped"], list(found["unlogged"]))
    return checkpoints.restore(latest, state), record, latest


class _Loop:
    """The steps of one training in this process."""

    def __init__(
        self,
        job: Fit,
        checkpoints: AnyCheckpoints,
        metrics: MetricsWriter,
        record: _Record,
        progress: Progress,
    ):
        self._job, self._checkpoints, self._metrics = job, checkpoints, metrics
        self._record, self._progress = record, progress
        # Steps whose metrics are still on the device: to fetch each would wait for its step.
        self._pending: list[tuple[int, dict[str, jax.Array], Sequence[str]]] = []
        self._throughput = Throughput(job.compute, job.mesh.local_devices[0])
        self._profile = Profile(job.folder / PROFILE, job.options.profile if is_first() else 0)

    def run(self, programs: Programs, state: State, first: int) -> State:
        """Takes the steps after `first`, and returns the state after the last."""
        job, steps = self._job, self._job.samples.steps
        for step, batch in enumerate(job.samples.batches(first), first + 1):
            self._profile.before([values for _, values, _ in self._pending])
            state, values = self._step(programs, state, batch)
            self._profile.after(values)
            if step == first + 1:
                self._tell_first(step, values)
            self._pending.append((step, values, batch.ids))
            improved = False
            if step % job.options.log_every == 0 or step == steps:
                self._collect()
                self._log(step)
            if step in job.dev.steps:
                improved = self._evaluate(step, state)
            stop = self._told_to_stop(step)
            if improved or stop or step % job.options.checkpoint_every == 0 or step == steps:
                self._collect()
                # asdict copies: the record is written while it goes on changing here.
                self._checkpoints.save(step, state, {"step": step, **asdict(self._record)})
            if stop and step < steps:
                self._checkpoints.wait()
                say(f"{job.stage}: told to stop; step {step} is saved")
                raise interrupts.Preempted
        self._profile.stop()
        return state

    def _tell_first(self, step: int, values: dict[str, jax.Array]) -> None:
        """Says after which time the first step was done, compilation and all else included."""
        if self._job.begun is not None:
            jax.block_until_ready(values)
            seconds = time.monotonic() - self._job.begun
            self._metrics.write_timing(self._job.stage, step, {"first_step_seconds": seconds})
            say(f"{self._job.stage}: first step after {seconds:.1f} s")

    def _told_to_stop(self, step: int) -> bool:
        """Whether a stop was asked for; of several processes, whether one was told, which they ask each other now and
        then: all of them save the same step."""
        if not several():
            return interrupts.requested()
        return step % _ASK_EVERY == 0 and any_of(interrupts.requested())

    def _step(self, programs: Programs, state: State, batch: HostBatch) -> tuple[State, dict[str, jax.Array]]:
        """Takes a step; waiting for its program is no part of it."""
        self._throughput.add(batch)
        if not programs.ready(batch.shape):
            # Or else the steps before it would be computed in no time at all.
            jax.block_until_ready([values for _, values, _ in self._pending])
            with self._throughput.apart("compilation"):
                programs.of(batch.shape)
        taken: tuple[State, dict[str, jax.Array]] = programs.of(batch.shape)(
            state, shard_batch(batch.arrays, self._job.mesh)
        )
        return taken

    def report(self, steps: int) -> None:
        """Says how long so many steps took."""
        job, timing = self._job, self._throughput.total()
        self._metrics.write_timing(job.stage, job.samples.steps, timing)
        share, compiling = timing["evaluation_share"], timing.get("compilation_share", 0.0)
        say(
            f"{job.stage}: {steps} steps in {timing['seconds']:.0f} s, {share:.0%} of it on dev evaluation, "
            f"{compiling:.0%} on compilation; {in_words(timing)}"
        )
        if share > _COSTLY_EVALUATION and timing["seconds"] > _LONG_TRAINING and is_first():
            warn(f"{job.stage}: evaluation is costly here; raise eval.every or lower eval.dev_max_sentences")

    def _collect(self) -> None:
        """Fetches the steps' metrics, and gives up when too many of them were skipped."""
        for step, values, ids in self._pending:
            entry = {name: float(value) for name, value in values.items()}
            if entry.pop("skipped"):
                self._record.skipped += 1
                self._write_skipped(step, ids)
            else:
                self._record.unlogged.append(entry)
        self._pending.clear()

    def _write_skipped(self, step: int, ids: Sequence[str]) -> None:
        job, count = self._job, self._record.skipped
        path = job.folder / "skipped.jsonl"
        if is_first():
            append_json(path, {"step": step, "sentences": list(ids)})
            warn(f"{job.stage}: step {step} skipped: loss or gradient is not finite (sentences in {path})")
        if count >= job.options.max_skipped:
            raise UserError(
                f"{job.stage}: {count} steps had a non-finite loss or gradient; their sentences stand in {path}. "
                f"Lower {job.stage}.learning_rate, or raise max_skipped"
            )

    def _log(self, step: int) -> None:
        unlogged = self._record.unlogged
        if not unlogged:
            return
        means = {k: float(np.mean([entry[k] for entry in unlogged])) for k in unlogged[0]}
        unlogged.clear()
        if self._record.skipped:
            means["skipped"] = self._record.skipped
        if self._job.learning_rate:
            means["learning_rate"] = float(self._job.learning_rate(step - 1))
        self._metrics.write(self._job.stage, step, means)
        rates = self._throughput.since()
        self._metrics.write_timing(self._job.stage, step, rates)
        self._progress.update(step, f"loss {means['loss']:.3f}  {in_words(rates)}")

    def _evaluate(self, step: int, state: State) -> bool:
        """Dev scores of this step; True if they are the best so far."""
        job, record = self._job, self._record
        jax.block_until_ready(state["step"])  # or else the steps before it would count as evaluation
        with (
            self._throughput.apart("evaluation"),
            interrupts.immediate(),
            told_of_memory(f"{job.stage}: dev evaluation", job.dev.lower),
        ):
            scores = job.dev.scores(state["params"])
        self._metrics.write(job.stage, step, {f"dev_{k}": v for k, v in scores.items()})
        score = scores[job.dev.selection]
        self._progress.update(step, f"dev {job.dev.selection} {score:.4f}", force=True)
        if record.best is not None and score <= record.best:
            return False
        record.best_step, record.best = step, score
        return True


def evaluation_steps(
    steps: int, every: int, start: float, per_epoch: int, apart: float = 0.0
) -> frozenset[int]:
    """When to evaluate: each `every` steps from the share `start` on, and at the end.

    0 stands for twice an epoch, but at most twenty times and at least `apart` steps apart, which bounds
    what evaluation costs. The bound counts steps, not seconds: two runs must choose the same ones.
    """
    every = every or max(1, per_epoch // 2, steps // 20, math.ceil(apart))
    return frozenset(s for s in range(every, steps + 1, every) if s >= start * steps) | {steps}
