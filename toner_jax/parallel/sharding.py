"""Where parameters and moments live: an ordered table of regexes over parameter paths gives each one's `PartitionSpec`.

The rows stand with their architectures: `SHARDING` in `models/t5/architecture.py` and in
`models/bert/architecture.py`, that of the type head in `models/toner.py`. Column-parallel layers split their outputs
over `tensor`, the row-parallel ones that follow split their inputs, so that a pair needs a single all-reduce; `fsdp`
takes the other dimension. A preset says which of the mesh's axes stand behind these two names:

* "replicated": none; every device holds all of the state.
* "zero1": none for parameters; the moments are split over (data, fsdp) jointly, and over tensor.
* "fsdp": as the names say, for parameters and moments alike.
* "tensor": tensor alone for parameters; the moments are split over (data, fsdp) besides.
* "auto": as the mesh asks: "fsdp" where it has that axis, or else "tensor" where it has that one, or else "zero1".

Activations are split by rows, heads and hidden units under each of them (`parallel.activations`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from toner_jax.parallel.mesh import ROWS

AUTO = "auto"
PRESETS = ("replicated", "zero1", "fsdp", "tensor")  # besides AUTO

Names = Mapping[str, tuple[str, ...]]  # the axes of the mesh behind a name in the table
_JOINTLY: Names = {"fsdp": ROWS, "tensor": ("tensor",)}
_AS_NAMED: Names = {"fsdp": ("fsdp",), "tensor": ("tensor",)}
_OF_PARAMETERS: Mapping[str, Names] = {
    "replicated": {},
    "zero1": {},
    "fsdp": _AS_NAMED,
    "tensor": {"tensor": ("tensor",)},
}
_OF_MOMENTS: Mapping[str, Names] = {
    "replicated": {},
    "zero1": _JOINTLY,
    "fsdp": _AS_NAMED,
    "tensor": _JOINTLY,
}


@dataclass(frozen=True)
class ShardingRules:
    """The rows of an architecture; the first whose pattern is found in a parameter's path decides.

    Attributes:
      rows: (regex, the spec of the parameter's dimensions); dimensions past the spec's end are not split.
    """

    rows: tuple[tuple[str, P], ...]

    def __add__(self, other: ShardingRules) -> ShardingRules:
        """These rows, then the other's."""
        return ShardingRules(self.rows + other.rows)

    def spec(self, path: str, shape: tuple[int, ...], mesh: Mesh, names: Names = _AS_NAMED) -> P:
        """The spec of one parameter.

        Axes that do not divide their dimension, as with most vocabularies, join those of another dimension if they
        divide that one together, and are left out if not.

        Args:
          names: the axes of the mesh behind the names in the table; those that it lacks split nothing.

        Raises:
          ValueError: no row covers the path.
        """
        for pattern, spec in self.rows:
            if re.search(pattern, path):
                wanted = [names.get(name, ()) if name else () for name in tuple(spec)[: len(shape)]]
                return _fitting(wanted, shape, mesh)
        raise ValueError(f"no sharding rule covers parameter {path!r}")


def _fitting(wanted: Sequence[tuple[str, ...]], shape: tuple[int, ...], mesh: Mesh) -> P:
    split: list[tuple[str, ...]] = [()] * len(wanted)
    # Those of more devices first: they have the fewest places to be.
    order = sorted(range(len(wanted)), key=lambda i: -_size(wanted[i], mesh))
    for i in order:
        for at in (i, *(j for j in order if j != i)):
            together = split[at] + wanted[i]
            if wanted[i] and shape[at] % _size(together, mesh) == 0:
                split[at] = together
                break
    while split and not split[-1]:
        split.pop()
    return P(*(axes if len(axes) > 1 else axes[0] if axes else None for axes in split))


def _size(axes: tuple[str, ...], mesh: Mesh) -> int:
    return prod(mesh.shape[axis] for axis in axes)


def path_string(path: tuple[Any, ...]) -> str:
    """A pytree path as `encoder/layers_0/self_attention/query/kernel`."""
    return "/".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path)


def preset_on(mesh: Mesh, preset: str) -> str:
    """One of `PRESETS`, or what "auto" is on this mesh."""
    if preset != AUTO:
        return preset
    return "fsdp" if mesh.shape["fsdp"] > 1 else "tensor" if mesh.shape["tensor"] > 1 else "zero1"


def parameter_shardings(shapes: Any, mesh: Mesh, rules: ShardingRules, preset: str = AUTO) -> Any:
    """A `NamedSharding` per parameter of a tree of arrays or shapes, under one of `PRESETS` or "auto".

    Raises:
      ValueError: no rule covers a parameter.
    """
    names = _OF_PARAMETERS[preset_on(mesh, preset)]

    def one(path: Any, leaf: Any) -> NamedSharding:
        return NamedSharding(mesh, rules.spec(path_string(path), leaf.shape, mesh, names))

    return jax.tree_util.tree_map_with_path(one, shapes)


def state_shardings(shapes: Mapping[str, Any], mesh: Mesh, preset: str, rules: ShardingRules) -> Any:
    """Shardings of a train state `{"params", "opt_state", …}` under one of `PRESETS` or "auto".

    A moment is recognised by its path, which ends in its parameter's.

    Raises:
      ValueError: no rule covers a parameter.
    """
    params = jax.tree_util.tree_leaves_with_path(shapes["params"])
    owners = {path_string(path): leaf.shape for path, leaf in params}
    names = _OF_MOMENTS[preset_on(mesh, preset)]

    def one(path: Any, leaf: Any) -> NamedSharding:
        name = path_string(path)
        owner = next((p for p in _suffixes(name) if owners.get(p) == leaf.shape), None)
        spec = rules.spec(name, leaf.shape, mesh, names) if owner else P()
        return NamedSharding(mesh, spec)

    rest = {name: tree for name, tree in shapes.items() if name != "params"}
    return {
        **jax.tree_util.tree_map_with_path(one, rest),
        "params": parameter_shardings(shapes["params"], mesh, rules, preset),
    }


def placed(shapes: Any, shardings: Any) -> Any:
    """A tree of arrays or shapes, as shapes that know where they lie."""
    return jax.tree.map(lambda s, p: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=p), shapes, shardings)


def device_bytes(tree: Any) -> int:
    """What a tree of arrays, or of shapes with shardings, takes of one device."""
    return sum(
        prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)
    )


def gradient_shardings(state: Mapping[str, Any]) -> Any:
    """Of a train state's arrays or shapes: where the gradient of each parameter is reduced to, which is where its
    moments are, so that each device sums its own share and no other. Where there are no moments, the parameter's own.
    """
    moments: dict[tuple[str, tuple[int, ...]], Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(state["opt_state"]):
        for suffix in _suffixes(path_string(path)):
            moments.setdefault((suffix, leaf.shape), leaf.sharding)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: moments.get((path_string(path), leaf.shape), leaf.sharding), state["params"]
    )


def _suffixes(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[i:]) for i in range(len(parts)))
