"""A trace of some steps of a training, which Perfetto opens, and a page that says where their time went."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from toner_jax.common.console import say
from toner_jax.common.files import write_atomically

FOLDER = "profile"  # in a stage's folder
PAGE = "time.md"
_FIRST = 5  # steps of a process before the trace: the first ones compile, and wait for data
_ROWS = 25  # of the page's table of operations
_COPIES = "copy|transpose|bitcast|slice|concatenate|pad|broadcast|dynamic|update"
# What an operation does, by its name; the first that is found in it.
_KINDS = (
    ("exchanges between devices", r"all-reduce|all-gather|reduce-scatter|all-to-all|collective|nccl"),
    ("matrix products", r"dot|gemm|matmul|cublas|convolution|custom-call|ynn"),  # ynn: XLA's library for CPUs
    ("random numbers", r"rng|threefry|xor|shift"),
    ("look-ups", r"gather|scatter"),
    ("sums and maxima", r"reduce"),
    (
        "copies",
        r"^((copy|transpose|bitcast|slice|concatenate|pad|broadcast|dynamic|update|wrapped|loop|fusion)[_-]?)+$",
    ),
)
_OTHERS = "other arithmetic"


@dataclass(frozen=True)
class Operation:
    """All runs of one operation in a trace, of all threads and devices; `seconds`, of all together."""

    name: str
    runs: int
    seconds: float

    @property
    def kind(self) -> str:
        return next((kind for kind, pattern in _KINDS if re.search(pattern, self.name)), _OTHERS)


class Profile:
    """Traces so many steps of a training; 0: none."""

    def __init__(self, folder: Path, steps: int):
        self._folder, self._steps = folder, steps
        self._taken = 0
        self._begun: float | None = None

    def before(self, last: Any) -> None:
        """A step comes; `last` is what the ones before it have given."""
        if self._steps and self._taken == _FIRST:
            jax.block_until_ready(last)
            self._folder.mkdir(parents=True, exist_ok=True)
            jax.profiler.start_trace(self._folder, create_perfetto_trace=True)
            self._begun = time.monotonic()

    def after(self, given: Any) -> None:
        """A step was taken, and gives this."""
        self._taken += 1
        if self._begun is not None and self._taken == _FIRST + self._steps:
            jax.block_until_ready(given)
            seconds = time.monotonic() - self._begun
            self.stop()
            write_page(self._folder, self._steps, seconds)

    def stop(self) -> None:
        """Ends a trace that runs; that of a training which is shorter has no page."""
        if self._begun is not None:
            self._begun = None
            jax.profiler.stop_trace()


def write_page(folder: Path, steps: int, seconds: float) -> None:
    """Reads the newest trace of a folder, of so many steps, and writes the page beside it."""
    traces = sorted(folder.glob("plugins/profile/*/*.xplane.pb"), key=lambda path: path.stat().st_mtime)
    found = operations(traces[-1]) if traces else []
    write_atomically(folder / PAGE, page(found, steps, seconds))
    say(
        f"{folder}: a trace of {steps} steps, for https://ui.perfetto.dev, and where their time went, in {PAGE}"
    )


def operations(trace: Path) -> list[Operation]:
    """Those that XLA ran, the most time first; names without the numbers that the compiler gives them."""
    runs: dict[str, int] = defaultdict(int)
    nanoseconds: dict[str, float] = defaultdict(float)
    for name, duration in _events(trace):
        runs[name] += 1
        nanoseconds[name] += duration
    made = (Operation(name, runs[name], nanoseconds[name] / 1e9) for name in runs)
    return sorted(made, key=lambda operation: -operation.seconds)


def _events(trace: Path) -> Iterator[tuple[str, float]]:
    for plane in jax.profiler.ProfileData.from_file(str(trace)).planes:
        for line in plane.lines:
            for event in line.events:
                name = next((str(value) for key, value in event.stats if key == "hlo_op"), "")
                # Loops and calls hold others, which are counted themselves.
                if name and not re.match(r"(while|call|conditional)\b", name):
                    yield re.sub(r"(\.\d+|\.clone|\.remat\d*)+$", "", name), event.duration_ns


def page(found: list[Operation], steps: int, seconds: float) -> str:
    """The page, as Markdown."""
    total = sum(operation.seconds for operation in found) or 1.0
    kinds: dict[str, float] = defaultdict(float)
    for operation in found:
        kinds[operation.kind] += operation.seconds

    def row(name: str, taken: float, *more: str) -> str:
        return "| " + " | ".join([name, f"{1000 * taken / steps:.2f}", f"{taken / total:.1%}", *more]) + " |"

    lines = [
        f"# Where the time of {steps} steps went", "",
        f"A step took {1000 * seconds / steps:.1f} ms. Below are the operations that XLA ran, with their time in all "
        "threads and on all devices together; what is missing is waiting, and work of the host.", "",
        "| | ms a step | share |", "| --- | ---: | ---: |",
        *(row(kind, taken) for kind, taken in sorted(kinds.items(), key=lambda item: -item[1])), "",
        "| operation | ms a step | share | runs a step | |", "| --- | ---: | ---: | ---: | --- |",
        *(row(f"`{o.name}`", o.seconds, f"{o.runs / steps:,.1f}", o.kind) for o in found[:_ROWS]),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
