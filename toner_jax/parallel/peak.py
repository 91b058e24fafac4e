"""How fast a device is, by its maker and measured, and how much memory it has used."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from toner_jax.parallel.processes import on_first


@dataclass(frozen=True)
class Figures:
    """What the maker's data sheet promises of a device.

    Attributes:
      flops: of dense bfloat16 products, a second.
      wide_flops: of products of float32 as JAX multiplies them by default: in TF32 on GPUs, in bfloat16 on TPUs.
      bandwidth: bytes of its memory that are read or written a second.
      link: bytes a second that it sends to others beside it while it receives as many: over NVLink, or over all links
        of a TPU together.
      memory: bytes.
      network: bytes a second that each device has between hosts, of the machines that makers and clouds sell; of TPUs
        as `link`, as their links join hosts, too.
    """

    flops: float
    wide_flops: float
    bandwidth: float
    link: float
    memory: int
    network: float


def _figures(
    tflops: float, wide: float, terabytes: float, link: float, memory: float, network: float | None = None
) -> Figures:
    return Figures(
        1e12 * tflops,
        1e12 * wide,
        1e12 * terabytes,
        1e9 * link,
        round(memory * 2**30),
        1e9 * (link if network is None else network),
    )


# A short name, the `device_kind` that JAX tells, and of each: TFLOP/s, those of float32, TB/s, GB/s, GiB, and GB/s
# between hosts: a network card of 200 Gbit/s for each A100, of 400 for each of the others.
_DEVICES = (
    ("A100 40 GB", r"A100.*40GB", _figures(312, 156, 1.555, 300, 39.4, 25)),
    ("A100 80 GB", r"A100", _figures(312, 156, 2.0, 300, 79.2, 25)),
    ("H100", r"H100 \d+GB HBM3$", _figures(989, 494.5, 3.35, 450, 79.1, 50)),  # SXM; the card's other forms are slower
    ("H200", r"H200$", _figures(989, 494.5, 4.8, 450, 139.8, 50)),
    ("TPU v4", r"TPU v4$", _figures(275, 275, 1.2, 270, 32)),
    ("TPU v5e", r"TPU v5 ?(lite|e)$", _figures(197, 197, 0.81, 180, 16)),
    ("TPU v5p", r"TPU v5p?$", _figures(459, 459, 2.765, 540, 95)),
    ("TPU v6e", r"TPU v6 ?(lite|e)$", _figures(918, 918, 1.64, 360, 32)),
)  # fmt: skip
_CPU_SIZE, _SIZE = 2048, 8192  # of the matrices that are multiplied to measure a device


def figures(device_kind: str) -> Figures | None:
    """Those of a device; None where they are not known."""
    return next((found for _, pattern, found in _DEVICES if re.search(pattern, device_kind)), None)


def memories() -> dict[str, int]:
    """The bytes of memory of all devices whose figures are known, by a short name."""
    return {name: found.memory for name, _, found in _DEVICES}


def peak_flops(device_kind: str, dtype: Any) -> float | None:
    """FLOP/s that the maker promises a device for products of this dtype; None where that is not known."""
    found = figures(device_kind)
    return found.flops if found and jnp.dtype(dtype) == jnp.bfloat16 else None


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
    """The bytes of a device that its process may use; of one that is not here, those that its maker says; None where
    neither is known. Of several processes all ask at once, and hear what the first knows: they decide alike by it."""
    return on_first(lambda: _known_limit(device))


def _known_limit(device: jax.Device) -> int | None:
    try:
        found = (device.memory_stats() or {}).get("bytes_limit")
    except jax.errors.JaxRuntimeError:  # a device that programs are only compiled for
        found = None
    known = figures(device.device_kind)
    return found or (known.memory if known else None)


def peak_bytes(device: jax.Device) -> int | None:
    """The most memory of a device that this process has used at a time; None where the device does not tell."""
    stats = device.memory_stats() or {}
    return stats.get("peak_bytes_in_use")
