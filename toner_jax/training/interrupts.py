"""SIGTERM, which clusters send before they take a machine away."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN = 0.05  # seconds until a stop that came at the wrong moment comes again
_CALLBACKS = ("_xla_gc_callback", "__del__")


class Preempted(BaseException):
    """The run was told to stop; what was to be saved is saved."""


class _Guard:
    """Whether a stop was asked for, and whether it may happen right now."""

    def __init__(self) -> None:
        self.requested = False
        self.deferred = False


_guard = _Guard()


def install() -> None:
    """From now on SIGTERM raises Preempted, at once or where training next allows it."""

    def handle(signum: int, frame: FrameType | None) -> None:
        _guard.requested = True
        if _guard.deferred:
            return
        if hasattr(signal, "setitimer") and _swallows(frame):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
            return
        raise Preempted

    signal.signal(signal.SIGTERM, handle)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, handle)


def _swallows(frame: FrameType | None) -> bool:
    """Whether what is raised in a frame would be lost: Python ignores the errors of callbacks of its garbage collector,
    of which JAX has one, and of finalizers."""
    while frame is not None:
        if frame.f_code.co_name in _CALLBACKS:
            return True
        frame = frame.f_back
    return False


@contextmanager
def deferred() -> Iterator[None]:
    """Within, a stop waits for `requested` to be asked; for steps whose result would be lost."""
    before, _guard.deferred = _guard.deferred, True
    try:
        yield
    finally:
        _guard.deferred = before


@contextmanager
def immediate() -> Iterator[None]:
    """Within, a stop happens at once; for long work that is repeated anyway."""
    before, _guard.deferred = _guard.deferred, False
    try:
        if _guard.requested:
            raise Preempted
        yield
    finally:
        _guard.deferred = before


def requested() -> bool:
    """Whether a stop was asked for."""
    return _guard.requested
