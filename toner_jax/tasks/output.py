"""What a generator is given, and what it writes: the same for every task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Input:
    """One input of the generator: the words of a text that fits, and its T′ (None without matching)."""

    words: Sequence[str]
    matched: Sequence[str] | None


def probability(log_probability: float) -> float:
    """Of what was written, by the sum of its tokens' log-probabilities, which rounding may take above 0."""
    return math.exp(min(0.0, log_probability))


@dataclass(frozen=True)
class WrittenSpan:
    """An item written under the grammar: words `start` … `end` of its input (both 0 for a type alone), and the
    probabilities that another item of its type follows, and of its span given that, among all that the grammar
    allowed."""

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
      truncated: whether the list was cut where there was room for no more tokens: `spans` are its first items.
    """

    tokens: list[int]
    scores: np.ndarray
    spans: tuple[WrittenSpan, ...] | None = None
    explanation: int = 0
    truncated: bool = False
