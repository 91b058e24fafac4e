"""What a request may have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a request may have, and how long it may take.

    Attributes:
      body: bytes.
      texts, labels: how many.
      waiting: requests that may wait at a time.
      seconds: until a request is answered, or for a body to arrive.
    """

    body: int = 4 << 20
    texts: int = 1000
    labels: int = 100
    waiting: int = 256
    seconds: float = 60.0
