"""What a stage was made with: versions, devices, cores, mesh. The last bits of a result depend on them."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import Mesh

from toner_jax.common.versions import installed
from toner_jax.parallel.runtime import cores

_PACKAGES = ("toner_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "transformers")


def environment(mesh: Mesh) -> dict[str, Any]:
    """This process's, for a marker to record."""
    kinds = sorted({device.device_kind for device in mesh.devices.flat})
    return {
        **installed(_PACKAGES),
        "python": platform.python_version(),
        "processes": jax.process_count(),
        "devices": f"{mesh.size} × {', '.join(kinds)}",
        "mesh": ", ".join(f"{axis} {size}" for axis, size in mesh.shape.items()),
        "cores": cores(),
    }


def describe(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs, for people; "" if nothing does."""
    return ", ".join(
        f"{name} {before[name]} → {value}" for name, value in now.items() if before.get(name, value) != value
    )
