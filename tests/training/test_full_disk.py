"""Checkpoints that do not fit: one line, what was committed before is intact, and the same command goes on."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("resource", reason="a system without limits of files")

# A limit of a file's size stands for a disk that is full: the second step is larger than the first. Python would cut
# its own files of compiled modules, too, if it were to write any.
PROGRAM = """
import resource, sys
import numpy as np
from pathlib import Path
from toner_jax.common import cli
from toner_jax.training.checkpoint import Checkpoints

def command():
    folder, limit, waits = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "wait"
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1))
    with Checkpoints(folder) as checkpoints:
        print(checkpoints.latest_good())
        for step in range((checkpoints.latest_good() or 0) + 1, 3):
            state = {f"a{i}": np.random.default_rng(i).normal(size=10 ** (3 * step - 1)) for i in range(4)}
            checkpoints.save(step, state, {"step": step})
            if waits:
                checkpoints.wait()

sys.exit(cli.run(command))
"""


@pytest.fixture
def save(tmp_path, pythonpath):
    def run(limit: int, how: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-B", "-c", PROGRAM, tmp_path / "checkpoints", str(limit), how],
            capture_output=True,
            text=True,
            env={"JAX_PLATFORMS": "cpu", **pythonpath},
            timeout=100,
        )

    return run


@pytest.mark.slow
@pytest.mark.parametrize("how", ["wait", "close"])
def test_a_checkpoint_that_does_not_fit_is_one_line(tmp_path, save, how):
    """Whether the failure is heard of as the save is waited for, or as all is closed."""
    done = save(1 << 17, how)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.startswith(
        f"toner-jax: {tmp_path}/checkpoints: the checkpoint of step 2 could not be written (/"
    )
    assert line.endswith(
        "File too large); step 1 is intact. Make room or permit writing, and start the same command again"
    )
    done = save(1 << 30, how)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    assert save(1 << 30, how).stdout == "2\n"
