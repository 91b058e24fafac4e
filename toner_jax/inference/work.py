"""What decoding took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass
class Work:
    """What a generator has asked of the decoder so far.

    Attributes:
      passes: how often it was called.
      rows: over how many rows in all these calls, idle ones included.
    """

    passes: int = 0
    rows: int = 0

    def add(self, passes: Sequence[int] | np.ndarray, rows: int) -> None:
        """Adds a call that took so many passes on each replica, over `rows` in all, of which each has as many."""
        self.passes += int(max(passes))
        self.rows += int(sum(passes)) * rows // len(passes)
