"""Ends a command at random moments, starts it again until it is done, and compares with one that was left alone.

    python tests/stress/kill_and_resume.py --folder=/tmp/stress --kills=40 [--signal=TERM] [--of=restart]

--of=run: a run, from an empty folder; restart: a finished run that is trained anew with another seed, so that clearing
and moving aside are interrupted, too; predict: `toner-jax predict --resume`. Final parameters, metrics and predictions
must be equal bit for bit, and nothing that was temporary may be left, in the folder, the cache or the system's own.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tiny

# The statuses of a command that a signal has ended, as docs/runs.md says them; a negative one where it came too early.
STATUSES = {
    "KILL": {-signal.SIGKILL},
    "TERM": {75, -signal.SIGTERM},
    "INT": {130, -signal.SIGINT},
}
FASTER = ("--config.data.generated.train=200", "--config.matcher.epochs=2.0", "--config.generator.epochs=1.0")


def run_with_kills(
    workdir: Path,
    cache: Path,
    moments: Sequence[float],
    signals: Sequence[signal.Signals],
    log: Path | None = None,
    more: Sequence[str] = (),
) -> list[int]:
    """Starts the run, sends the i-th signal `moments[i]` seconds after the i-th start, and lets the last start
    finish. Returns every exit status (negative for a fatal signal)."""
    return with_kills(tiny.command(workdir, *more), tiny.environment(cache), moments, signals, log)


def with_kills(
    command: Sequence[str] | Callable[[], Sequence[str]],
    environment: dict[str, str],
    moments: Sequence[float],
    signals: Sequence[signal.Signals],
    log: Path | None = None,
) -> list[int]:
    """The same of any command, or of one that is made anew for each start."""
    statuses: list[int] = []
    sink = log.open("a") if log else subprocess.DEVNULL
    for moment, what in [*zip(moments, signals, strict=True), (None, None)]:
        now = command() if callable(command) else command
        process = subprocess.Popen(now, cwd=tiny.ROOT, env=environment, stdout=sink, stderr=sink)
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
    for name in ("predictions/dev.jsonl", "predictions/test.jsonl", "report/test.json", "types/train.jsonl"):
        if (left / name).read_bytes() != (right / name).read_bytes():
            found.append(name)
    if logged(left) != logged(right):
        found.append("metrics.jsonl")
    for stage in ("matcher", "generator"):
        a, b = final_state(left / stage), final_state(right / stage)
        found += [f"{stage}: {name}" for name in a if not np.array_equal(a[name], b[name])]
        found += [f"{stage}: {name} (only in one)" for name in a.keys() ^ b.keys()]
    return found


def leftovers(*folders: Path) -> list[str]:
    """What is only ever there for a while."""
    names = (
        "*.tmp",
        "*.tmp.*",
        "*.replaced",
        "*.begun",
        "*.writing",
        "*orbax-checkpoint-tmp*",
        "toner_jax-setup-*",
        ".write-*",
    )
    return sorted({str(path) for folder in folders for name in names for path in folder.rglob(name)})


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


class Trial:
    """What is interrupted, and what it must come to."""

    def __init__(self, folder: Path, of: str):
        self.folder, self.of = folder, of
        self.temporary, self.user_cache = folder / "tmp", folder / "user_cache"
        self.temporary.mkdir(parents=True, exist_ok=True)
        own = {"TMPDIR": str(self.temporary), "XDG_CACHE_HOME": str(self.user_cache)}
        self.environment = tiny.environment(folder / "cache", **own)
        self.finished, self.seeded = folder / "finished", folder / "seeded"
        self.log = folder / "log"
        if not (self.finished / "report" / "test.json").exists():
            self._alone(tiny.command(self.finished, *FASTER))
        if of == "restart" and not (self.seeded / "report" / "test.json").exists():
            self._alone(tiny.command(self.seeded, *FASTER, "--config.seed=1"))
        self.texts = folder / "texts.txt"
        self.texts.write_text("".join(f"{text}\n" for text in tiny.TEXTS[:1] * 3000))
        self.seconds = self._measure()

    def command(self, target: Path) -> list[str]:
        if self.of == "predict":
            program = [
                sys.executable,
                "-m",
                "toner_jax.predict",
                f"--model={self.finished}",
                f"--input={self.texts}",
            ]
            resume = ["--resume"] if target.with_name(f"{target.name}.partial").exists() else []
            return [*program, f"--output={target}", *resume]
        more = ("--config.seed=1", "--restart=matcher,generator") if self.of == "restart" else ()
        return tiny.command(target, *FASTER, *more)

    def prepare(self, target: Path) -> None:
        if self.of == "restart":
            shutil.copytree(self.finished, target)

    def compare(self, target: Path) -> list[str]:
        if self.of == "predict":
            same = target.read_bytes() == (self.folder / "whole.jsonl").read_bytes()
            found = [] if same else ["other predictions"]
        else:
            found = differences(self.seeded if self.of == "restart" else self.finished, target)
        return found + leftovers(
            target.parent if self.of == "predict" else target, self.temporary, self.user_cache
        )

    def _alone(self, command: list[str]) -> None:
        assert with_kills(command, self.environment, [], [], self.log) == [0]

    def _measure(self) -> float:
        """Seconds of a whole one, whose programs are compiled."""
        target = self.folder / ("whole.jsonl" if self.of == "predict" else "probe")
        shutil.rmtree(target, ignore_errors=True)
        target.unlink(missing_ok=True) if target.is_file() else None
        self.prepare(target)
        begun = time.monotonic()
        self._alone(self.command(target))
        seconds = time.monotonic() - begun
        print(f"left alone: {seconds:.0f} s; differs in: {self.compare(target) or 'nothing'}", flush=True)
        return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--signal", choices=sorted(STATUSES), default="KILL")
    parser.add_argument("--of", choices=("run", "restart", "predict"), default="run")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, what = random.Random(arguments.seed), getattr(signal, f"SIG{arguments.signal}")
    trial = Trial(arguments.folder, arguments.of)
    kills = bad = number = 0
    while kills < arguments.kills:
        target = arguments.folder / f"{arguments.of}-{arguments.signal}-{number}" / "out"
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir()
        trial.prepare(target)
        count = min(4, arguments.kills - kills)
        moments = [rng.uniform(0.5, trial.seconds) for _ in range(count)]
        statuses = with_kills(
            partial(trial.command, target), trial.environment, moments, [what] * count, trial.log
        )
        ended = [status for status in statuses if status in STATUSES[arguments.signal]]
        found = trial.compare(target) if statuses[-1] == 0 else []
        found += [f"status {status}" for status in statuses if status not in (0, *STATUSES[arguments.signal])]
        bad, kills, number = bad + bool(found), kills + len(ended), number + 1
        print(
            f"{number}: {[round(m, 1) for m in moments]} → {statuses}, {kills} so far: {found or 'equal'}",
            flush=True,
        )
        if not found:
            shutil.rmtree(target.parent)
    print(f"{kills} × SIG{arguments.signal} in {number} {arguments.of}s, {bad} differ")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
