"""Compares two versions of this package: does a change of structure leave every result as it was?

    python tests/stress/same_results.py --old=CHECKOUT --new=CHECKOUT --folder=/tmp/same -- --config=… [--config.key=…]

Each checkout trains from the same data and seed twice: left alone, and killed with SIGKILL after its first
checkpoint of the generator, and started again. Every array of both stages' last checkpoints, T′, predictions,
metrics and the test report must be equal bit for bit, among the four runs. What a change renames stands in
`RENAMED_FILES` and `RENAMED_ARRAYS`; a run that is finished already is not repeated.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from kill_and_resume import final_state, logged

STAGES = ("matcher", "generator")
FILES = (
    "predictions/dev.jsonl",
    "predictions/test.jsonl",
    "report/dev.json",
    "report/test.json",
    "types/thresholds.json",
    "types/train.jsonl",
    "types/dev.jsonl",
    "evaluate/types/test.jsonl",
)
# Today's name → the name it had in the old version.
RENAMED_FILES: dict[str, str] = {}
# (regex over an array's path today, what it was).
RENAMED_ARRAYS: tuple[tuple[str, str], ...] = ()


def train(checkout: Path, workdir: Path, arguments: list[str], cache: Path, kill: bool) -> None:
    """Runs a checkout's own program to its end, killed once on the way if asked."""
    if (workdir / "report" / "test.json").is_file():
        return
    command = [sys.executable, "-m", "toner_jax.main", *arguments, f"--workdir={workdir}"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
    }
    with workdir.with_suffix(".log").open("a") as log:
        if kill:
            process = subprocess.Popen(command, cwd=checkout, env=environment, stdout=log, stderr=log)
            manifests = workdir / "generator" / "checkpoints" / "manifests"
            while process.poll() is None and not list(manifests.glob("*.json")):
                time.sleep(0.5)
            process.send_signal(signal.SIGKILL)
            if process.wait() != -signal.SIGKILL:
                raise SystemExit(f"{workdir}: ended with {process.returncode} before it could be killed")
        subprocess.run(command, cwd=checkout, env=environment, stdout=log, stderr=log, check=True)


def differences(new: Path, old: Path) -> list[str]:
    """What differs between a run of today's version and one of the old version, times apart."""
    found = [
        name
        for name in FILES
        if (new / name).read_bytes() != (old / RENAMED_FILES.get(name, name)).read_bytes()
    ]
    if logged(new) != logged(old):
        found.append("metrics.jsonl")
    for stage in STAGES:
        ours, theirs = final_state(new / stage), final_state(old / stage)
        ours = {_renamed(name): array for name, array in ours.items()}
        found += [f"{stage}: {name} (only in one)" for name in ours.keys() ^ theirs.keys()]
        both = ours.keys() & theirs.keys()
        found += [f"{stage}: {name}" for name in sorted(both) if not _equal(ours[name], theirs[name])]
    return found


def _renamed(name: str) -> str:
    for pattern, old in RENAMED_ARRAYS:
        name = re.sub(pattern, old, name)
    return name


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--old", type=Path)
    parser.add_argument("--new", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("arguments", nargs="*", help="after --: what both programs are given")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    runs = []
    for name, checkout in (("old", options.old), ("new", options.new)):
        for kill in (False, True):
            if checkout is not None:
                workdir = options.folder.absolute() / (name + ("-killed" if kill else ""))
                train(
                    checkout.absolute(), workdir, options.arguments, options.folder.absolute() / "cache", kill
                )
                print(f"{workdir}: done", flush=True)
                runs.append(workdir)
    bad = 0
    for other in runs[:-1]:
        found = differences(runs[-1], other)
        bad += bool(found)
        print(f"{runs[-1].name} and {other.name} differ in: {', '.join(found) or 'nothing'}")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
