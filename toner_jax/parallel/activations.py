"""Where activations lie on a mesh, and weights while they are used.

The mesh is that of the array itself: JAX knows it while it traces, and an array that lies on none, or on a single
device, stays as it is. Without these constraints the partitioner follows the parameters' splits into the activations: a
table that is split by features then splits the states by features too, and what is moved grows with the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import jax
from jax.sharding import AbstractMesh, AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from toner_jax.parallel.mesh import BATCH, ROWS

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
    """The mesh on which an array lies, also while it is traced; None for none, or where it leaves nothing to split: a
    single device, or a function of `on_each_replica` on a mesh of rows alone."""
    mesh: AbstractMesh | None = getattr(jax.typeof(x).sharding, "mesh", None)
    if mesh is None or mesh.empty or prod(mesh.shape[axis] for axis in _free(mesh)) == 1:
        return None
    return mesh


def on_each_replica(function: Callable[[Any, Any], Any], mesh: AbstractMesh, whole: Any, rows: Any) -> Any:
    """`function(whole, rows)` of each replica on its own, one for each place of the mesh's `ROWS`: its loops may end
    when they like, and wait for no other replica.

    Args:
      mesh: as `mesh_of` gives it.
      whole: arrays that each replica has all of; those that are split over `ROWS` are gathered once, before the
        function. What the tensor axis splits stays split.
      rows: arrays whose first dimension is shared out, in order; so is that of what the function returns.
    """
    # What is the same on all replicas and what is not is known here; that loops begin with constants hides it from JAX.
    return jax.shard_map(
        function,
        mesh=mesh,
        in_specs=(P(), BATCH),
        out_specs=BATCH,
        axis_names=set(ROWS),
        check_vma=False,
    )(whole, rows)


def on_mesh(x: jax.Array, mesh: AbstractMesh | None, *axes: Axes) -> jax.Array:
    """`split` of an array that a program makes anew, and that lies nowhere yet."""
    return x if mesh is None else _constrained(x, _fitting(x, mesh, axes))


def _constrained(x: jax.Array, sharding: NamedSharding) -> jax.Array:
    placed: jax.Array = jax.lax.with_sharding_constraint(x, sharding)
    return placed


def _fitting(x: jax.Array, mesh: AbstractMesh, axes: tuple[Axes, ...]) -> NamedSharding:
    free = _free(mesh)
    wanted = [
        tuple(a for a in ((axis,) if isinstance(axis, str) else axis or ()) if a in free) for axis in axes
    ]
    divided = [
        axis if n % prod(mesh.shape[a] for a in axis) == 0 else None
        for axis, n in zip(wanted, x.shape, strict=False)
    ]
    return NamedSharding(mesh, P(*divided))


def _free(mesh: AbstractMesh) -> list[str]:
    """The axes that split arrays here: inside `on_each_replica` those of rows split none."""
    return [
        axis for axis, kind in zip(mesh.axis_names, mesh.axis_types, strict=True) if kind == AxisType.Auto
    ]


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _placed(x: jax.Array, sharding: NamedSharding) -> jax.Array:
    return _constrained(x, sharding)


def _placed_forward(x: jax.Array, sharding: NamedSharding) -> tuple[jax.Array, None]:
    return _placed(x, sharding), None


def _placed_backward(sharding: NamedSharding, _: None, gradient: jax.Array) -> tuple[jax.Array]:
    return (gradient,)


_placed.defvjp(_placed_forward, _placed_backward)
