"""What a figure was measured with: versions and processors, nothing that tells whose machine it was."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

_PACKAGES = ("jax", "flax", "numpy", "torch", "transformers", "ctranslate2")


def machine(threads: int) -> dict[str, Any]:
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
        "threads": threads,
    }
