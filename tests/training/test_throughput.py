"""What a training says of its speed, by counts and clocks of the test's own."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from test_loop import STEPS, _run

from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.flops import training_flops as encoder_training
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.flops import training_flops
from toner_jax.parallel.mesh import make_mesh
from toner_jax.pipeline.batching import HostBatch
from toner_jax.runs.compute import generator_compute, matcher_compute
from toner_jax.training import throughput
from toner_jax.training.throughput import Compute, Throughput, in_words

SIZES = T5Config(vocab_size=40, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_decoder_layers=2, num_heads=2)


def rows(*lengths: int, width: int) -> np.ndarray:
    return np.array([[5] * n + [0] * (width - n) for n in lengths], np.int32)


def batch() -> HostBatch:
    """Three examples and a row that fills the batch up."""
    arrays = {
        "source": rows(3, 8, 1, 8, width=8),
        "target": rows(2, 4, 1, 4, width=4),
        "weight": np.array([1, 1, 1, 0], np.float32),
    }
    lengths = {"source": np.array([3, 8, 1, 0]), "target": np.array([2, 4, 1, 0])}
    return HostBatch(arrays, ["a", "b", "c"], (8, 4), lengths)


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(throughput.time, "monotonic", lambda: now[0])
    return now


def test_what_is_counted(clock):
    counter = Throughput(Compute(lambda batch: 6e12, lambda: 8e12), jax.devices()[0])
    for _ in range(2):
        counter.add(batch())
        clock[0] += 2.0
    with counter.apart("evaluation"):
        clock[0] += 50.0
    with counter.apart("compilation"):
        clock[0] += 30.0
    rates = counter.since()
    assert rates["examples_per_second"] == 6 / 4
    assert rates["step_ms"] == 2000
    assert rates["tokens_per_second"] == 2 * (3 + 8 + 1 + 2 + 4 + 1) / 4
    assert rates["padding_share"] == pytest.approx(1 - 19 / 48)
    assert rates["teraflops_per_second"] == 3
    assert rates["mfu"] == 3 / 8
    assert in_words(rates) == "2 examples/s  10 tokens/s  MFU 38%"
    # The next line is of the steps since, the last of all.
    counter.add(batch())
    clock[0] += 1.0
    assert counter.since()["step_ms"] == 1000
    total = counter.total()
    assert (total["seconds"], total["evaluation_share"]) == (85.0, 50 / 85)
    assert total["step_ms"] == pytest.approx(5000 / 3)


def test_padding_is_that_of_what_is_computed(clock):
    """Where a batch says which cells hold tokens, the others cost nothing."""
    unpadded = batch()
    cells = {"source_cells": np.zeros((2, 7), np.int32), "target_cells": np.zeros((2, 5), np.int32)}
    counter = Throughput(None, jax.devices()[0])
    counter.add(replace(unpadded, arrays={**unpadded.arrays, **cells}))
    clock[0] += 1.0
    assert counter.since()["padding_share"] == pytest.approx(1 - 19 / 24)


def test_flops_are_those_of_real_tokens(monkeypatch):
    monkeypatch.setattr(throughput, "_flops_of", lambda device, dtype: 1e9)
    model = SimpleNamespace(config=SIZES, dtype=np.float32)
    compute = generator_compute(model, make_mesh())
    expected = sum(training_flops(SIZES, s, t) for s, t in ((3, 2), (8, 4), (1, 1)))
    assert compute.flops(batch()) == pytest.approx(expected)
    assert compute.peak() == 1e9 * jax.device_count()

    sizes = BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
    )
    ids = {"ids": rows(3, 8, width=8), "weight": np.array([1, 0])}
    texts = HostBatch(ids, ["a"], (8, 0), {"ids": np.array([3, 8])})
    compute = matcher_compute(
        SimpleNamespace(config=sizes, dtype=np.float32), [np.ones(4), np.ones(6)], make_mesh()
    )
    assert compute.flops(texts) == pytest.approx(sum(encoder_training(sizes, n) for n in (3, 4, 6)))


def test_no_rate_holds_what_compiles_or_evaluates(tmp_path, monkeypatch):
    """Both take far longer here than all steps."""
    made = throughput.Throughput

    def slow(params):
        time.sleep(0.3)
        return {"f1": 0.0}

    seen = []
    monkeypatch.setattr("toner_jax.training.loop.Throughput", lambda *a: seen.append(made(*a)) or seen[-1])
    begun = time.perf_counter()
    _run(tmp_path, evaluate=slow)
    wall = time.perf_counter() - begun
    entries = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    lines = [e["timing"] for e in entries if "timing" in e]
    assert len(lines) == 5
    assert lines[-1]["evaluation_share"] * lines[-1]["seconds"] >= 4 * 0.3
    assert lines[-1]["compilation_share"] > 0
    in_steps = lines[-1]["step_ms"] * STEPS / 1000
    assert in_steps < wall - 4 * 0.3 - lines[-1]["compilation_share"] * lines[-1]["seconds"] + 0.05
    assert sum(8 / line["examples_per_second"] for line in lines) > 0


def test_a_run_tells(finished):
    """Of both trainings: rates, padding, MFU and the learning rate, in the log and for TensorBoard."""
    workdir = finished[0]
    entries = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    for stage in ("matcher", "generator"):
        timing = [e["timing"] for e in entries if e["stage"] == stage and "timing" in e]
        begun, *lines = timing
        assert begun["first_step_seconds"] > 0
        for line in lines:
            assert line["examples_per_second"] > 0
            assert line["tokens_per_second"] > line["examples_per_second"]
            assert 0 <= line["padding_share"] < 1
            assert 0 < line["mfu"] < 1
            assert line["step_ms"] > 0
        rates = [e["learning_rate"] for e in entries if e["stage"] == stage and "learning_rate" in e]
        assert rates
        assert all(rate >= 0 for rate in rates)
        events = b"".join(path.read_bytes() for path in (workdir / "tensorboard" / stage).iterdir())
        assert b"timing/mfu" in events
        assert b"learning_rate" in events
