"""The training loop that both models share.

What a step sees depends on (seed, step) alone: the batches come from a plan, the dropout key is folded
from the step. So a run resumed from a checkpoint repeats what the uninterrupted run would have done.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from toner_jax.training.checkpoint import Checkpoints
from toner_jax.training.metrics import MetricsWriter, Progress, say
from toner_jax.training.sharding import shard_batch
from toner_jax.training.state import State

HostBatch = Mapping[str, np.ndarray]


@dataclass
class Fit:
    """One training: what to do at which step.

    Attributes:
      stage: the name in metrics and messages.
      steps: how many there are in all.
      batches: first step → the batches from that step on.
      train_step: (state, device batch) → (state, metrics).
      evaluate: params → dev metrics, of which `selection` is to be as high as possible; None keeps the last step.
      evaluate_at: the steps after which to evaluate.
    """

    stage: str
    steps: int
    batches: Callable[[int], Iterator[HostBatch]]
    train_step: Callable[[State, Any], tuple[State, dict[str, jax.Array]]]
    mesh: Mesh
    checkpoints: Checkpoints
    metrics: MetricsWriter
    checkpoint_every: int
    log_every: int
    evaluate: Callable[[Any], dict[str, float]] | None = None
    evaluate_at: frozenset[int] = frozenset()
    selection: str = "f1"
    record: dict[str, Any] = field(default_factory=lambda: {"best_step": None, "best": None})


def fit(fit: Fit, state: State) -> tuple[State, dict[str, Any]]:
    """Trains to the last step, from the newest checkpoint if there is one.

    Returns:
      The last state, and the record {"best_step", "best"}: the step to use and its dev score.
    """
    state, record, first = _resume(fit, state)
    fit.metrics.resume(fit.stage, first)
    pending: list[dict[str, jax.Array]] = []
    begun, examples, spent_evaluating = time.monotonic(), 0, 0.0
    with Progress(fit.stage, fit.steps, first) as progress:
        for step, batch in enumerate(fit.batches(first), first + 1):
            state, values = fit.train_step(state, shard_batch(batch, fit.mesh))
            pending.append(values)
            examples += int(batch["weight"].sum())
            if step % fit.log_every == 0 or step == fit.steps:
                means = {k: float(np.mean([float(v[k]) for v in pending])) for k in pending[0]}
                pending.clear()
                elapsed = time.monotonic() - begun - spent_evaluating
                means["examples_per_second"] = examples / elapsed
                fit.metrics.write(fit.stage, step, means)
                progress.update(step, f"loss {means['loss']:.3f}  {means['examples_per_second']:.0f} examples/s")
            improved = False
            if fit.evaluate is not None and step in fit.evaluate_at:
                start = time.monotonic()
                scores = fit.evaluate(state["params"])
                spent_evaluating += time.monotonic() - start
                fit.metrics.write(fit.stage, step, {f"dev_{k}": v for k, v in scores.items()})
                score = scores[fit.selection]
                improved = record["best"] is None or score > record["best"]
                if improved:
                    record = {"best_step": step, "best": score}
                progress.update(step, f"dev {fit.selection} {score:.4f}", force=True)
            if improved or step % fit.checkpoint_every == 0 or step == fit.steps:
                fit.checkpoints.save(step, state, {"step": step, **record}, best=improved)
    fit.checkpoints.wait()
    if first < fit.steps:
        wall = time.monotonic() - begun
        share = spent_evaluating / wall
        fit.metrics.write(fit.stage, fit.steps, {"seconds": wall, "evaluation_share": share})
        say(f"{fit.stage}: {fit.steps - first} steps in {wall:.0f} s, {share:.0%} of it on dev evaluation")
    return state, record


def _resume(fit: Fit, state: State) -> tuple[State, dict[str, Any], int]:
    latest = fit.checkpoints.latest()
    if latest is None:
        return state, dict(fit.record), 0
    record = fit.checkpoints.record(latest)
    say(f"{fit.stage}: going on from step {latest} of {fit.steps}")
    record.pop("step")
    return fit.checkpoints.restore(latest, state), record, latest


def total_steps(steps_per_epoch: int, epochs: float) -> int:
    """Steps of a number of epochs, which need not be whole."""
    return max(1, math.ceil(steps_per_epoch * epochs))


def evaluation_steps(steps: int, every: int, start: float, per_epoch: int) -> frozenset[int]:
    """When to evaluate: each `every` steps (0: twice an epoch, but at most twenty times) from the share
    `start` on, and at the end."""
    every = every or max(1, per_epoch // 2, steps // 20)
    return frozenset(s for s in range(every, steps + 1, every) if s >= start * steps) | {steps}
