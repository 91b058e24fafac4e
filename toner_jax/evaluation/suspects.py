"""Annotations that models which never saw them contradict: types that a sentence should have, or should not.

After confident learning (Northcutt et al. 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels"): a
sentence that lacks a type counts as one that misses it where its cosine is above the mean of those that have the type,
and one that has it as doubtful where its cosine is below the mean of those that lack it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toner_jax.pipeline.features import present_types
from toner_jax.schema import Schema, Sentence

MISSING, DOUBTFUL = "missing", "doubtful"


@dataclass(frozen=True)
class Suspect:
    """A sentence and a type of it that may be annotated wrongly.

    Attributes:
      kind: "missing", no entity of the type is annotated; or "doubtful", those that are may be none.
      margin: how far the cosine lies beyond the mean of the others, in their standard deviations.
    """

    sentence: Sentence
    type: str
    kind: str
    margin: float

    def to_json(self) -> dict[str, Any]:
        """A line of Doccano's, which shows the text with its annotated spans and keeps the rest as metadata."""
        s = self.sentence
        return {
            "id": s.id,
            "text": s.text,
            "label": [[*s.char_span(e), e.type] for e in s.gold],
            "suspect": self.type,
            "kind": self.kind,
            "margin": round(self.margin, 4),
        }


def find_suspects(
    sentences: Sequence[Sentence], similarities: Sequence[Sequence[float]], schema: Schema
) -> list[Suspect]:
    """The suspects among N sentences, the clearest first.

    Args:
      similarities: [N][K], cosines of models that never saw the sentence, in schema order.
    """
    rows, present = np.asarray(similarities, np.float64), present_types(sentences, schema)
    found: list[Suspect] = []
    for k, name in enumerate(schema.names):
        has = present[:, k]
        if not has.any() or has.all():
            continue
        found += _of_type(sentences, rows[:, k], ~has, rows[has, k], name, MISSING)
        found += _of_type(sentences, -rows[:, k], has, -rows[~has, k], name, DOUBTFUL)
    return sorted(found, key=lambda s: (-s.margin, s.sentence.id, s.type))


def _of_type(
    sentences: Sequence[Sentence],
    values: np.ndarray,
    asked: np.ndarray,
    others: np.ndarray,
    name: str,
    kind: str,
) -> list[Suspect]:
    """Those of the `asked` whose value is above the mean of `others`."""
    mean, spread = others.mean(), max(float(others.std()), 1e-6)
    above = np.flatnonzero(asked & (values > mean))
    return [Suspect(sentences[i], name, kind, float(values[i] - mean) / spread) for i in above.tolist()]
