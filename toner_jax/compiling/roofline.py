"""The least time that a program can take on a device, by what the device's maker promises.

A lower bound and no measurement: launches, waiting, random numbers and what else a kernel does besides products and
memory traffic take no time here.
"""

from __future__ import annotations

from dataclasses import dataclass

from toner_jax.parallel.hlo import Kernel, Program
from toner_jax.parallel.peak import Figures

# An all-reduce sends its sums around once more than the others.
_TRAFFIC = {"all-reduce": 2}


@dataclass(frozen=True)
class Roofline:
    """Seconds of one run on one device.

    Attributes:
      kernels: one after the other, each by its products or by its memory traffic, whichever is longer.
      collectives: one after the other.
    """

    kernels: float
    collectives: float

    @property
    def one_by_one(self) -> float:
        """Without any overlap."""
        return self.kernels + self.collectives

    @property
    def overlapped(self) -> float:
        """With all collectives behind kernels, or all kernels behind collectives."""
        return max(self.kernels, self.collectives)


def roofline(program: Program, figures: Figures) -> Roofline:
    """That of a program."""
    kernels = sum(_seconds(kernel, figures) * kernel.count for kernel in program.kernels)
    moved = sum(_TRAFFIC.get(c.kind, 1) * c.bytes * c.count for c in program.collectives)
    return Roofline(kernels, moved / figures.link)


def _seconds(kernel: Kernel, figures: Figures) -> float:
    products = 0.0
    for product in kernel.products:
        wide = product.lhs.dtype == product.rhs.dtype == "f32"
        products += product.flops / (figures.wide_flops if wide else figures.flops)
    return max(products, kernel.bytes / figures.bandwidth)
