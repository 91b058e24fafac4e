"""Where arrays live: an ordered table of regexes over parameter paths gives each one's `PartitionSpec`.

The rows stand with their architectures: `SHARDING` in `models/t5/architecture.py` and in
`models/bert/architecture.py`, that of the type head in `models/toner.py`. The same rows, under the two presets, shard
parameters and optimizer moments.

Column-parallel layers split their outputs over `tensor`, the row-parallel ones that follow split their inputs, so
that a pair needs a single all-reduce; `fsdp` takes the other dimension.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P


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

    def spec(self, path: str, shape: tuple[int, ...], mesh: Mesh) -> P:
        """The spec of one parameter; an axis that does not divide its dimension is left out.

        Raises:
          ValueError: no row covers the path.
        """
        for pattern, spec in self.rows:
            if re.search(pattern, path):
                return P(
                    *(
                        axis if axis is not None and size % mesh.shape[axis] == 0 else None
                        for axis, size in zip(tuple(spec), shape, strict=False)
                    )
                )
        raise ValueError(f"no sharding rule covers parameter {path!r}")


def path_string(path: tuple[Any, ...]) -> str:
    """A pytree path as `encoder/layers_0/self_attention/query/kernel`."""
    return "/".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path)


def parameter_shardings(shapes: Any, mesh: Mesh, rules: ShardingRules) -> Any:
    """A `NamedSharding` per parameter of a tree of arrays or shapes."""

    def one(path: Any, leaf: Any) -> NamedSharding:
        return NamedSharding(mesh, rules.spec(path_string(path), leaf.shape, mesh))

    return jax.tree_util.tree_map_with_path(one, shapes)


def state_shardings(shapes: Mapping[str, Any], mesh: Mesh, preset: str, rules: ShardingRules) -> Any:
    """Shardings of a train state `{"params", "opt_state", …}`.

    Under "fsdp" parameters and moments follow the rules; under "zero1" parameters are replicated and
    only the moments follow them. A moment is recognised by its path, which ends in its parameter's.

    Raises:
      ValueError: no rule covers a parameter.
    """
    moments = {
        path_string(p): leaf.shape for p, leaf in jax.tree_util.tree_leaves_with_path(shapes["params"])
    }

    def one(path: Any, leaf: Any) -> NamedSharding:
        name = path_string(path)
        if name.startswith("params/"):
            replicated = preset == "zero1"
            spec = P() if replicated else rules.spec(name, leaf.shape, mesh)
        else:
            owner = next((p for p in _suffixes(name) if p in moments), None)
            same = owner is not None and moments[owner] == leaf.shape
            spec = rules.spec(name, leaf.shape, mesh) if same else P()
        return NamedSharding(mesh, spec)

    return jax.tree_util.tree_map_with_path(one, dict(shapes))


def _suffixes(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[i:]) for i in range(len(parts))]
