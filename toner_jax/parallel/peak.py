"""How fast a device multiplies matrices, and how much memory it has used."""

from __future__ import annotations

import re
import time
from typing import Any

import jax
import jax.numpy as jnp

# Dense bfloat16 products in TFLOP/s, by the `device_kind` that JAX tells, as the makers' data sheets have them.
_PEAKS = (
    (r"A100", 312.0),
    (r"H100 \d+GB HBM3$", 989.0),  # SXM; the other forms of this card are slower
    (r"H200$", 989.0),
    (r"TPU v4$", 275.0),
    (r"TPU v5 ?(lite|e)$", 197.0),
    (r"TPU v5p?$", 459.0),
    (r"TPU v6 ?(lite|e)$", 918.0),
)
_CPU_SIZE, _SIZE = 2048, 8192  # of the matrices that are multiplied to measure a device


def peak_flops(device_kind: str, dtype: Any) -> float | None:
    """FLOP/s that the maker promises a device for products of this dtype; None where that is not known."""
    if jnp.dtype(dtype) != jnp.bfloat16:
        return None
    return next((1e12 * peak for pattern, peak in _PEAKS if re.search(pattern, device_kind)), None)


def measured_flops(device: jax.Device, dtype: Any, seconds: float = 0.3) -> float:
    """FLOP/s of a large matrix product on a device."""
    size = _CPU_SIZE if device.platform == "cpu" else _SIZE
    # Random: a product of zeros can be faster.
    x = jax.device_put(jax.random.normal(jax.random.key(0), (size, size), jnp.dtype(dtype)), device)
    product = jax.jit(lambda a: a @ a)
    product(x).block_until_ready()
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        product(x).block_until_ready()
        count += 1
    return count * 2 * size**3 / (time.perf_counter() - begun)


def memory_limit(device: jax.Device) -> int | None:
    """The bytes of a device that this process may use; None where the device does not tell."""
    return (device.memory_stats() or {}).get("bytes_limit")


def peak_bytes(device: jax.Device) -> int | None:
    """The most memory of a device that this process has used at a time; None where the device does not tell."""
    stats = device.memory_stats() or {}
    return stats.get("peak_bytes_in_use")
