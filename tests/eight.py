"""A test file run as a program of its own, on eight simulated devices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def run(file: str, *arguments: str, flags: str = "") -> tuple[Any, str]:
    """What it prints as JSON, and what it says on standard error.

    Args:
      flags: of XLA, besides.
    """
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    xla = f"--xla_force_host_platform_device_count=8 {flags}".strip()
    done = subprocess.run(
        [sys.executable, file, *arguments],
        env={**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": xla},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr
