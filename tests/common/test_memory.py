"""Memory that runs out is told in one line, whichever library says so; what else fails is not."""

from __future__ import annotations

import pytest

from toner_jax.common import memory
from toner_jax.common.memory import out_of_memory, told_of_memory
from toner_jax.errors import UserError


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError(), "out of memory on the host"),
        (MemoryError("Unable to allocate 4 TiB"), "out of memory on the host (Unable to allocate 4 TiB)"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 34.2GiB.\n\nMore"),
            "out of memory on the device (Out of memory while trying to allocate 34.2GiB.)",
        ),
        (
            RuntimeError("INTERNAL: CUDA_ERROR_OUT_OF_MEMORY"),
            "out of memory on the device (CUDA_ERROR_OUT_OF_MEMORY)",
        ),
        (RuntimeError("RESOURCE_EXHAUSTED: " + "x" * 999), f"out of memory on the device ({'x' * 160}…)"),
        (ValueError("RESOURCE_EXHAUSTED: Error writing a: No space left on device"), ""),
        (RuntimeError("INVALID_ARGUMENT: shapes"), ""),
        (UserError("decoding: out of memory on the host; lower it"), ""),
        (OSError(12, "Cannot allocate memory"), ""),
        (ZeroDivisionError(), ""),
    ],
)
def test_what_ran_out(error, what):
    assert out_of_memory(error) == what
    expected = UserError if what else type(error)
    with pytest.raises(expected) as found, told_of_memory("decoding", "lower it"):
        raise error
    assert str(found.value) == (f"decoding: {what}; lower it" if what else str(error))


def test_a_container_has_its_own_share(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    whole = memory.available_bytes()
    assert 0 < whole < 1 << 50
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("3000\n")
    assert memory.available_bytes() > 1 << 20  # no limit
    (tmp_path / "memory.max").write_text("10000\n")
    assert memory.available_bytes() == 7_000
    (tmp_path / "memory.max").write_text("2000\n")
    assert memory.available_bytes() == 0
