"""What goes into a generator, and what it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toner_jax.models.toner import ToNER

Words = Sequence[str]


@dataclass(frozen=True)
class Input:
    """One input of the generator: the words of a text that fits, and its T′ (None without matching)."""

    words: Words
    matched: Sequence[str] | None


@dataclass(frozen=True)
class Span:
    """An item written under the grammar: words `start` … `end` of its input, and the probabilities that
    another item of its type follows, and of its span given that, among all that the grammar allowed."""

    start: int
    end: int
    type: str
    type_score: float
    span_score: float


@dataclass(frozen=True)
class Output:
    """What was written for one input.

    Attributes:
      tokens: without the end of sequence.
      scores: fp32, the log-probability of each.
      spans: the items, under the grammar; None where the tokens have to be parsed.
      explanation: how many of the tokens, the last ones, explain the items (§3.5).
    """

    tokens: list[int]
    scores: np.ndarray
    spans: tuple[Span, ...] | None = None
    explanation: int = 0


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
