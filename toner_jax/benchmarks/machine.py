"""What figures are measured with: devices, threads, versions, processors; nothing tells whose machine it was."""

from __future__ import annotations

import importlib.util
import os
import platform
from importlib import metadata
from typing import Any

import jax
from jax.sharding import Mesh

from toner_jax.common.versions import installed
from toner_jax.errors import ParameterError

THREADS = 2  # that each contender may use on CPU
_PACKAGES = ("jax", "flax", "numpy", "torch", "transformers", "ctranslate2")


def prepare(device: str) -> None:
    """Chooses the devices; to be called before JAX and OpenMP start.

    On CPU, XLA's pool has as many threads as NPROC says. On a GPU, JAX takes memory when it needs some, and not most of
    it at once: PyTorch is measured on the same card.

    Args:
      device: "auto", the accelerators where JAX finds any; or "cpu".

    Raises:
      ParameterError: JAX has a plugin for accelerators, and finds none.
    """
    if device == "cpu" or jax.config.values["jax_platforms"] == "cpu" or not _has_plugin():
        os.environ.update(NPROC=str(THREADS), OMP_NUM_THREADS=str(THREADS))
        jax.config.update("jax_platforms", "cpu")
        return
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if jax.devices()[0].platform == "cpu":
        raise ParameterError(
            "device", device, "JAX is installed for accelerators and finds none here; set device=cpu"
        )


def _has_plugin() -> bool:
    """Whether JAX is installed for accelerators. Asking itself for its devices would start its threads on CPU."""
    modules = ("jax_plugins", "libtpu")
    return bool(metadata.entry_points(group="jax_plugins")) or any(map(importlib.util.find_spec, modules))


def machine(mesh: Mesh | None = None) -> dict[str, Any]:
    """Versions of what is installed, the number of processors, the devices, and the threads that each contender may
    use, which are None on an accelerator. Without a mesh no device has a part in what is measured."""
    devices: dict[str, Any] | None = None
    threads: int | None = THREADS
    if mesh is not None:
        device = mesh.devices.flat[0]
        devices = {"kind": device.device_kind, "count": mesh.size}
        threads = THREADS if device.platform == "cpu" else None
    return {
        "versions": {"python": platform.python_version(), **installed(_PACKAGES)},
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "devices": devices,
        "threads": threads,
    }


def described(report: dict[str, Any]) -> str:
    """A sentence of what was measured with, for a page; the versions follow it."""
    devices = report["devices"]
    used = f"{report['cpus']} CPUs"
    if report["threads"]:
        used += f", {report['threads']} threads for each"
    elif devices:
        used = f"{devices['count']} × {devices['kind']}, {used}"
    return f"{report['system']}, {used}"
