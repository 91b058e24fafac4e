"""Where arrays live: one mesh, one ordered table of regexes over parameter paths.

The first pattern that matches a path decides; a parameter that none matches is an error. Each row gives
the `PartitionSpec` of two-dimensional [in, out] kernels and embeddings; one-dimensional parameters are
replicated. The same table, under the two presets, shards parameters and optimizer moments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

# Column-parallel layers split their outputs over `tensor`, the row-parallel ones that follow split
# their inputs, so that a pair needs a single all-reduce. `fsdp` takes the other dimension.
RULES: tuple[tuple[str, P], ...] = (
    (r"attention/(query|key|value)/kernel$", P("fsdp", "tensor")),
    (r"attention/out/kernel$", P("tensor", "fsdp")),
    (r"(feed_forward/wi(_0|_1)?|intermediate)/kernel$", P("fsdp", "tensor")),
    (r"(feed_forward/wo|output)/kernel$", P("tensor", "fsdp")),
    (r"(shared|word_embeddings)/embedding$", P("tensor", "fsdp")),
    (r"lm_head/kernel$", P("fsdp", "tensor")),
    (r"(position_embeddings)/embedding$", P(None, "fsdp")),
    (r"(token_type_embeddings|relative_attention_bias)/embedding$", P()),
    (r"(type_head/(dense|out)|pooler)/kernel$", P()),
    (r"(scale|bias)$", P()),
)


def path_string(path: tuple[Any, ...]) -> str:
    """A pytree path as `encoder/layers_0/self_attention/query/kernel`."""
    return "/".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path)


def parameter_spec(path: str, shape: tuple[int, ...], mesh: Mesh) -> P:
    """The spec of one parameter; an axis that does not divide its dimension is left out.

    Raises:
      ValueError: no rule covers the path.
    """
    for pattern, spec in RULES:
        if re.search(pattern, path):
            return P(
                *(
                    axis if axis is not None and size % mesh.shape[axis] == 0 else None
                    for axis, size in zip(tuple(spec), shape, strict=False)
                )
            )
    raise ValueError(f"no sharding rule covers parameter {path!r}")


def parameter_shardings(shapes: Any, mesh: Mesh) -> Any:
    """A `NamedSharding` per parameter of a tree of arrays or shapes."""

    def one(path, leaf):
        return NamedSharding(mesh, parameter_spec(path_string(path), leaf.shape, mesh))

    return jax.tree_util.tree_map_with_path(one, shapes)


def state_shardings(shapes: Mapping[str, Any], mesh: Mesh, preset: str) -> Any:
    """Shardings of a train state `{"params", "opt_state", …}`.

    Under "fsdp" parameters and moments follow the table; under "zero1" parameters are replicated and
    only the moments follow it. A moment is recognised by its path, which ends in its parameter's.
    """
    moments = {
        path_string(p): leaf.shape for p, leaf in jax.tree_util.tree_leaves_with_path(shapes["params"])
    }

    def one(path, leaf):
        name = path_string(path)
        if name.startswith("params/"):
            replicated = preset == "zero1"
            spec = P() if replicated else parameter_spec(name, leaf.shape, mesh)
        else:
            owner = next((p for p in _suffixes(name) if p in moments), None)
            same = owner is not None and moments[owner] == leaf.shape
            spec = parameter_spec(name, leaf.shape, mesh) if same else P()
        return NamedSharding(mesh, spec)

    return jax.tree_util.tree_map_with_path(one, dict(shapes))


def _suffixes(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[i:]) for i in range(len(parts))]
