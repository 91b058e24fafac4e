"""The mesh of devices, and how batches lie on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from toner_jax.errors import UserError
from toner_jax.parallel.processes import several

AXES = ("data", "fsdp", "tensor")
ROWS = ("data", "fsdp")  # what the rows of a batch are split over
BATCH = P(ROWS)  # of arrays whose rows are samples


def all_devices() -> list[jax.Device]:
    """The devices of all processes.

    Raises:
      UserError: JAX finds none of the kind that it is told to use.
    """
    try:
        return jax.devices()
    except (RuntimeError, AssertionError) as error:  # the latter where a kind's plugin is not installed
        asked = jax.config.values["jax_platforms"]
        if not asked:
            raise
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"JAX_PLATFORMS={asked}: JAX finds no such device{f' ({reason})' if reason else ''}; install JAX for it "
            "(the extra gpu or tpu), or leave the variable out"
        ) from error


def make_mesh(
    data: int = -1, fsdp: int = 1, tensor: int = 1, devices: Sequence[jax.Device] | None = None
) -> Mesh:
    """A (data, fsdp, tensor) mesh; `data=-1` takes what the others leave.

    Args:
      devices: None for all that are here; programs are compiled for others, too.

    Raises:
      UserError: the sizes do not multiply to the number of devices.
    """
    devices = all_devices() if devices is None else devices
    count, asked = len(devices), data
    if data == -1:
        data = max(1, count // max(1, fsdp * tensor))
    if min(data, fsdp, tensor) < 1 or data * fsdp * tensor != count:
        raise UserError(
            f"mesh.data={asked}, mesh.fsdp={fsdp}, mesh.tensor={tensor}: their product must be the number "
            f"of devices, {count}"
        )
    return jax.make_mesh((data, fsdp, tensor), AXES, axis_types=(AxisType.Auto,) * 3, devices=devices)


def on_cpu(mesh: Mesh) -> bool:
    """Whether its devices are CPUs."""
    found: bool = mesh.devices.flat[0].platform == "cpu"
    return found


def shard_batch(batch: Any, mesh: Mesh) -> Any:
    """A tree of host arrays whose first dimension is the global batch → device arrays split over (data, fsdp).

    Every process gives its devices their rows and looks at no others (`own_rows`), so the same plan serves one host
    and many. On a single device the arrays are left to the call that takes them.
    """
    if mesh.size == 1:
        return batch
    sharding = NamedSharding(mesh, BATCH)

    def to_devices(rows: np.ndarray) -> jax.Array:
        return jax.make_array_from_callback(rows.shape, sharding, lambda index: rows[index])

    return jax.tree.map(to_devices, batch)


def own_rows(mesh: Mesh, count: int) -> np.ndarray:
    """Which of `count` rows of a batch this process's devices are given, bool [count]; of one process all, whatever
    devices the mesh is of."""
    if not several():
        return np.ones(count, bool)
    own = np.zeros(count, bool)
    for index in NamedSharding(mesh, BATCH).addressable_devices_indices_map((count,)).values():
        own[index] = True
    return own


def abstract_batch(batch: Any, mesh: Mesh) -> Any:
    """The shapes of a tree of host arrays, with the shardings that `shard_batch` gives them: what a program is
    compiled for where its devices are not here."""
    sharding = NamedSharding(mesh, BATCH)
    return jax.tree.map(lambda rows: jax.ShapeDtypeStruct(rows.shape, rows.dtype, sharding=sharding), batch)


def batch_divisor(mesh: Mesh | AbstractMesh) -> int:
    """What a batch size must be a multiple of."""
    rows: int = mesh.shape["data"] * mesh.shape["fsdp"]
    return rows


def round_batch(size: int, mesh: Mesh | AbstractMesh) -> int:
    """The smallest multiple of `batch_divisor` that is at least `size`."""
    n = batch_divisor(mesh)
    return -(-size // n) * n
