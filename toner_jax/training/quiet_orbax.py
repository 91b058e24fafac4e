"""Orbax, with its log messages kept out of ours. Nothing else imports it.

Orbax reports every file it touches, and failures that it raises as well, through absl. absl's log functions give the
root logger a handler where it has none, which would change the logging of the program that called us. When a write
fails, so do others that were under way, in callbacks that nobody waits for, and Python prints their tracebacks.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from types import TracebackType

import absl.logging  # noqa: F401 — before its logger is asked for: only one that it makes itself knows who logs

_MARK = "orbax"  # a folder of all of its code


@contextmanager
def without_orbax_messages() -> Iterator[None]:
    """Within, no message of Orbax's code is logged, from any thread, and no traceback of its callbacks is printed;
    others are, as outside."""
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    handler, dropped = _LastResort(), _NotFromOrbax()
    for logger in loggers:
        logger.addFilter(dropped)
    logging.root.addHandler(handler)
    try:
        with _without_tracebacks():
            yield
    finally:
        logging.root.removeHandler(handler)
        for logger in loggers:
            logger.removeFilter(dropped)


@contextmanager
def _without_tracebacks() -> Iterator[None]:
    before = sys.excepthook, sys.unraisablehook
    drop_tracebacks()
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook = before


def drop_tracebacks() -> None:
    """From now on, no traceback of Orbax's callbacks is printed: those of a failed save may come at any time, up to
    the interpreter's end."""
    uncaught, unraisable = sys.excepthook, sys.unraisablehook

    def hear_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not _is_left_behind(error, trace):
            uncaught(kind, error, trace)

    def hear_unraisable(found: sys.UnraisableHookArgs) -> None:
        if not _is_left_behind(found.exc_value, found.exc_traceback):
            unraisable(found)

    sys.excepthook, sys.unraisablehook = hear_uncaught, hear_unraisable


def _is_left_behind(error: BaseException | None, trace: TracebackType | None) -> bool:
    """Whether it was raised in Orbax's code, or for it: the loop that its callbacks belong to is closed."""
    return _is_of_orbax(trace) or str(error) == "Event loop is closed"


def _is_of_orbax(trace: TracebackType | None) -> bool:
    return any(_MARK in Path(frame.f_code.co_filename).parts for frame, _ in walk_tb(trace))


class _NotFromOrbax(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        # absl takes itself for the one who logs an exception; asyncio names what was written, and where to.
        of_orbax = record.exc_info and _is_of_orbax(record.exc_info[2])
        of_orbax = of_orbax or (record.name == "asyncio" and _MARK in record.getMessage())
        return not of_orbax and _MARK not in Path(record.pathname).parts


class _LastResort(logging.Handler):
    """Does what `logging` does while the root logger has no handler, so that absl finds one there."""

    def emit(self, record: logging.LogRecord) -> None:
        others = [h for h in logging.root.handlers if not isinstance(h, _LastResort)]
        last = logging.lastResort
        if not others and logging.root.handlers[0] is self and last and record.levelno >= last.level:
            last.handle(record)


with without_orbax_messages():  # its import logs, too
    import orbax.checkpoint as ocp
    from orbax.checkpoint.checkpoint_managers import (
        PolicyCheckpointInfo,
        PreservationContext,
        PreservationPolicy,
    )

__all__ = [
    "PolicyCheckpointInfo",
    "PreservationContext",
    "PreservationPolicy",
    "drop_tracebacks",
    "ocp",
    "without_orbax_messages",
]
