"""What every program sets once, and what the mesh says of its devices."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from toner_jax.errors import UserError
from toner_jax.parallel import runtime
from toner_jax.parallel.mesh import BATCH, abstract_batch, make_mesh


@pytest.fixture
def trimmed(monkeypatch):
    """The calls of the C library's `malloc_trim` since it was made."""
    calls: list[int] = []
    monkeypatch.setattr(runtime, "_heap_trim", lambda: calls.append)
    runtime._return_freed_memory.cache_clear()
    before = jax._src.monitoring.get_event_duration_listeners().copy()
    yield calls
    for listener in set(jax._src.monitoring.get_event_duration_listeners()) - set(before):
        jax._src.monitoring.unregister_event_duration_listener(listener)
    runtime._return_freed_memory.cache_clear()


def test_memory_is_returned_after_each_long_compilation_and_never_between(trimmed, monkeypatch):
    runtime.set_up_compilation()
    runtime.set_up_compilation()
    monkeypatch.setattr(runtime, "_LONG", 3600.0)
    jax.jit(lambda x: x * 2.75 + 0.5)(jnp.ones(3)).block_until_ready()
    assert trimmed == []
    monkeypatch.setattr(runtime, "_LONG", 0.0)
    program = jax.jit(lambda x: x * 3.25 + 1.5)
    program(jnp.ones(3)).block_until_ready()
    after_first = len(trimmed)
    assert after_first >= 1
    program(jnp.ones(3)).block_until_ready()
    assert len(trimmed) == after_first
    program(jnp.ones(5)).block_until_ready()
    assert len(trimmed) > after_first
    assert set(trimmed) == {0}


def test_where_the_c_library_is_another_nothing_is_done(monkeypatch):
    def no_library(_):
        raise OSError("none")

    monkeypatch.setattr(runtime.ctypes, "CDLL", no_library)
    assert runtime._heap_trim() is None
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda _: object())
    assert runtime._heap_trim() is None


class _Tpu:
    platform = "tpu"


def test_the_compute_dtype_is_that_of_the_mesh():
    """Not of the devices that are here: a program can be compiled for others."""
    here = make_mesh()
    elsewhere = SimpleNamespace(devices=np.array([_Tpu()]))
    assert runtime.compute_dtype("auto", elsewhere) == jnp.bfloat16
    if here.devices.flat[0].platform == "cpu":
        assert runtime.compute_dtype("auto", here) == jnp.float32
    assert runtime.compute_dtype("bfloat16", here) == jnp.bfloat16
    assert runtime.compute_dtype("float32", elsewhere) == jnp.float32


def test_a_mesh_of_given_devices():
    (device, *_) = jax.devices()
    mesh = make_mesh(-1, 1, 1, [device])
    assert dict(mesh.shape) == {"data": 1, "fsdp": 1, "tensor": 1}
    assert mesh.devices.flat[0] is device
    with pytest.raises(UserError, match="number of devices, 1"):
        make_mesh(1, 2, 1, [device])


def test_the_shapes_of_a_batch_lie_where_its_arrays_do():
    mesh = make_mesh()
    batch = {"ids": np.zeros((8 * mesh.size, 4), np.int32)}
    (shape,) = jax.tree.leaves(abstract_batch(batch, mesh))
    assert (shape.shape, shape.dtype) == ((8 * mesh.size, 4), np.int32)
    assert shape.sharding.spec == BATCH
