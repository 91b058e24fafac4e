"""Orbax, with its log messages kept out of ours. Nothing else imports it.

Orbax reports every file it touches, and failures that it raises as well, through absl. absl's log functions give the
root logger a handler where it has none, which would change the logging of the program that called us.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def without_orbax_messages() -> Iterator[None]:
    """Within, no message of Orbax's code is logged, from any thread; others are, as outside."""
    absl, handler = logging.getLogger("absl"), _LastResort()
    dropped = _NotFromOrbax()
    absl.addFilter(dropped)
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)
        absl.removeFilter(dropped)


class _NotFromOrbax(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "orbax" not in Path(record.pathname).parts


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
    "ocp",
    "without_orbax_messages",
]
