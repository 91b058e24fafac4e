"""What is said to people: lines and progress, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Progress:
    """Steps of one stage: a bar on a terminal, a plain line now and then elsewhere."""

    def __init__(self, title: str, total: int, start: int = 0, every: float = 15.0):
        self._title, self._total, self._start, self._every = title, total, start, every
        self._begun = self._said = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            from rich import progress

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}", style="bold", markup=False),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeElapsedColumn(),
                progress.TimeRemainingColumn(),
                progress.TextColumn("{task.fields[note]}", markup=False),
                console=_stderr_console(),
            )
            self._task = self._bar.add_task(title, total=total, completed=start, note="")

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, step: int, note: str = "", force: bool = False) -> None:
        """Shows `step` of the total; off a terminal at most every few seconds unless forced."""
        if self._bar:
            self._bar.update(self._task, completed=step)
            if note:
                self._bar.tasks[0].fields["note"] = note
            return
        now = time.monotonic()
        if force or now - self._said >= self._every or step == self._total:
            self._said = now
            rate = (step - self._start) / max(now - self._begun, 1e-9)
            left = (self._total - step) / rate if rate else 0.0
            print(
                f"{self._title}: {step}/{self._total}  {left:.0f} s left  {note}".rstrip(),
                file=sys.stderr,
                flush=True,
            )


_advance: ContextVar[Callable[[int], None] | None] = ContextVar("advance", default=None)


@contextmanager
def counted(title: str, total: int) -> Iterator[None]:
    """Within, what `advance` is told is shown, as a part of `total`."""
    done = 0
    with Progress(title, total) as progress:

        def add(count: int) -> None:
            nonlocal done
            done = min(done + count, total)
            if done < total or sys.stderr.isatty():  # elsewhere its end needs no line
                progress.update(done)

        token = _advance.set(add)
        try:
            yield
        finally:
            _advance.reset(token)


def advance(count: int) -> None:
    """So much more is done of what is `counted`; nothing where nobody counts."""
    if add := _advance.get():
        add(count)


def _stderr_console() -> Any:
    from rich.console import Console

    return Console(stderr=True)


def say(message: str) -> None:
    """One line for people, on standard error, so that standard output stays machine-readable."""
    print(message, file=sys.stderr, flush=True)
