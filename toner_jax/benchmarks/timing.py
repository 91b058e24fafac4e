"""Contenders timed in turns, so that a machine's other work falls on all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from toner_jax.benchmarks.machine import THREADS
from toner_jax.tasks.output import Input, Output


@dataclass(frozen=True)
class Setting:
    """How a contender is run: rows at a time, and for those that let it be chosen, so many workers with so
    many threads each."""

    batch: int
    workers: int = 1
    threads: int = THREADS


@dataclass(frozen=True)
class Result:
    """What one call gave.

    Attributes:
      outputs: in the order of the inputs; None of a contender that writes nothing.
      passes: how often the decoder was called, and `rows` over how many rows in all; None where that
        cannot be told.
    """

    outputs: list[Output] | None
    passes: int | None = None
    rows: int | None = None


Run = Callable[[Sequence[Input]], Result]
T = TypeVar("T")


@dataclass(frozen=True)
class Contender:
    """One way to decode: its settings to choose from, and what makes it ready to run with one."""

    name: str
    title: str
    settings: tuple[Setting, ...]
    make: Callable[[Setting], Run]


@dataclass
class Measured:
    """A contender with its best settings, for many inputs and for single ones, and what it took.

    Attributes:
      seconds: wall time of each round over all inputs; `cpu_seconds`: of all threads.
      latencies: seconds of each single request, a list a round.
      result: of the last round.
    """

    contender: Contender
    setting: Setting
    run: Run
    single_setting: Setting
    single: Run
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    latencies: list[list[float]] = field(default_factory=list)
    result: Result = field(default_factory=lambda: Result(None))

    def latency(self, percentile: float) -> float:
        """Seconds; over the requests, of each the median of its rounds."""
        return float(np.percentile(np.median(self.latencies, axis=0), percentile))


def measure(
    contenders: Sequence[Contender],
    inputs: Sequence[Input],
    requests: int,
    rounds: int,
    say: Callable[[str], None],
) -> list[Measured]:
    """Tunes every contender, then times all of them in turns, every other round backwards."""
    singles = [[i] for i in inputs[:requests]]
    measured = []
    for contender in contenders:
        measured.append(_tune(contender, inputs, singles))
        say(f"{contender.name}: {measured[-1].setting}")
    for one in turns(measured, rounds, say):
        with _timed(one.seconds, one.cpu_seconds):
            one.result = one.run(inputs)
        one.latencies.append([_seconds(one.single, single) for single in singles])
    return measured


def turns(measured: Sequence[T], rounds: int, say: Callable[[str], None]) -> Iterator[T]:
    """Each of them once a round, every other round backwards, so that what else the machine does falls on all alike."""
    for number in range(rounds):
        yield from measured if number % 2 == 0 else measured[::-1]
        say(f"round {number + 1} of {rounds}")


def _tune(contender: Contender, inputs: Sequence[Input], singles: Sequence[Sequence[Input]]) -> Measured:
    run, setting = _best(contender.make, contender.settings, [inputs])
    alone = tuple(dict.fromkeys(replace(s, batch=1) for s in contender.settings))
    single, single_setting = _best(contender.make, alone, singles)
    return Measured(contender, setting, run, single_setting, single)


def _best(
    make: Callable[[Setting], Run], settings: Sequence[Setting], calls: Sequence[Sequence[Input]]
) -> tuple[Run, Setting]:
    """The fastest setting, ready to be timed: what it needs is compiled."""
    best: tuple[float, Run, Setting] | None = None
    for setting in settings:
        run = make(setting)
        for call in calls:
            run(call)
        if len(settings) == 1:
            return run, setting
        seconds = min(sum(_seconds(run, call) for call in calls) for _ in range(2))
        if best is None or seconds < best[0]:
            best = seconds, run, setting
    if best is None:
        raise ValueError("no settings to choose from")
    return best[1:]


def _seconds(run: Run, inputs: Sequence[Input]) -> float:
    wall: list[float] = []
    with _timed(wall, []):
        run(inputs)
    return wall[0]


@contextmanager
def _timed(wall: list[float], cpu: list[float]) -> Iterator[None]:
    before = time.perf_counter(), time.process_time()
    yield
    wall.append(time.perf_counter() - before[0])
    cpu.append(time.process_time() - before[1])
