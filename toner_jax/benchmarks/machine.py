"""What figures are measured with: threads, versions, processors; nothing tells whose machine it was."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

THREADS = 2  # that each contender may use
_PACKAGES = ("jax", "flax", "numpy", "torch", "transformers", "ctranslate2")


def limit_threads() -> None:
    """To be called before JAX and OpenMP start: XLA's pool on CPU has as many threads as NPROC says."""
    os.environ.update(JAX_PLATFORMS="cpu", NPROC=str(THREADS), OMP_NUM_THREADS=str(THREADS))


def machine() -> dict[str, Any]:
    """Versions of what is installed, the number of processors, and the threads each contender may use."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "threads": THREADS,
    }
