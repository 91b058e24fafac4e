"""What was not read of the texts of a file, counted row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Unread(NamedTuple):
    """Counts over the rows that have a coverage, since not all was read of them.

    Attributes:
      texts: such rows.
      unknown: those of them that the vocabulary mostly lacks.
      words, outputs, sentences: as `toner_jax.tasks.recognized.Coverage` has them: `words_too_long`, `truncated` and
        `matching_shortened`.
    """

    texts: int = 0
    unknown: int = 0
    words: int = 0
    outputs: int = 0
    sentences: int = 0

    @classmethod
    def of(cls, coverage: Mapping[str, Any]) -> Unread:
        """Of one row, whose coverage is as `Coverage.to_json` says it."""
        from toner_jax.tasks.recognized import MOST_UNKNOWN

        unknown = coverage.get("unknown_pieces", 0.0) > MOST_UNKNOWN
        words, outputs = coverage.get("words_too_long", 0), coverage.get("truncated_outputs", 0)
        return cls(1, int(unknown), words, outputs, coverage.get("matching_shortened", 0))

    def __add__(self, other: object) -> Unread:
        if not isinstance(other, Unread):
            return NotImplemented
        return Unread(*(a + b for a, b in zip(self, other, strict=True)))

    def describe(self) -> str:
        """In one line, for people; "" where all was read."""
        from toner_jax.tasks.recognized import Coverage

        if not self.texts:
            return ""
        lost = Coverage(
            words_too_long=self.words, truncated=self.outputs, matching_shortened=self.sentences
        ).describe(texts_mostly_unknown=self.unknown)
        texts = f"{self.texts:,} text{'s' * (self.texts > 1)}"
        return f"not all was read of {texts}, whose rows have a coverage: {lost}"
