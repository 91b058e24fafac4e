"""Calibration: what the scores of predicted entities are worth, as probabilities and as something to cut at.

A joint score is the product of a type score and of a span score given the type. Three events are told apart
so that they multiply as the scores do. Predictions are paired with gold entities as
`errors.sentence_errors` does; of a predicted entity then

  type: right when it is a gold entity, or is paired with one of the same type whose words it shares in part;
  span: asked of those whose type is right; right when it is that gold entity, both ends;
  joint: right when it is a gold entity, type and both ends, as `scoring.strict_counts` counts it.

What the model invents counts against the type and the joint score. Entities that were never predicted have
no score: recall says how many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toner_jax.evaluation.errors import sentence_errors
from toner_jax.schema import Entity, Sentence

BINS = 10
MOST_POINTS = 101  # of a curve in a report


@dataclass(frozen=True)
class Judged:
    """The N predicted entities of all sentences.

    Attributes:
      type_scores, span_scores: fp64 [N].
      type_right, right: bool [N], the events `type` and `joint` above.
      gold: the number of gold entities.
    """

    type_scores: np.ndarray
    span_scores: np.ndarray
    type_right: np.ndarray
    right: np.ndarray
    gold: int

    @property
    def joint_scores(self) -> np.ndarray:
        scores: np.ndarray = self.type_scores * self.span_scores
        return scores

    def events(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Scores and outcomes of each of the three events."""
        asked = self.type_right
        return {
            "joint": (self.joint_scores, self.right),
            "type": (self.type_scores, self.type_right),
            "span": (self.span_scores[asked], self.right[asked]),
        }


@dataclass(frozen=True)
class Curve:
    """Strict precision, recall and F1 of the entities whose score is at least a threshold, fp64 [M]: one
    point for each distinct score, ascending. Between two neighbours it is that of the upper one."""

    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray

    def best(self) -> int | None:
        """The point of the highest F1, of equal ones the one that keeps the most; None without points."""
        return int(np.argmax(self.f1)) if len(self.f1) else None

    def point(self, i: int) -> dict[str, float]:
        return {
            "threshold": float(self.thresholds[i]),
            "precision": float(self.precision[i]),
            "recall": float(self.recall[i]),
            "f1": float(self.f1[i]),
        }


def judge(gold: Sequence[Sentence], predicted: Sequence[Sequence[tuple[Entity, float, float]]]) -> Judged:
    """Which predictions are right; `predicted` gives, per sentence, distinct entities with their type and
    span scores."""
    type_right, right = [], []
    for sentence, scored in zip(gold, predicted, strict=True):
        errors = sentence_errors(sentence, [e for e, _, _ in scored])
        wrong = {error.predicted: error.kind for error in errors if error.predicted}
        right += [e not in wrong for e, _, _ in scored]
        type_right += [wrong.get(e, "boundary") == "boundary" for e, _, _ in scored]
    scores = np.array([(a, b) for scored in predicted for _, a, b in scored], np.float64).reshape(-1, 2)
    return Judged(
        scores[:, 0],
        scores[:, 1],
        np.array(type_right, bool),
        np.array(right, bool),
        sum(len(s.gold) for s in gold),
    )


def threshold_curve(scores: np.ndarray, right: np.ndarray, gold: int) -> Curve:
    """The exact curve of N scored predictions, `right` bool [N], and `gold` entities to find."""
    order = np.argsort(-scores, kind="stable")
    hits, kept = np.cumsum(right[order]), np.arange(1, len(scores) + 1)
    ordered = scores[order]
    last = np.append(ordered[:-1] > ordered[1:], True)[: len(ordered)]  # equal scores stay together
    thresholds, hits, kept = (a[last][::-1] for a in (ordered, hits, kept))
    recall = hits / gold if gold else np.zeros(len(hits))
    return Curve(thresholds, hits / kept, recall, 2 * hits / (kept + gold))


def thin(curve: Curve, most: int = MOST_POINTS) -> list[int]:
    """At most so many points of a curve, with its ends and its best: half evenly by rank, for the shape,
    half evenly by threshold, since most scores are near 1."""
    best = curve.best()
    if best is None:
        return []
    count = len(curve.f1)
    if count <= most:
        return list(range(count))
    half = (most - 1) // 2
    by_rank = np.round(np.linspace(0, count - 1, half)).astype(int)
    by_threshold = np.searchsorted(curve.thresholds[:-1], np.linspace(0, 1, half))
    return sorted({*by_rank.tolist(), *by_threshold.tolist(), best})


def reliability(scores: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Ten bins of equal width, [0, 0.1) … [0.9, 1]: how many scores lie there (`count`), their mean
    (`confidence`) and how often they are right (`accuracy`); the last two are None in an empty bin."""
    bin_of = np.clip(np.floor(scores * BINS).astype(int), 0, BINS - 1)
    bins: list[dict[str, Any]] = []
    for b in range(BINS):
        here = bin_of == b
        count = int(here.sum())
        bins.append(
            {
                "count": count,
                "confidence": float(scores[here].mean()) if count else None,
                "accuracy": float(right[here].mean()) if count else None,
            }
        )
    return bins


def expected_calibration_error(scores: np.ndarray, right: np.ndarray) -> float | None:
    """The mean over predictions of |accuracy − confidence| of their bins (Naeini et al., 2015; Guo et al.,
    2017, Eq. 3); None without predictions."""
    if not len(scores):
        return None
    bins = [b for b in reliability(scores, right) if b["count"]]
    return float(sum(b["count"] * abs(b["accuracy"] - b["confidence"]) for b in bins) / len(scores))


def brier_score(scores: np.ndarray, right: np.ndarray) -> float | None:
    """The mean squared difference of scores and outcomes (0 or 1); None without predictions."""
    return float(np.mean((scores - right) ** 2)) if len(scores) else None


def describe_scores(judged: Judged) -> dict[str, Any]:
    """The figures of a report, as JSON.

    Returns:
      `predicted`, the number of entities; `ece`, `brier` and `bins` by event; `curve`, points of the joint
      score's curve, and `best`, the one of the highest F1. Its threshold is midway to the next lower score,
      and 0 where leaving nothing out is best; None without predictions.
    """
    events = judged.events()
    curve = threshold_curve(judged.joint_scores, judged.right, judged.gold)
    best = curve.best()
    return {
        "predicted": len(judged.right),
        "ece": {name: expected_calibration_error(*event) for name, event in events.items()},
        "brier": {name: brier_score(*event) for name, event in events.items()},
        "bins": {name: reliability(*event) for name, event in events.items()},
        "curve": [curve.point(i) for i in thin(curve)],
        "best": None if best is None else {**curve.point(best), "threshold": _cut(curve, best)},
    }


def _cut(curve: Curve, i: int) -> float:
    """A threshold that keeps what point `i` keeps and does not hang on the last bit of a score."""
    return float(curve.thresholds[i - 1] + curve.thresholds[i]) / 2 if i else 0.0
