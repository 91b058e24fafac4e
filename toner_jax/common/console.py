"""What is said to people: messages on the logger `toner_jax`, and progress.

A program that uses the package hears of it as of any other, through its own set-up of `logging`. The commands show
every message as a bare line on standard error, so that standard output stays machine-readable.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

logger = logging.getLogger("toner_jax")


def say(message: str) -> None:
    """One line for people."""
    logger.info(message, stacklevel=2)


def warn(message: str) -> None:
    """One line for people, of something that they may not have meant."""
    logger.warning(message, stacklevel=2)


class _Lines(logging.Handler):
    """Bare messages on standard error, which may change meanwhile: a progress bar stands in for it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if sys.stderr is not None:
                print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


_lines = _Lines()


def show_messages() -> None:
    """For a command: shows every message from now on, and progress.

    What the encoding of standard output or standard error lacks (`δ` on an ASCII terminal) is escaped from now on.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logger.addHandler(_lines)  # once, however often
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a library may have given the root logger a handler: not twice


def as_utf8(stream: TextIO) -> TextIO:
    """A standard stream for data, which are UTF-8 whatever the terminal is set to. (A lone surrogate, which has no
    UTF-8 form, is written as JSON would escape it.)"""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace" if stream.writable() else "strict")
    return stream


def _shows_bars() -> bool:
    return _lines in logger.handlers and sys.stderr is not None and sys.stderr.isatty()


class Progress:
    """Steps of one stage: a bar on a command's terminal, a message now and then elsewhere."""

    def __init__(self, title: str, total: int, start: int = 0, every: float = 15.0):
        self._title, self._total, self._start, self._every = title, total, start, every
        self._begun = self._said = time.monotonic()
        self._bar = None
        if _shows_bars():
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

    def __exit__(self, *_: object) -> None:
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
            say(f"{self._title}: {step}/{self._total}  {left:.0f} s left  {note}".rstrip())


class Compilations:
    """Says of each program that it is compiled now, which may take minutes, and of how many that are known of.

    Threads share one.
    """

    def __init__(self, title: str, shapes: Iterable[Hashable] = ()):
        """`shapes`: what each program is compiled for, as far as it is known beforehand."""
        self._title = title
        self._known, self._begun = set(shapes), set[Hashable]()
        self._lock = threading.Lock()

    def expect(self, shapes: Iterable[Hashable]) -> None:
        """Programs for these are needed soon."""
        with self._lock:
            self._known.update(shapes)

    def begin(self, shape: Hashable) -> None:
        """The program for this shape is called now: it is compiled the first time."""
        with self._lock:
            if shape not in self._begun:
                self._known.add(shape)
                self._begun.add(shape)
                say(f"{self._title}: compiling {len(self._begun)} of {len(self._known)}")


_advance: ContextVar[Callable[[int], None] | None] = ContextVar("advance", default=None)


@contextmanager
def counted(title: str, total: int) -> Iterator[None]:
    """Within, what `advance` is told is shown, as a part of `total`."""
    done = 0
    with Progress(title, total) as progress:

        def add(count: int) -> None:
            nonlocal done
            done = min(done + count, total)
            if done < total or _shows_bars():  # elsewhere its end needs no line
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
