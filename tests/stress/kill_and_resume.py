"""Kills a run at random moments, starts it again until it is done, and compares with a run left alone.

    python tests/stress/kill_and_resume.py --kills=30 --folder=/tmp/stress

Final parameters, metrics and predictions must be equal bit for bit.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tiny


def run_with_kills(
    workdir: Path, cache: Path, moments: list[float], signals: list[signal.Signals], log: Path | None = None
) -> list[int]:
    """Starts the run, sends the i-th signal `moments[i]` seconds after the i-th start, and lets the last start
    finish. Returns every exit status (negative for a fatal signal)."""
    statuses: list[int] = []
    sink = log.open("a") if log else subprocess.DEVNULL
    for moment, what in [*zip(moments, signals, strict=True), (None, None)]:
        process = subprocess.Popen(
            tiny.command(workdir), cwd=tiny.ROOT, env=tiny.environment(cache), stdout=sink, stderr=sink
        )
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(what)
            process.wait(timeout=300)
        statuses.append(process.returncode)
        if process.returncode == 0:
            break
    return statuses


def differences(left: Path, right: Path) -> list[str]:
    """What differs between two finished work directories, times apart."""
    found = []
    for name in (
        "predictions/dev.jsonl",
        "predictions/test.jsonl",
        "report/test.json",
        "types/train.jsonl",
    ):
        if (left / name).read_bytes() != (right / name).read_bytes():
            found.append(name)
    if logged(left) != logged(right):
        found.append("metrics.jsonl")
    for stage in ("matcher", "generator"):
        a, b = final_state(left / stage), final_state(right / stage)
        found += [f"{stage}: {name}" for name in a if not np.array_equal(a[name], b[name])]
        found += [f"{stage}: {name} (only in one)" for name in a.keys() ^ b.keys()]
    return found


def logged(workdir: Path) -> list[str]:
    """The lines of metrics.jsonl, times apart."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [line for line in lines if "timing" not in json.loads(line)]


def final_state(stage: Path) -> dict[str, np.ndarray]:
    """Every array of the stage's last checkpoint, by path."""
    import jax
    import orbax.checkpoint as ocp

    checkpoints = stage / "checkpoints"
    last = max(int(p.stem) for p in (checkpoints / "manifests").glob("*.json"))
    with ocp.PyTreeCheckpointer() as reader:
        tree = reader.restore((checkpoints / str(last) / "state").absolute())
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {f"{last}{jax.tree_util.keystr(path)}": np.asarray(leaf) for path, leaf in leaves}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    cache, rng = folder / "cache", random.Random(arguments.seed)
    whole = folder / "whole"
    begun = time.monotonic()
    assert run_with_kills(whole, cache, [], [], folder / "log") == [0]
    begun = time.monotonic()
    probe = folder / "probe"
    assert run_with_kills(probe, cache, [], [], folder / "log") == [0]
    seconds = time.monotonic() - begun
    print(
        f"uninterrupted: {seconds:.0f} s; two such runs differ in: {differences(whole, probe) or 'nothing'}"
    )
    kills = bad = run = 0
    while kills < arguments.kills:
        workdir = folder / f"killed-{run}"
        count = min(3, arguments.kills - kills)
        moments = [rng.uniform(2, seconds) for _ in range(count)]
        statuses = run_with_kills(workdir, cache, moments, [signal.SIGKILL] * count, folder / "log")
        killed = sum(s == -signal.SIGKILL for s in statuses)
        found = differences(whole, workdir)
        bad += bool(found)
        kills += killed
        run += 1
        print(
            f"run {run}: killed at {[round(m, 1) for m in moments]}, {kills} kills so far: {found or 'equal'}",
            flush=True,
        )
    print(f"{kills} kills in {run} runs, {bad} differ")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
