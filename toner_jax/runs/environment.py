"""What a stage was made with: versions, devices, cores, mesh. The last bits of a result depend on them. And the record
of a run's starts."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from toner_jax.common.files import append_json
from toner_jax.common.versions import installed
from toner_jax.parallel.runtime import cores

STARTS = "starts.jsonl"

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


def read_starts(workdir: Path) -> list[dict[str, Any]]:
    """The record of a run's starts, the first one first; what is no line of it is left out."""
    path, found = workdir / STARTS, []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        with suppress(ValueError):
            if isinstance(entry := json.loads(line), dict):
                found.append(entry)
    return found


def record_start(workdir: Path, made_with: Mapping[str, Any]) -> None:
    """Adds a line to the record of a run's starts: when, by which command, where, with what.

    Args:
      made_with: as `environment` gives it.
    """
    entry = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "host": platform.node(),
        "commit": commit(Path(__file__).parents[1]),
        **made_with,
    }
    append_json(workdir / STARTS, entry)


def commit(package: Path) -> str | None:
    """The git commit of the repository that the package lies at the top of, with "+" where it was changed since; None
    where there is none."""
    if not (package.parent / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        changed = git("status", "-s", "-uno")
        return git("rev-parse", "HEAD") + "+" * bool(changed)
    except (OSError, subprocess.SubprocessError):  # no git, or not our repository to read
        return None


def describe(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs, for people; "" if nothing does."""
    return ", ".join(
        f"{name} {before[name]} → {value}" for name, value in now.items() if before.get(name, value) != value
    )
