"""A whole run of two processes on this machine, started as the scripts for clusters start it."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
from jobs import free_port, jax_variables

SCRIPTS = tiny.ROOT / "scripts" / "cluster"


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


def by_ssh(folder: Path, cache: Path, port: int, *arguments: str) -> subprocess.Popen:
    """scripts/cluster/ssh.sh with two hosts, which are this one; each notes the number of its process."""
    ssh = executable(folder / "ssh", f'#!/usr/bin/env bash\necho $$ >> {folder}/pids\nexec bash -c "$2"\n')
    hosts = {"HOSTS": "127.0.0.1 localhost", "SSH": str(ssh), "PORT": str(port), "PYTHON": sys.executable}
    return subprocess.Popen(
        ["bash", str(SCRIPTS / "ssh.sh"), *arguments],
        cwd=tiny.ROOT,
        env=tiny.environment(cache, XLA_FLAGS="", **hosts),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def logged(workdir: Path) -> list[dict]:
    log = workdir / "metrics.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return [entry for entry in map(json.loads, lines) if "timing" not in entry]


def entities(workdir: Path) -> list:
    """What is found in dev and test, without scores."""
    found = []
    for split in ("dev", "test"):
        for line in (workdir / "predictions" / f"{split}.jsonl").read_text().splitlines():
            row = json.loads(line)
            spans = [{k: v for k, v in span.items() if "score" not in k} for span in row["predicted"]]
            found.append((row["id"], spans))
    return found


@pytest.mark.slow
def test_two_processes_stopped_and_gone_on_with_as_one_are_the_same_run(finished, cache, tmp_path):
    workdir = tmp_path / "run"
    arguments = tiny.command(workdir)[3:]
    job = by_ssh(tmp_path, cache, free_port(), *arguments)
    # Between two dev evaluations, in which a stop ends a run at once.
    while not any(e["stage"] == "generator" and e["step"] >= 20 for e in logged(workdir)):
        assert job.poll() is None, job.communicate()
        time.sleep(0.05)
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    os.kill(pids[1], signal.SIGTERM)  # one of them alone
    printed, _ = job.communicate(timeout=100)
    assert job.returncode == 75
    assert printed.count("is saved") == 1
    assert json.loads((workdir / "generator" / "stage.json").read_text())["made_with"][-1]["processes"] == 2

    one = tiny.run(
        tiny.command(workdir), tiny.environment(cache, XLA_FLAGS="--xla_force_host_platform_device_count=2")
    )
    assert one.returncode == 0, one.stderr
    assert "going on from step" in one.stderr
    expected, found = logged(finished[0]), logged(workdir)
    assert [(e["stage"], e["step"]) for e in found] == [(e["stage"], e["step"]) for e in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.get("loss", 0.0) == pytest.approx(theirs.get("loss", 0.0), rel=1e-5)
    assert [i for i, _ in entities(workdir)] == [i for i, _ in entities(finished[0])]


@pytest.mark.long
def test_processes_that_share_no_files_are_the_same_run(finished, cache, tmp_path):
    """Stopped and gone on with; of the second's folder nothing is made."""
    folders = tmp_path / "first", tmp_path / "second"

    def start() -> list[subprocess.Popen]:
        port = free_port()
        return [
            subprocess.Popen(
                tiny.command(folder, "--config.processes.share_files=false"),
                cwd=tiny.ROOT,
                env=tiny.environment(cache, XLA_FLAGS="", **jax_variables(port, index)),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for index, folder in enumerate(folders)
        ]

    job = start()
    while not any(e["stage"] == "generator" and e["step"] >= 20 for e in logged(folders[0])):
        assert job[0].poll() is None, job[0].communicate()
        time.sleep(0.05)
    job[1].send_signal(signal.SIGTERM)
    assert [process.wait(100) for process in job] == [75, 75]
    job = start()
    printed = [process.communicate(timeout=300)[0] for process in job]
    assert [process.returncode for process in job] == [0, 0], printed
    assert "going on from step" in printed[0]
    assert not folders[1].exists()
    expected, found = logged(finished[0]), logged(folders[0])
    assert [(e["stage"], e["step"]) for e in found] == [(e["stage"], e["step"]) for e in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.get("loss", 0.0) == pytest.approx(theirs.get("loss", 0.0), rel=1e-5)
    assert [i for i, _ in entities(folders[0])] == [i for i, _ in entities(finished[0])]


@pytest.mark.slow
def test_two_processes_predict_and_evaluate_as_one(finished, cache, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"{text}\n" for text in tiny.TEXTS if text.strip()))
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"

    def command(output: Path) -> list[str]:
        return ["predict", f"--model={finished[0]}", f"--input={texts}", f"--output={output}"]

    alone = tiny.run(
        [sys.executable, "-m", "toner_jax", *command(one)],
        tiny.environment(cache, XLA_FLAGS="--xla_force_host_platform_device_count=2"),
    )
    assert alone.returncode == 0, alone.stderr
    for arguments in (command(two), ["evaluate", f"--workdir={finished[0]}", "--json"]):
        port = free_port()
        job = [
            subprocess.Popen(
                [sys.executable, "-m", "toner_jax", *arguments],
                cwd=tiny.ROOT,
                env=tiny.environment(cache, XLA_FLAGS="", **jax_variables(port, index)),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for index in range(2)
        ]
        printed = [process.communicate(timeout=300) for process in job]
        assert [process.returncode for process in job] == [0, 0], printed
        assert printed[1] == ("", "")  # the first one speaks
    assert two.read_bytes() == one.read_bytes()
    assert json.loads(printed[0][0])["sentences"] == 40


@pytest.mark.parametrize(("status", "again"), [(75, True), (134, True), (0, False), (2, False)])
def test_a_job_that_was_stopped_is_queued_again(status, again, tmp_path):
    executable(tmp_path / "srun", f'#!/usr/bin/env bash\necho "$@"\nexit {status}\n')
    executable(tmp_path / "scontrol", '#!/usr/bin/env bash\necho "scontrol $*"\n')
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "PYTHON": "py"}
    done = subprocess.run(
        ["bash", str(SCRIPTS / "slurm.sh"), "--config=a b"], env=env, capture_output=True, text=True
    )
    assert done.returncode == status
    first, *more = done.stdout.splitlines()
    assert first == "--kill-on-bad-exit=0 py -m toner_jax.main --config=a b"
    assert more == ["scontrol requeue 7"] * again


def test_tpu_hosts_are_given_the_whole_command(tmp_path):
    gcloud = executable(tmp_path / "gcloud", '#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    env = {**os.environ, "GCLOUD": str(gcloud), "TPU": "slice", "ZONE": "z"}
    done = subprocess.run(
        ["bash", str(SCRIPTS / "tpu_vm.sh"), "--workdir=a b"], env=env, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [
        *["compute", "tpus", "tpu-vm", "ssh", "slice", "--zone=z", "--worker=all"],
        "--command=cd toner_jax && exec python -m toner_jax.main --workdir=a\\ b --config.processes.cluster=gcetpu",
    ]
