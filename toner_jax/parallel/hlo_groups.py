"""Which devices a collective of a compiled program joins, in every way that HLO writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Groups = tuple[tuple[int, ...], ...]

_LISTED = re.compile(r"(?:replica_groups|source_target_pairs)=\{((?:\{[\d,]*\},?)*)\}")
_IOTA = re.compile(r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?")
_MESH = re.compile(
    r"replica_groups=@?[\w.]*mesh\[([^\]]*)\]"  # the sizes of the axes
    r"(?:,? ?device_ids=\(?\[([\d,]+)\](?:T\(([\d,]+)\))?\)?)?"  # the order of the devices
    r" ?\{([^}]*)\}"  # the axes that are joined
)
_AXIS = re.compile(r"'([^']*)'(?:=(\d+)|:\((\d+)\)(\d+))?")


def read_groups(attributes: str) -> Groups | None:
    """The groups of devices of a collective, of a permutation its pairs.

    Returns:
      () where all devices are one group; None where the text has no groups that are understood.
    """
    if found := _LISTED.search(attributes):
        return tuple(tuple(_numbers(group)) for group in re.findall(r"\{([\d,]*)\}", found.group(1)))
    if found := _IOTA.search(attributes):
        return _rows(_iota(found.group(2), found.group(3)).reshape(_numbers(found.group(1))))
    if found := _MESH.search(attributes):
        return _of_mesh(*found.groups())
    return None


def _numbers(text: str) -> list[int]:
    return [int(n) for n in text.split(",") if n]


def _rows(devices: np.ndarray) -> Groups:
    return tuple(tuple(int(d) for d in row) for row in devices)


def _iota(dims: str, transposed: str | None) -> np.ndarray:
    sizes = _numbers(dims)
    devices = np.arange(int(np.prod(sizes))).reshape(sizes)
    return devices.transpose(_numbers(transposed)) if transposed else devices


@dataclass(frozen=True)
class _Part:
    """A factor of a mesh axis, the `place`th dimension of the devices once all axes are factored."""

    axis: str
    before: int
    size: int


def _of_mesh(axes: str, device_dims: str | None, transposed: str | None, joined: str) -> Groups:
    """`mesh['a'=2,'b'=4] {'b'}`: devices that differ in the joined axes alone form a group; `'b':(2)2` is the
    factor of an axis that has 2 before it and is 2 long."""
    sizes = {name: int(size) for name, size, _, _ in _AXIS.findall(axes)}
    wanted = [
        _Part(name, int(before or 1), int(size or sizes[name]))
        for name, _, before, size in _AXIS.findall(joined)
    ]
    parts = [part for name, size in sizes.items() for part in _factors(name, size, wanted)]
    count = int(np.prod(list(sizes.values())))
    devices = (_iota(device_dims, transposed) if device_dims else np.arange(count)).reshape(
        [p.size for p in parts]
    )
    inside = [parts.index(part) for part in wanted]
    outside = [place for place in range(len(parts)) if place not in inside]
    length = int(np.prod([part.size for part in wanted]))
    return _rows(devices.transpose([*outside, *inside]).reshape(-1, length))


def _factors(axis: str, size: int, wanted: list[_Part]) -> list[_Part]:
    """An axis cut where a wanted factor of it begins or ends."""
    cuts = {1, size}
    for part in wanted:
        if part.axis == axis:
            cuts |= {part.before, part.before * part.size}
    ordered = sorted(cuts)
    found = [_Part(axis, a, b // a) for a, b in pairwise(ordered)]
    return found or [_Part(axis, 1, 1)]
