"""Jobs of two processes on this machine: they agree, and each ends with a line when the other does."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from jobs import free_port, jax_variables

from toner_jax.common.environment import parallel_job
from toner_jax.errors import UserError
from toner_jax.parallel import watch
from toner_jax.parallel.exchange import by_share, filled, of_all, of_first, on_host, share
from toner_jax.parallel.processes import Wanted, on_first, together
from toner_jax.parallel.watch import Watch
from toner_jax.training.checkpoint import Checkpoints

ROOT = Path(__file__).resolve().parents[2]
JOB = Path(__file__).with_name("job_of_two.py")
GOES_ON = "the same command goes on from the last checkpoint"


def slurm_variables(port: int, index: int) -> dict[str, str]:
    """Those of a task that srun has started."""
    return {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_PROCID": str(index),
        "SLURM_LOCALID": str(index),
        "SLURM_STEP_NUM_NODES": "1",
        "JAX_COORDINATOR_PORT": str(port),
    }


def start(*arguments: str, variables=jax_variables) -> list[subprocess.Popen]:
    port = free_port()
    own = {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), "XLA_FLAGS": ""}
    return [
        subprocess.Popen(
            [sys.executable, str(JOB), *arguments],
            env={**os.environ, **own, **variables(port, index)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]


def ended(process: subprocess.Popen) -> tuple[int, str, list[str]]:
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err.splitlines()


@pytest.mark.parametrize("variables", [jax_variables, pytest.param(slurm_variables, marks=pytest.mark.slow)])
def test_all_hear_the_same(variables):
    for index, process in enumerate(start("agree", variables=variables)):
        status, out, lines = ended(process)
        assert (status, lines) == (0, [])
        assert json.loads(out) == {
            "index": index,
            "processes": 2,
            "first": {"of": 0, "δ": [1, None]},
            "any": [True, False],
            "share": [[0, 1], [2, 3, 4]][index],
            "by share": [[0, 0], [1, 0], [2, 1], [3, 1], [4, 1]],
            "filled": [0, 1, 2, 3],
            "of first": 6_000,
            "rows": [[True, True, False, False], [False, False, True, True]][index],
            "host": [[0, 1], [2, 3], [4, 5], [6, 7]],
        }


@pytest.mark.slow
def test_processes_that_share_no_files(tmp_path):
    for index, process in enumerate(start("unshared", str(tmp_path))):
        status, out, lines = ended(process)
        assert (status, lines) == (0, [])
        found = json.loads(out)
        files = ["files/a.txt", "files/kept/b.bin"]
        assert found == {
            "latest": 1,
            "record": {"best_step": 1},
            "same": [True, True, True],
            "written": [*files, "files/kept/checkpoints/c"] if index == 0 else files,
            "checkpoints": index == 0,
        }
    assert (tmp_path / "1" / "files" / "a.txt").read_text() == "a.txt"
    # One process alone reads it, as any other.
    like = {"odd": np.zeros((2, 2), np.float32)}
    with Checkpoints(tmp_path / "0", read_only=True) as checkpoints:
        odd = checkpoints.restore_params(1, like)["odd"]
    assert odd.view(np.uint32).tolist() == [[0x80000000, 0x3FC00000], [0x40200000, 0x7FC00123]]


@pytest.mark.slow
def test_what_the_first_refuses_ends_all_and_is_said_once():
    first, second = (ended(process) for process in start("refuse"))
    assert first == (2, "", ["toner-jax: the first one refuses"])
    assert second == (2, "", [])


@pytest.mark.slow
def test_the_end_of_the_first_is_a_line():
    begun = time.monotonic()
    first, second = (ended(process) for process in start("steps", "0", "killed"))
    assert first[0] == -9
    assert second[0] != 0
    assert second[2] == [
        f"process 1: another process has ended or cannot be reached; this process ends, too, and {GOES_ON}"
    ]
    assert time.monotonic() - begun < 60


@pytest.mark.slow
def test_who_ends_says_why():
    second, first = (ended(process) for process in reversed(start("steps", "1", "bad input")))
    assert second == (2, "", ["toner-jax: this one has no data"])
    assert first == (
        75,
        "",
        [f"process 1 has ended: this one has no data; this process ends, too, and {GOES_ON}"],
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "way"),
    [
        (1, "killed"),
        pytest.param(1, "stopped", marks=pytest.mark.long),
        pytest.param(0, "stopped", marks=pytest.mark.long),
    ],
)
def test_who_cannot_be_reached_ends_the_other_within_a_minute(victim, way):
    job = start("steps", str(victim), way)
    begun = time.monotonic()
    status, _, lines = ended(job[1 - victim])
    job[victim].kill()
    ended(job[victim])
    assert status == 75
    (line,) = lines
    assert f"process {victim}" in line
    assert line.endswith(GOES_ON)
    assert time.monotonic() - begun < 60


ABORT = (
    "F0101 12:00:00.0 7 client.h:9] Terminating process because of the coordination_service\n*** stack ***\n"
)


@pytest.mark.parametrize(
    ("written", "passed"),
    [
        (f"train: 3/9\n{ABORT}", "train: 3/9\nlost\n"),
        (f"process 1 has ended; {watch._TOO}\n{ABORT}", f"process 1 has ended; {watch._TOO}\n"),
        ("[Gloo] Rank 0\nE is a letter\n", "E is a letter\n"),
    ],
)
def test_the_end_of_another_is_told_once(written, passed):
    """By the watch, or in place of the runtime's abort."""
    command = [sys.executable, "-ISc", watch._FILTER, "lost", watch._TOO]
    done = subprocess.run(command, input=written, capture_output=True, text=True, timeout=60)
    assert done.stderr == passed


def test_who_was_suspended_itself_misses_nobody():
    watch = Watch(1, 3)
    now = time.monotonic()
    assert watch.missing(now + 1) == ""
    assert watch.missing(now + 500) == ""  # it has not looked for long
    for second in range(501, 526):
        assert watch.missing(now + second) == ""
    assert watch.missing(now + 526) == "process 0 cannot be reached for 25 s"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted("here:1"), "of processes, count and index must be known too"),
        (Wanted("", 2, 0), "of processes, coordinator must be known too"),
        (Wanted("here:1", 2, 2), "processes.index=2: 2 processes count from 0"),
    ],
)
def test_half_of_a_job_is_refused(wanted, message, monkeypatch):
    for name in jax_variables(0, 0):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=message), together(wanted):
        pass


def test_a_number_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("JAX_NUM_PROCESSES", "two")
    with pytest.raises(UserError, match="JAX_NUM_PROCESSES=two: not a number"), together(Wanted()):
        pass


def test_a_process_alone_asks_nobody():
    with together(Wanted("here:1", 1, 0)), together(Wanted(cluster="off")):
        assert on_first(lambda: {"a": (1,)}) == {"a": (1,)}
        assert on_host({"a": 1}) == {"a": 1}
        assert share(3) == range(3)
        assert by_share(str, 3) == ["0", "1", "2"]
        assert filled([1, 2]) == [1, 2]
        assert of_all("a") == ["a"]
        assert of_first(lambda: b"a") == b"a"


@pytest.mark.parametrize(
    ("variables", "several"),
    [
        ({}, False),
        # A shell of salloc or sbatch: srun has not been called.
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8"}, False),
        ({"SLURM_STEP_NUM_TASKS": "1"}, False),
        ({"SLURM_STEP_NUM_TASKS": "8"}, True),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, True),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, False),
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, True),
    ],
)
def test_a_job_is_told_by_its_environment(variables, several, monkeypatch):
    for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "TPU_WORKER_HOSTNAMES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert parallel_job() is several
