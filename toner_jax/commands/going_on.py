"""How commands end early whose work goes on when they are given again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toner_jax.common import cli
from toner_jax.training.interrupts import Preempted, install


@contextmanager
def goes_on(interrupted: str = "from there", stopped: str = "from there") -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM end the command with a line that says that it goes on.

    Args:
      interrupted, stopped: where from, after either.

    Raises:
      Ended: either came.
    """
    try:
        install()
        yield
    except KeyboardInterrupt:
        raise cli.Ended(cli.INTERRUPTED, f"interrupted; the same command goes on {interrupted}") from None
    except Preempted:
        raise cli.Ended(cli.PREEMPTED, f"stopped by SIGTERM; the same command goes on {stopped}") from None
