"""What decoding took."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Work:
    """What a generator has asked of the decoder so far.

    Attributes:
      passes: how often it was called.
      rows: over how many rows in all these calls, idle ones included.
    """

    passes: int = 0
    rows: int = 0

    def add(self, passes: int, rows: int) -> None:
        self.passes += passes
        self.rows += passes * rows
