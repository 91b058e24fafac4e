"""Programs of several shapes, compiled side by side."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from toner_jax.common import console
from toner_jax.parallel.mesh import make_mesh
from toner_jax.pipeline.batching import HostBatch
from toner_jax.training import programs as module
from toner_jax.training.programs import Programs

SHAPES = [(8, 4), (16, 4), (24, 8)]
BATCHES = [HostBatch({"x": np.ones(shape, np.float32)}, [], shape, {}) for shape in SHAPES]
MESH = make_mesh()
STATE = {"w": jnp.float32(2.0)}


class Compiler:
    """A jitted step whose compilations wait until they are told to go on."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, int]] = []
        self.most = self.at_work = 0
        self.together = threading.Barrier(2, timeout=30)
        self.go = {shape: threading.Event() for shape in SHAPES}
        self._lock = threading.Lock()

    def lower(self, state: Any, batch: Any) -> Any:
        assert isinstance(state["w"], jax.ShapeDtypeStruct)
        return SimpleNamespace(compile=lambda: self._compile(batch["x"].shape))

    def _compile(self, shape: tuple[int, int]) -> Any:
        with self._lock:
            self.begun.append(shape)
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        if shape in SHAPES[:2]:
            self.together.wait()
        assert self.go[shape].wait(30)
        with self._lock:
            self.at_work -= 1
        return shape


@pytest.fixture
def accelerator(monkeypatch):
    """A mesh that says it is one of GPUs; the batches are left alone."""
    monkeypatch.setattr(module, "shard_batch", lambda batch, mesh: batch)
    return SimpleNamespace(devices=np.array([SimpleNamespace(platform="gpu")]))


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(module, "cores", lambda: 2)


def test_the_first_step_waits_for_its_own_shape_alone(accelerator):
    compiler = Compiler()
    with Programs("toy", compiler, STATE, BATCHES, accelerator) as programs:
        assert not programs.ready(SHAPES[0])
        compiler.go[SHAPES[0]].set()
        assert programs.of(SHAPES[0]) == SHAPES[0]  # while the second is still compiled
        assert programs.ready(SHAPES[0])
        assert not programs.ready(SHAPES[1])
        for shape in SHAPES:
            compiler.go[shape].set()
        assert [programs.of(shape) for shape in reversed(SHAPES)] == SHAPES[::-1]
    assert set(compiler.begun[:2]) == set(SHAPES[:2])
    assert compiler.most == 2


def test_on_a_cpu_it_waits_for_all():
    compiler = Compiler()
    with Programs("toy", compiler, STATE, BATCHES, MESH) as programs:
        for shape in SHAPES[:2]:
            compiler.go[shape].set()
            programs._begun[shape].result()
        assert not programs.ready(SHAPES[0])
        compiler.go[SHAPES[2]].set()
        assert programs.of(SHAPES[0]) == SHAPES[0]
        assert programs.ready(SHAPES[0])


def test_leaving_gives_up_what_is_not_begun(accelerator):
    compiler = Compiler()
    with Programs("toy", compiler, STATE, BATCHES, accelerator):
        threading.Timer(0.2, lambda: [compiler.go[shape].set() for shape in SHAPES[:2]]).start()
    assert SHAPES[2] not in compiler.begun  # though no more than two were ever at work


def test_what_the_compiler_raises_is_raised_where_the_program_is_needed():
    def broken(state, batch):
        raise RuntimeError("RESOURCE_EXHAUSTED: no room")

    with (
        Programs("toy", jax.jit(broken), STATE, BATCHES, MESH) as programs,
        pytest.raises(RuntimeError, match="no room"),
    ):
        programs.of(SHAPES[1])


def test_they_compute_and_each_is_said(caplog, monkeypatch):
    monkeypatch.setattr(console, "_SOON", 0.0)
    step = jax.jit(lambda state, batch: (state, jnp.sum(batch["x"]) * state["w"]), donate_argnums=0)
    with caplog.at_level("INFO"), Programs("toy", step, STATE, BATCHES, MESH) as programs:
        for shape in SHAPES:
            _, value = programs.of(shape)({"w": jnp.float32(3.0)}, {"x": np.ones(shape, np.float32)})
            assert float(value) == 3 * shape[0] * shape[1]
    said = sorted(record.message for record in caplog.records)
    assert said == [f"toy: compiling {i} of 3" for i in (1, 2, 3)]


def test_nothing_is_left_to_train():
    with Programs("toy", jax.jit(lambda state, batch: state), STATE, [], MESH) as programs:
        assert not programs._begun
