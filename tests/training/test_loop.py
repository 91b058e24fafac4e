"""The training loop on a model of four weights."""

from __future__ import annotations

import gc
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from toner_jax.errors import UserError
from toner_jax.parallel.mesh import make_mesh
from toner_jax.pipeline.batching import HostBatch, total_steps
from toner_jax.training import interrupts
from toner_jax.training.checkpoint import Checkpoints
from toner_jax.training.loop import DevEvaluation, Fit, FitOptions, evaluation_steps, fit
from toner_jax.training.state import make_train_step

STEPS = 24


class Stopped(Exception):
    pass


@dataclass
class ToySamples:
    """Eight examples a step, drawn by its number."""

    poisoned: frozenset[int] = frozenset()
    stop_at: int | None = None
    signal_at: int | None = None
    steps: int = STEPS

    def batches(self, first: int) -> Iterator[HostBatch]:
        for step in range(first, self.steps):
            if step == self.stop_at:
                raise Stopped
            if step == self.signal_at:
                os.kill(os.getpid(), signal.SIGTERM)
            x = np.random.default_rng(step).normal(size=(8, 4)).astype(np.float32)
            if step in self.poisoned:
                x[0, 0] = np.nan
            yield HostBatch(
                {"x": x, "weight": np.ones(8, np.float32)}, [f"s{step}-{i}" for i in range(8)], (8, 0), {}
            )

    def one_of_each(self, first: int) -> Iterator[HostBatch]:
        yield HostBatch({"x": np.zeros((8, 4), np.float32), "weight": np.ones(8, np.float32)}, [], (8, 0), {})


def _run(workdir: Path, max_skipped: int = 10, evaluate=None, **samples):
    tx = optax.adamw(0.05)
    params = {"w": jnp.ones(4)}
    state = {
        "step": jnp.int32(0), "params": params, "opt_state": tx.init(params),
        "rng": jax.random.key_data(jax.random.key(7)),
    }  # fmt: skip
    mesh = make_mesh()
    state = jax.device_put(state, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))

    def loss(params, batch, key):
        noise = jax.random.normal(key, (4,)) * 0.1  # as dropout would
        value = jnp.mean(jnp.square(batch["x"] @ (params["w"] + noise) - batch["x"][:, 0]))
        return value, {"loss": value}

    scores = evaluate or (lambda params: {"f1": float(-jnp.sum(jnp.square(params["w"])))})
    job = Fit(
        stage="toy",
        workdir=workdir,
        samples=ToySamples(**samples),
        train_step=make_train_step(loss, tx, state),
        mesh=mesh,
        dev=DevEvaluation(scores, frozenset({6, 12, 18, STEPS})),
        options=FitOptions(checkpoint_every=5, checkpoint_keep=2, log_every=7, max_skipped=max_skipped),
        lower="lower toy.batch_size",
    )
    return fit(job, state)


def _lines(folder: Path) -> list[dict]:
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [e for e in entries if "timing" not in e]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    state, step, best = _run(folder)
    return folder, state, step, best


@pytest.mark.parametrize("stop_at", [1, 6, 7, 20])
def test_stopped_anywhere_and_resumed_is_the_same(whole, tmp_path, stop_at):
    with pytest.raises(Stopped):
        _run(tmp_path, stop_at=stop_at)
    state, step, best = _run(tmp_path)
    assert (step, best) == whole[2:]
    assert _lines(tmp_path) == _lines(whole[0])
    for left, right in zip(jax.tree.leaves(state), jax.tree.leaves(whole[1]), strict=True):
        np.testing.assert_array_equal(left, right)


def test_metrics(whole):
    logged = [e["step"] for e in _lines(whole[0]) if "loss" in e]
    assert logged == [7, 14, 21, 24]
    evaluated = [(e["step"], e["dev_f1"]) for e in _lines(whole[0]) if "dev_f1" in e]
    assert [s for s, _ in evaluated] == [6, 12, 18, 24]
    assert whole[2:] == max(evaluated, key=lambda e: e[1])
    assert list((whole[0] / "tensorboard/toy").iterdir())


def test_non_finite_steps_are_skipped_counted_and_named(tmp_path):
    state, _, _ = _run(tmp_path, poisoned=frozenset({3, 9}))
    assert int(state["step"]) == STEPS
    assert np.isfinite(state["params"]["w"]).all()
    skipped = [json.loads(line) for line in (tmp_path / "toy/skipped.jsonl").read_text().splitlines()]
    assert [s["step"] for s in skipped] == [4, 10]
    assert skipped[0]["sentences"] == [f"s3-{i}" for i in range(8)]
    assert [e["skipped"] for e in _lines(tmp_path) if "loss" in e] == [1, 2, 2, 2]


def test_too_many_skipped_steps_end_the_training(tmp_path):
    with pytest.raises(UserError, match="3 steps had a non-finite loss"):
        _run(tmp_path, poisoned=frozenset(range(10)), max_skipped=3)


def test_a_skipped_step_changes_nothing(tmp_path):
    """A poisoned run equals one whose optimizer never saw those batches."""
    state, _, _ = _run(tmp_path, poisoned=frozenset(range(STEPS)), max_skipped=100)
    np.testing.assert_array_equal(state["params"]["w"], np.ones(4))
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(state["opt_state"]))


def test_sigterm_saves_the_step_it_came_in(whole, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(interrupts, "_guard", interrupts._Guard())
    interrupts.install()
    try:
        with pytest.raises(interrupts.Preempted):
            _run(tmp_path, signal_at=8)
    finally:
        signal.signal(signal.SIGTERM, before)
    with Checkpoints(tmp_path / "toy/checkpoints", read_only=True) as checkpoints:
        assert checkpoints.latest_good() == 9
    monkeypatch.setattr(interrupts, "_guard", interrupts._Guard())
    state, step, best = _run(tmp_path)
    assert (step, best) == whole[2:]
    assert _lines(tmp_path) == _lines(whole[0])
    np.testing.assert_array_equal(state["params"]["w"], whole[1]["params"]["w"])


def _collect_and_wait(callback) -> None:
    gc.collect()
    gc.callbacks.remove(callback)
    time.sleep(5)


def test_a_stop_that_would_be_swallowed_comes_again(monkeypatch):
    """Python ignores what is raised in callbacks of its garbage collector; JAX has one there."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)
    monkeypatch.setattr(interrupts, "_guard", interrupts._Guard())
    interrupts.install()

    def _xla_gc_callback(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    gc.callbacks.append(_xla_gc_callback)
    try:
        with pytest.raises(interrupts.Preempted):
            _collect_and_wait(_xla_gc_callback)
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGALRM, before[1])


def test_evaluation_steps():
    assert evaluation_steps(100, 30, 0.0, 50) == {30, 60, 90, 100}
    assert evaluation_steps(100, 30, 0.5, 50) == {60, 90, 100}
    assert evaluation_steps(100, 0, 0.0, 50) == {25, 50, 75, 100}
    assert len(evaluation_steps(10_000, 0, 0.0, 50)) == 20
    assert evaluation_steps(100, 0, 0.0, 50, apart=39.5) == {40, 80, 100}
    assert evaluation_steps(100, 30, 0.0, 50, apart=40) == {30, 60, 90, 100}  # an explicit key wins
    assert total_steps(10, 1.5) == 15
    assert total_steps(10, 0.01) == 1


def test_memory_that_runs_out_says_what_to_lower(tmp_path, monkeypatch):
    def evaluate(params):
        return {"f1": float(jnp.ones((1 << 46,), jnp.float32).sum())}  # more than any machine has

    says = r"^toy: dev evaluation: out of memory on the device \(.*allocating.*\); lower eval.batch_size$"
    with pytest.raises(UserError, match=says):
        _run(tmp_path, evaluate=evaluate)

    def shard_batch(batch, mesh):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr("toner_jax.training.loop.shard_batch", shard_batch)
    says = r"^toy: training: out of memory on the host \(Unable to allocate 9 TiB\); lower toy.batch_size$"
    with pytest.raises(UserError, match=says):
        _run(tmp_path / "other")
