"""The least time that a program can take on a device, by what the device's maker promises.

A lower bound and no measurement: launches, waiting, random numbers and what else a kernel does besides products and
memory traffic take no time here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from toner_jax.parallel.hlo import Collective, Kernel, Program
from toner_jax.parallel.peak import Figures

# An all-reduce sends its sums around once more than the others.
_TRAFFIC = {"all-reduce": 2}


@dataclass(frozen=True)
class Machine:
    """The devices of a mesh, all of one kind.

    Attributes:
      figures: of each.
      hosts: the host of each, in the mesh's order.
    """

    figures: Figures
    hosts: Sequence[int]


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


def roofline(program: Program, machine: Machine) -> Roofline:
    """That of a program."""
    kernels = sum(_seconds(kernel, machine.figures) * kernel.count for kernel in program.kernels)
    collectives = sum(_exchange(c, machine) * c.count for c in program.collectives)
    return Roofline(kernels, collectives)


def _exchange(collective: Collective, machine: Machine) -> float:
    """Seconds of one run of a collective: over the links within hosts, or over the network between them, whichever
    takes longer.

    What a group exchanges comes into each of its H hosts but for the host's own 1/H, shared out to the network cards of
    the group's devices there: a lower bound, as NCCL's trees and rings come near it.
    """
    moved = _TRAFFIC.get(collective.kind, 1) * collective.bytes
    network = 0.0
    for group in collective.groups or (range(len(machine.hosts)),):
        on = Counter(machine.hosts[device] for device in group)
        # A permutation's groups are pairs, of which one sends all to the other.
        share = 1 if collective.kind == "collective-permute" else (len(on) - 1) / len(on)
        if len(on) > 1:
            network = max(network, moved * share / min(on.values()) / machine.figures.network)
    return max(moved / machine.figures.link, network)


def _seconds(kernel: Kernel, figures: Figures) -> float:
    products = 0.0
    for product in kernel.products:
        wide = product.lhs.dtype == product.rhs.dtype == "f32"
        products += product.flops / (figures.wide_flops if wide else figures.flops)
    return max(products, kernel.bytes / figures.bandwidth)
