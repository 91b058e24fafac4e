"""What compiling leaves in the heap goes back to the system."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from toner_jax.parallel import runtime


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


def test_memory_is_returned_after_each_compilation_and_never_between(trimmed):
    runtime.set_up_compilation()
    runtime.set_up_compilation()
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
