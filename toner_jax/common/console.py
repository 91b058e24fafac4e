"""What is said to people: lines and progress, on standard error."""

from __future__ import annotations

import sys
import time
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


def _stderr_console() -> Any:
    from rich.console import Console

    return Console(stderr=True)


def say(message: str) -> None:
    """One line for people, on standard error, so that standard output stays machine-readable."""
    print(message, file=sys.stderr, flush=True)
