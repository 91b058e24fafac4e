"""What a training's steps take: how fast it is, and how much of its devices it uses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from toner_jax.parallel.peak import measured_flops, peak_bytes, peak_flops
from toner_jax.pipeline.batching import HostBatch


@dataclass(frozen=True)
class Compute:
    """What FLOPs mean in a training.

    Attributes:
      flops: of a batch: the matrix products that its real tokens need, forward and backward.
      peak: FLOP/s of all devices together.
    """

    flops: Callable[[HostBatch], float]
    peak: Callable[[], float]


def compute_of(flops: Callable[[HostBatch], float], mesh: Mesh, dtype: Any) -> Compute:
    """By the makers' peak of the mesh's devices, or, where that is not known, by the speed of a large product, which is
    measured once."""
    device = mesh.local_devices[0]
    return Compute(flops, lambda: mesh.size * _flops_of(device, np.dtype(dtype)))


@cache
def _flops_of(device: jax.Device, dtype: np.dtype[Any]) -> float:
    return peak_flops(device.device_kind, dtype) or measured_flops(device, dtype)


@dataclass
class _Sums:
    """Of the steps since it was begun; `seconds` are those spent in them."""

    steps: int = 0
    examples: int = 0
    tokens: int = 0
    positions: int = 0
    flops: float = 0.0
    seconds: float = 0.0


class Throughput:
    """Counts the batches of a training, and its time without what is `apart` from it."""

    def __init__(self, compute: Compute | None, device: jax.Device):
        """`device`: the one whose memory is told."""
        self._compute, self._device = compute, device
        if compute:
            compute.peak()  # measured before the time begins
        self._sums, self._logged = _Sums(), _Sums()
        self._begun = time.monotonic()
        self._apart: dict[str, float] = {}

    def add(self, batch: HostBatch) -> None:
        """A step takes this batch."""
        s = self._sums
        s.steps += 1
        s.examples += len(batch.ids)
        for name, lengths in batch.lengths.items():
            s.tokens += int(lengths.sum())
            # Where a batch says which cells hold tokens, these are what is computed.
            s.positions += batch.arrays.get(f"{name}_cells", batch.arrays[name]).size
        s.flops += self._compute.flops(batch) if self._compute else 0.0

    @contextmanager
    def apart(self, what: str) -> Iterator[None]:
        """The time within is none of a step: it is "evaluation" or "compilation"."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self._apart[what] = self._apart.get(what, 0.0) + time.monotonic() - begun

    def since(self) -> dict[str, float]:
        """The rates of the steps since this was asked last."""
        self._wall()
        now = _Sums(*astuple(self._sums))
        last, self._logged = self._logged, now
        return self._rates(_Sums(*(a - b for a, b in zip(astuple(now), astuple(last), strict=True))))

    def total(self) -> dict[str, float]:
        """Those of all steps, and where the time went besides."""
        wall = self._wall()
        shares = {f"{what}_share": seconds / wall for what, seconds in self._apart.items()}
        return {"seconds": wall, "evaluation_share": 0.0, **shares, **self._rates(self._sums)}

    def _wall(self) -> float:
        """The seconds so far, of which what is not apart counts as the steps'."""
        wall = time.monotonic() - self._begun
        self._sums.seconds = wall - sum(self._apart.values())
        return wall

    def _rates(self, sums: _Sums) -> dict[str, float]:
        seconds = max(sums.seconds, 1e-9)
        rates = {
            "examples_per_second": sums.examples / seconds,
            "step_ms": 1000 * seconds / max(sums.steps, 1),
        }
        if sums.positions:
            rates["tokens_per_second"] = sums.tokens / seconds
            rates["padding_share"] = 1 - sums.tokens / sums.positions
        if self._compute and sums.flops:
            rates["teraflops_per_second"] = sums.flops / seconds / 1e12
            rates["mfu"] = sums.flops / seconds / self._compute.peak()
        if peak := peak_bytes(self._device):
            rates["peak_memory_bytes"] = peak
        return rates


def in_words(rates: Mapping[str, float]) -> str:
    """The rates that a reader of a log line looks for."""
    words = f"{rates['examples_per_second']:.0f} examples/s"
    if "tokens_per_second" in rates:
        words += f"  {rates['tokens_per_second']:,.0f} tokens/s"
    if "mfu" in rates:
        words += f"  MFU {rates['mfu']:.0%}"
    return words
