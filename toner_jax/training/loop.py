"""The training loop that both models share.

What a step sees depends on (seed, step) alone: the batches come from a plan, the dropout key is folded
from the step. A checkpoint holds the rest: state, best so far, and the metrics not yet logged. So a run
resumed from it repeats what the uninterrupted run would have done, bit for bit on CPU.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from toner_jax.common.console import Progress, say
from toner_jax.errors import UserError
from toner_jax.parallel.mesh import shard_batch
from toner_jax.pipeline.batching import HostBatch
from toner_jax.training import interrupts
from toner_jax.training.checkpoint import Checkpoints
from toner_jax.training.metrics import MetricsWriter
from toner_jax.training.state import State

_COSTLY_EVALUATION = 0.15  # the share of wall time above which a run is told how to spend less


@dataclass(frozen=True)
class Fit:
    """One training: what to do at which step.

    Attributes:
      stage: the name in metrics and messages.
      folder: the stage's directory.
      steps: how many there are in all.
      batches: first step → the batches from that step on.
      train_step: (state, device batch) → (state, metrics), of which `skipped` is 1 where it changed nothing.
      evaluate: params → dev metrics; the step with the highest `selection` is kept.
      evaluate_at: the steps after which to evaluate.
      max_skipped: so many steps with a non-finite loss or gradient end the training.
    """

    stage: str
    folder: Path
    steps: int
    batches: Callable[[int], Iterator[HostBatch]]
    train_step: Callable[[State, Any], tuple[State, dict[str, jax.Array]]]
    mesh: Mesh
    checkpoints: Checkpoints
    metrics: MetricsWriter
    checkpoint_every: int
    log_every: int
    max_skipped: int
    evaluate: Callable[[Any], dict[str, float]]
    evaluate_at: frozenset[int]
    selection: str = "f1"


@dataclass
class _Progress:
    """What a checkpoint records besides the state."""

    best_step: int | None = None
    best: float | None = None
    skipped: int = 0
    unlogged: list[dict[str, float]] = field(default_factory=list)


def fit(job: Fit, state: State) -> tuple[State, int, float]:
    """Trains to the last step, from the newest good checkpoint if there is one.

    Returns:
      The last state, the step to use, and its dev score.

    Raises:
      UserError: too many steps were skipped, or a checkpoint cannot be written.
      Preempted: SIGTERM came; the step it came in is saved.
    """
    state, at, first = _resume(job, state)
    job.metrics.resume(job.stage, first)
    clock = _Clock()
    with Progress(job.stage, job.steps, first) as progress, interrupts.deferred():
        pending: list[tuple[int, dict[str, jax.Array], Sequence[str]]] = []
        for step, batch in enumerate(job.batches(first), first + 1):
            state, values = job.train_step(state, shard_batch(batch.arrays, job.mesh))
            pending.append((step, values, batch.ids))
            clock.examples += len(batch.ids)
            log = step % job.log_every == 0 or step == job.steps
            improved = False
            if log:
                _collect(job, at, pending)
                _log(job, step, at, clock, progress)
            if step in job.evaluate_at:
                improved = _evaluate(job, step, state, at, clock, progress)
            stop = interrupts.requested()
            if improved or stop or step % job.checkpoint_every == 0 or step == job.steps:
                _collect(job, at, pending)
                # asdict copies: the record is written while `at` goes on changing.
                job.checkpoints.save(step, state, {"step": step, **asdict(at)})
            if stop and step < job.steps:
                job.checkpoints.wait()
                say(f"{job.stage}: told to stop; step {step} is saved")
                raise interrupts.Preempted
        job.checkpoints.wait()
    if first < job.steps:
        clock.report(job, job.steps - first)
    assert at.best_step is not None  # the last step is always evaluated
    assert at.best is not None
    return state, at.best_step, at.best


class _Clock:
    """Wall time, apart for dev evaluation; only ever logged as `timing`, which no two runs share."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.evaluating = 0.0
        self.examples = 0

    def rate(self) -> float:
        return self.examples / max(time.monotonic() - self.begun - self.evaluating, 1e-9)

    def report(self, job: Fit, steps: int) -> None:
        wall = time.monotonic() - self.begun
        share = self.evaluating / wall
        timing = {"seconds": wall, "evaluation_share": share, "examples_per_second": self.rate()}
        job.metrics.write(job.stage, job.steps, {"timing": timing})
        say(f"{job.stage}: {steps} steps in {wall:.0f} s, {share:.0%} of it on dev evaluation")
        if share > _COSTLY_EVALUATION:
            say(f"{job.stage}: evaluation is costly here; raise eval.every or lower eval.dev_max_sentences")


def _resume(job: Fit, state: State) -> tuple[State, _Progress, int]:
    latest = job.checkpoints.latest_good()
    if latest is None:
        return state, _Progress(), 0
    record = job.checkpoints.record(latest)
    if latest < job.steps:
        say(f"{job.stage}: going on from step {latest} of {job.steps}")
    at = _Progress(record["best_step"], record["best"], record["skipped"], list(record["unlogged"]))
    return job.checkpoints.restore(latest, state), at, latest


def _collect(job: Fit, at: _Progress, pending: list[tuple[int, dict[str, jax.Array], Sequence[str]]]) -> None:
    """Fetches the steps' metrics, and gives up when too many of them were skipped."""
    for step, values, ids in pending:
        entry = {name: float(value) for name, value in values.items()}
        if entry.pop("skipped"):
            at.skipped += 1
            _write_skipped(job, step, ids, at.skipped)
        else:
            at.unlogged.append(entry)
    pending.clear()


def _write_skipped(job: Fit, step: int, ids: Sequence[str], count: int) -> None:
    path = job.folder / "skipped.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, "sentences": list(ids)}) + "\n")
    say(f"{job.stage}: step {step} skipped: loss or gradient is not finite (sentences in {path})")
    if count >= job.max_skipped:
        raise UserError(
            f"{job.stage}: {count} steps had a non-finite loss or gradient; their sentences stand in {path}. "
            f"Lower {job.stage}.learning_rate, or raise max_skipped"
        )


def _log(job: Fit, step: int, at: _Progress, clock: _Clock, progress: Progress) -> None:
    if not at.unlogged:
        return
    means = {k: float(np.mean([entry[k] for entry in at.unlogged])) for k in at.unlogged[0]}
    at.unlogged.clear()
    if at.skipped:
        means["skipped"] = at.skipped
    job.metrics.write(job.stage, step, means)
    progress.update(step, f"loss {means['loss']:.3f}  {clock.rate():.0f} examples/s")


def _evaluate(job: Fit, step: int, state: State, at: _Progress, clock: _Clock, progress: Progress) -> bool:
    """Dev scores of this step; True if they are the best so far."""
    start = time.monotonic()
    with interrupts.immediate():
        scores = job.evaluate(state["params"])
    clock.evaluating += time.monotonic() - start
    job.metrics.write(job.stage, step, {f"dev_{k}": v for k, v in scores.items()})
    score = scores[job.selection]
    progress.update(step, f"dev {job.selection} {score:.4f}", force=True)
    if at.best is not None and score <= at.best:
        return False
    at.best_step, at.best = step, score
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
