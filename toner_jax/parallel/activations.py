"""Where activations lie on a mesh, and weights while they are used.

The mesh is that of the array itself: JAX knows it while it traces, and an array that lies on none, or on a single
device, stays as it is. Without these constraints the partitioner follows the parameters' splits into the activations: a
table that is split by features then splits the states by features too, and what is moved grows with the batch.
"""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import jax
from jax.sharding import AbstractMesh, NamedSharding
from jax.sharding import PartitionSpec as P

TENSOR = "tensor"  # of heads, hidden units and vocabularies

Axes = str | tuple[str, ...] | None


def split(x: jax.Array, *axes: Axes) -> jax.Array:
    """The array, with its dimension i split over the mesh's `axes[i]`; None and those past the end are not split.

    Axes that do not divide their dimension are left out. So is the gradient's place.
    """
    return on_mesh(x, mesh_of(x), *axes)


def gathered(weights: jax.Array, *axes: Axes) -> jax.Array:
    """Weights as they are used: split over `axes` alone, whatever they are stored over besides.

    Their gradient is left where the optimizer wants it: it is reduced onto its shards, never gathered.
    """
    mesh = mesh_of(weights)
    return weights if mesh is None else _placed(weights, _fitting(weights, mesh, axes))


def mesh_of(x: Any) -> AbstractMesh | None:
    """The mesh on which an array lies, also while it is traced; None for none, or a single device."""
    mesh = getattr(jax.typeof(x).sharding, "mesh", None)
    return None if mesh is None or mesh.empty or mesh.size == 1 else mesh


def on_mesh(x: jax.Array, mesh: AbstractMesh | None, *axes: Axes) -> jax.Array:
    """`split` of an array that a program makes anew, and that lies nowhere yet."""
    return x if mesh is None else _constrained(x, _fitting(x, mesh, axes))


def _constrained(x: jax.Array, sharding: NamedSharding) -> jax.Array:
    placed: jax.Array = jax.lax.with_sharding_constraint(x, sharding)
    return placed


def _fitting(x: jax.Array, mesh: AbstractMesh, axes: tuple[Axes, ...]) -> NamedSharding:
    sizes = [prod(mesh.shape[a] for a in ((axis,) if isinstance(axis, str) else axis or ())) for axis in axes]
    divided = [axis if n % size == 0 else None for axis, n, size in zip(axes, x.shape, sizes, strict=False)]
    return NamedSharding(mesh, P(*divided))


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _placed(x: jax.Array, sharding: NamedSharding) -> jax.Array:
    return _constrained(x, sharding)


def _placed_forward(x: jax.Array, sharding: NamedSharding) -> tuple[jax.Array, None]:
    return _placed(x, sharding), None


def _placed_backward(sharding: NamedSharding, _: None, gradient: jax.Array) -> tuple[jax.Array]:
    return (gradient,)


_placed.defvjp(_placed_forward, _placed_backward)
