"""What goes into a generator, and what it writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from toner_jax.models.toner import ToNER


@dataclass
class Work:
    """What a generator has asked of the decoder so far.

    Attributes:
      passes: how often it was called.
      rows: over how many rows in all these calls, those with nothing to write included.
    """

    passes: int = 0
    rows: int = 0

    def add(self, passes: int, rows: int) -> None:
        self.passes += passes
        self.rows += passes * rows


def methods(model: ToNER, params: Any) -> Callable[..., Any]:
    """(method, arguments) → what the model with these parameters gives."""
    return lambda method, *args: model.apply({"params": params}, *args, method=method)
