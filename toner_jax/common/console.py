"""What is said to people: messages on the logger `toner_jax`, lines and tables of commands, and progress.

A program that uses the package hears of it as of any other, through its own set-up of `logging`. The commands show
every message as a bare line on standard error, so that standard output stays machine-readable.

Names, labels and texts come from files that strangers wrote. Whatever goes to a terminal passes `printable`, so that
nothing in them steers it; what goes into a table is a `cell`, so that brackets are no markup of rich's.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO, cast

from toner_jax.common.files import naming

logger = logging.getLogger("toner_jax")

STDOUT = "standard output"  # as errors name it

# Characters that steer a terminal or turn round what stands beside them: the controls of ASCII and Latin-1, line and
# paragraph separators, embeddings, overrides and isolates of direction; and halves of surrogate pairs.
_STEERING = "\u2028-\u202e\u2066-\u206f\ud800-\udfff"
_UNPRINTABLE = re.compile(f"[\0-\x1f\x7f-\x9f{_STEERING}]")
_UNPRINTABLE_IN_JSON = re.compile(f"[\x7f-\x9f{_STEERING}]")  # those that JSON need not escape


def printable(text: str) -> str:
    """The text with escapes, as Python writes them, for characters that steer a terminal, line ends too."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def to_json(value: Any) -> str:
    """A value as a line of JSON that may go to a terminal: escapes stand for what would steer it, and mean the same."""
    return _escaped(json.dumps(value, ensure_ascii=False))


def _escaped(text: str) -> str:
    return _UNPRINTABLE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Standard output, to be written to within.

    Raises:
      OSError: it takes no more, or is closed; the error names it.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, "it is closed", STDOUT)
    with naming(STDOUT):
        yield sys.stdout


def show(*lines: str) -> None:
    """Lines on standard output.

    Raises:
      OSError: it takes no more, or is closed; the error names it.
    """
    with standard_output():
        for line in lines:
            print(printable(line))


def show_json(value: Any) -> None:
    """A value as JSON on standard output; raises as `show`."""
    with standard_output():
        print(_escaped(json.dumps(value, indent=2)))


def show_rich(content: Any, console: Any = None) -> None:
    """A table or a text of rich's on standard output, or on a console of its; raises as `show`."""
    from rich.console import Console

    with standard_output():
        (console or Console()).print(content)


def cell(text: str, style: str = "") -> Any:
    """Text for a table, a title or a line of rich's, as it is: no markup, no emoji names, and `printable`."""
    from rich.text import Text

    return Text(printable(text), style)


def in_bytes(count: float) -> str:
    """A size for people: in GB, or in MB where it is less than one."""
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.2f} MB"


def say(message: str) -> None:
    """One line for people."""
    logger.info(message, stacklevel=2)


def warn(message: str) -> None:
    """One line for people, of something that they may not have meant."""
    logger.warning(message, stacklevel=2)


def alarm(message: str) -> None:
    """One line for people, of something that ends this process."""
    logger.error(message, stacklevel=2)


class _Lines(logging.Handler):
    """Bare messages on standard error, which may change meanwhile: a progress bar stands in for it.

    Attributes:
      speaker: before each line; who says it, where several processes speak.
    """

    speaker = ""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if sys.stderr is not None:
                print(printable(self.speaker + record.getMessage()), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


_lines = _Lines()


class _Warnings:
    """Shows libraries' warnings as lines of ours, each kind once: that of a full compilation cache comes with every
    program."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        text = str(message).split("\n")[0]
        kind = text.split("'")[0]  # without what it is about
        if kind not in self._said:
            self._said.add(kind)
            warn(f"{category.__name__}: {text}")


def show_messages() -> None:
    """For a command: shows every message from now on, libraries' warnings among them, and progress.

    What the encoding of standard output or standard error lacks (`δ` on an ASCII terminal) is escaped from now on.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logger.addHandler(_lines)  # once, however often
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a library may have given the root logger a handler: not twice
    warnings.showwarning = _Warnings()


def speak_as(index: int) -> None:
    """Of several processes of one command the first goes on as it is; the others, which would say the same, tell
    alarms alone, with their number."""
    if index:
        _lines.speaker = f"process {index}: "
        logger.setLevel(logging.ERROR)


def as_utf8(stream: TextIO) -> TextIO:
    """A standard stream for data, which are UTF-8 whatever the terminal is set to. (A lone surrogate, which has no
    UTF-8 form, is written as JSON would escape it.)"""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace" if stream.writable() else "strict")
    return stream


class _Terminal(io.TextIOBase):
    """A terminal, that is to be shown data as they are."""

    def __init__(self, terminal: TextIO):
        self._terminal = terminal

    def write(self, text: str, /) -> int:
        self._terminal.write("\n".join(map(printable, text.split("\n"))))
        return len(text)


def for_terminal(stream: TextIO) -> TextIO:
    """The stream, or if it is a terminal one that shows `printable` lines on it: files and pipes get data as they
    are."""
    return cast("TextIO", _Terminal(stream)) if stream.isatty() else stream


def _shows_bars() -> bool:
    """Whether a bar can be drawn anew in its place: a notebook's `!command` has a terminal that only adds lines."""
    in_a_notebook = "JPY_PARENT_PID" in os.environ
    return _lines in logger.handlers and sys.stderr is not None and sys.stderr.isatty() and not in_a_notebook


_TELLING = 10  # steps, of many, whose rate tells how long the rest will take


class Progress:
    """Steps of one stage: a bar on a command's terminal, a message now and then elsewhere."""

    def __init__(
        self, title: str, total: int, start: int = 0, every: float = 15.0, *, quiet_end: bool = False
    ):
        """`quiet_end`: off a terminal, the last step needs no message."""
        self._title, self._total, self._start, self._every = title, total, start, every
        self._quiet_end = quiet_end
        self._said = time.monotonic()
        self._first: tuple[int, float] | None = None
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
            self._task = self._bar.add_task(printable(title), total=total, completed=start, note="")

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, step: int, note: str = "", force: bool = False) -> None:
        """Shows `step` of the total; off a terminal at most every few seconds unless forced, and the last one."""
        if self._bar:
            self._bar.update(self._task, completed=step)
            if note:
                self._bar.tasks[0].fields["note"] = printable(note)
            return
        if self._quiet_end and step == self._total:
            return
        now = time.monotonic()
        # Until then programs were compiled, which tells nothing of the rest.
        self._first = self._first or (step, now)
        if force or now - self._said >= self._every or step == self._total:
            self._said = now
            done, seconds = step - self._first[0], now - self._first[1]
            enough = min(_TELLING, (self._total - self._start) / 50)
            telling = 0 < done >= enough and step < self._total
            left = f"{(self._total - step) * seconds / done:.0f} s left  " if telling else ""
            say(f"{self._title}: {step}/{self._total}  {left}{note}".rstrip())


_SOON = 1.0  # seconds that nobody needs to be told of: what was compiled before is there by then


class Compilations:
    """Says of each program that it is compiled, which may take minutes, and which of several that are expected.

    Threads share one.
    """

    def __init__(self, title: str, shapes: Iterable[Hashable] = ()):
        """`shapes`: what each program is compiled for, as far as `expect` would say it at once."""
        self._title, self._begun = title, set[Hashable]()
        self._left = set(shapes)  # of those that are expected
        self._expected = len(self._left)
        self._lock = threading.Lock()

    def expect(self, shapes: Iterable[Hashable]) -> None:
        """Programs for these are needed next. Those that are new to it are counted anew."""
        with self._lock:
            if new := set(shapes) - self._begun - self._left:
                self._left |= new
                self._expected = len(self._left)

    @contextmanager
    def compiling(self, shape: Hashable) -> Iterator[None]:
        """Within, the program for this shape is called, or compiled: the first time, where that takes long, it is
        said."""
        which = self._which(shape)
        if not which:
            yield
            return
        waiting = threading.Timer(_SOON, say, [f"{self._title}: compiling {which}"])
        waiting.daemon = True
        waiting.start()
        try:
            yield
        finally:
            waiting.cancel()

    def _which(self, shape: Hashable) -> str:
        """Which program is begun with this shape; "" for one that was begun before."""
        with self._lock:
            if shape in self._begun:
                return ""
            self._begun.add(shape)
            number, expected = self._expected - len(self._left) + 1, shape in self._left
            self._left.discard(shape)
            return f"{number} of {self._expected}" if expected and self._expected > 1 else "a program"


_advance: ContextVar[Callable[[int], None] | None] = ContextVar("advance", default=None)


@contextmanager
def counted(title: str, total: int) -> Iterator[None]:
    """Within, what `advance` is told is shown, as a part of `total`."""
    done = 0
    with Progress(title, total, quiet_end=True) as progress:

        def add(count: int) -> None:
            nonlocal done
            done = min(done + count, total)
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
