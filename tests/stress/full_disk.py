"""A run on a disk that is full again and again: each time one line, and in the end what a run with room gives.

    python tests/stress/full_disk.py --folder=/tmp/full --sizes=20      # as root, who may mount

The work directory lies on a small tmpfs. The command is started, fails, the tmpfs grows a little, and the same command
is started again, until it is done. Every failure has to be status 2 and one line that names a file there and says to
make room; the end has to equal a run that never failed. `--stage=evaluate` does so with the evaluation of a trained
run alone, which writes little. `--small-cache` puts the caches of data and of compiled programs on a full disk instead,
which no run may fail of.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import tiny
from kill_and_resume import differences

FASTER = ("--config.data.generated.train=120", "--config.matcher.epochs=8.0", "--config.generator.epochs=3.0")


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[None]:
    """Within, a tmpfs of so many KiB is mounted on the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def grow(folder: Path, kib: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kib}k", folder], check=True)


def start(workdir: Path, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """The tiny run, in this work directory."""
    env = tiny.environment(folder / "compiled", XDG_CACHE_HOME=str(folder / "cache"))
    env |= {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", **more}
    return tiny.run(tiny.command(workdir, *FASTER), env)


def wrong(done: subprocess.CompletedProcess[str], disk: Path) -> str:
    """What is wrong with how a run on a full disk ended; "" if nothing is."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("toner-jax: ")]
    if done.returncode != 2:
        return f"status {done.returncode}"
    if "Traceback" in done.stderr or "Error:" in done.stderr:
        return f"{done.stderr.count(chr(10))} lines with a traceback"
    if len(lines) != 1 or done.stderr.splitlines()[-1] != lines[0]:
        return f"{len(lines)} lines of error, or not the last one"
    if str(disk) not in lines[0] or "make room" not in lines[0].lower():
        return f"names no file, or not what to do: {lines[0]}"
    return ""


def whole_run(folder: Path) -> Path:
    """A run that never fails."""
    whole, begun = folder / "whole", time.monotonic()
    if not (whole / "report/test.html").exists():
        done = start(whole, folder)
        assert done.returncode == 0, done.stderr
    print(f"with room: {time.monotonic() - begun:.0f} s", flush=True)
    return whole


def fill_again_and_again(folder: Path, stage: str, sizes: int, first: int, last: int) -> int:
    """Returns how many things went wrong."""
    disk, whole, bad = folder / "disk", whole_run(folder), 0
    with small_disk(disk, 50_000):
        if stage == "evaluate":
            shutil.copytree(
                whole, disk / "run", ignore=shutil.ignore_patterns("evaluate", "predictions", "report")
            )
            used = shutil.disk_usage(disk).used // 1024
            first, last = used + 4, used + 400
        for i in range(sizes):
            kib = first + (last - first) * i // max(1, sizes - 1)
            grow(disk, kib)
            begun, done = time.monotonic(), start(disk / "run", folder)
            fault = "" if done.returncode == 0 else wrong(done, disk)
            bad += bool(fault)
            said = (done.stderr.splitlines() or [""])[-1]
            print(f"{kib} KiB: {time.monotonic() - begun:.0f} s, {fault or 'right'}: {said}", flush=True)
            if fault:
                (folder / f"stderr-{kib}").write_text(done.stderr)
            if done.returncode == 0:
                break
        else:
            grow(disk, last * 20)
            done = start(disk / "run", folder)
            assert done.returncode == 0, done.stderr
        found = differences(whole, disk / "run")
    print(f"the end: {found or 'equal'}")
    return bad + bool(found)


def full_cache(folder: Path) -> int:
    """Whether a run with full caches fails, or says more of it than a line for writing and one for reading."""
    disk = folder / "cache-disk"
    with small_disk(disk, 64):
        (disk / "filler").write_bytes(b"x" * 60_000)
        done = start(
            folder / "uncached", folder, XDG_CACHE_HOME=str(disk), JAX_COMPILATION_CACHE_DIR=str(disk)
        )
    said = [line for line in done.stderr.splitlines() if "rror" in line or "arning" in line]
    print(f"full caches: status {done.returncode}, {said or 'not a word'}")
    return (done.returncode != 0) + (len(said) > 2)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sizes", type=int, default=20)
    parser.add_argument("--first", type=int, default=16, help="KiB")
    parser.add_argument("--last", type=int, default=5000, help="KiB")
    parser.add_argument("--stage", choices=("all", "evaluate"), default="all")
    parser.add_argument("--small-cache", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.small_cache:
        return full_cache(options.folder)
    return fill_again_and_again(options.folder, options.stage, options.sizes, options.first, options.last)


if __name__ == "__main__":
    sys.exit(main())
