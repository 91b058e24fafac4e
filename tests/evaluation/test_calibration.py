"""Calibration against hand-computed tables and a plain loop."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from toner_jax.evaluation import calibration
from toner_jax.evaluation.calibration import Judged, judge, threshold_curve
from toner_jax.schema import Entity, EntityType, Schema, make_sentence

SCHEMA = Schema("s", (EntityType("person"), EntityType("place")))


def sentence(*gold):
    return make_sentence("s", ["a", "b", "c", "d", "e", "f"], [Entity(*g) for g in gold], SCHEMA)


# Per row: gold, prediction, whether its type is right and whether it is right altogether.
EVENTS = [
    ([(0, 2, "person")], (0, 2, "person"), True, True),
    ([(0, 2, "person")], (0, 3, "person"), True, False),  # another end
    ([(0, 2, "person")], (0, 2, "place"), False, False),  # another type
    ([(0, 2, "person")], (1, 3, "place"), False, False),
    ([(0, 2, "person")], (3, 4, "person"), False, False),  # of that type, but elsewhere: invented
    ([], (0, 1, "person"), False, False),
    ([(0, 2, "person"), (0, 2, "place")], (0, 2, "place"), True, True),
    ([(0, 2, "place"), (0, 4, "person")], (0, 3, "person"), True, False),  # its own type's, not the nearer
]


@pytest.mark.parametrize(("gold", "predicted", "type_right", "right"), EVENTS)
def test_events(gold, predicted, type_right, right):
    judged = judge([sentence(*gold)], [[(Entity(*predicted), 0.8, 0.5)]])
    assert judged.type_right.tolist() == [type_right]
    assert judged.right.tolist() == [right]
    assert judged.gold == len(gold)
    events = {name: (s.tolist(), r.tolist()) for name, (s, r) in judged.events().items()}
    assert events == {
        "joint": ([0.4], [right]),
        "type": ([0.8], [type_right]),
        "span": ([0.5], [right]) if type_right else ([], []),  # asked only where the type is right
    }


def test_a_gold_entity_vouches_for_one_prediction():
    """The exact one is right; the other overlaps only what is accounted for."""
    predicted = [(Entity(0, 1, "person"), 0.9, 0.9), (Entity(0, 2, "person"), 0.6, 0.5)]
    judged = judge([sentence((0, 2, "person"))], [predicted])
    assert judged.type_right.tolist() == [False, True]
    assert judged.right.tolist() == [False, True]


def test_sentences_must_match_predictions():
    with pytest.raises(ValueError):
        judge([sentence()], [])


# Five predictions of six gold entities; two share a score, so that no threshold parts them.
SCORES = np.array([0.9, 0.5, 0.5, 0.8, 0.2])
RIGHT = np.array([True, True, False, True, False])
CURVE = [  # least score, kept, right
    (0.2, 5, 3),
    (0.5, 4, 3),
    (0.8, 2, 2),
    (0.9, 1, 1),
]


def test_curve_table():
    curve = threshold_curve(SCORES, RIGHT, 6)
    assert curve.thresholds.tolist() == [t for t, _, _ in CURVE]
    for i, (_, kept, right) in enumerate(CURVE):
        assert curve.precision[i] == right / kept
        assert curve.recall[i] == right / 6
        assert curve.f1[i] == pytest.approx(2 * right / (kept + 6))
    assert curve.best() == 1


def test_best_threshold_lies_between_two_scores():
    judged = Judged(SCORES, np.ones(5), np.ones(5, bool), RIGHT, 6)
    best = calibration.describe_scores(judged)["best"]
    assert best == {"threshold": pytest.approx(0.35), "precision": 0.75, "recall": 0.5, "f1": 0.6}


def test_where_everything_is_best_kept_the_threshold_is_0():
    judged = Judged(np.array([0.3, 0.4]), np.ones(2), np.ones(2, bool), np.ones(2, bool), 2)
    best = calibration.describe_scores(judged)["best"]
    assert best == {"threshold": 0.0, "precision": 1.0, "recall": 1.0, "f1": 1.0}


def _random(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = np.round(1 - rng.random(n) ** 3, 3)  # many near 1, some equal
    return scores, rng.random(n) < scores


@pytest.mark.parametrize("seed", range(3))
def test_curve_ece_and_brier_are_a_plain_loops(seed):
    scores, right = _random(seed, 400)
    gold = int(right.sum()) + 30
    curve = threshold_curve(scores, right, gold)
    assert curve.thresholds.tolist() == sorted(set(scores.tolist()))
    for i, threshold in enumerate(curve.thresholds):
        kept = [r for s, r in zip(scores, right, strict=True) if s >= threshold]
        p, r = sum(kept) / len(kept), sum(kept) / gold
        assert (curve.precision[i], curve.recall[i]) == (pytest.approx(p), pytest.approx(r))
        assert curve.f1[i] == pytest.approx(2 * p * r / (p + r) if p + r else 0)
    error = 0.0
    for b in range(10):
        members = [
            (s, r)
            for s, r in zip(scores.tolist(), right, strict=True)
            if b <= s * 10 < b + 1 or (b == 9 and s == 1)
        ]
        error += abs(sum(r for _, r in members) - sum(s for s, _ in members))
    assert calibration.expected_calibration_error(scores, right) == pytest.approx(error / 400)
    brier = sum((s - r) ** 2 for s, r in zip(scores.tolist(), right.tolist(), strict=True)) / 400
    assert calibration.brier_score(scores, right) == pytest.approx(brier)


def test_bins_table():
    scores = np.array([0.0, 0.05, 0.1, 0.3, 0.95, 1.0])
    right = np.array([False, False, True, True, True, False])
    bins = calibration.reliability(scores, right)
    assert [b["count"] for b in bins] == [2, 1, 0, 1, 0, 0, 0, 0, 0, 2]
    assert bins[0] == {"count": 2, "confidence": 0.025, "accuracy": 0.0}
    assert bins[2] == {"count": 0, "confidence": None, "accuracy": None}
    assert bins[9] == {"count": 2, "confidence": 0.975, "accuracy": 0.5}
    # 2·0.025 + 1·0.9 + 1·0.7 + 2·0.475, over six
    assert calibration.expected_calibration_error(scores, right) == pytest.approx(2.6 / 6)


def test_thinned_curves_keep_their_ends_and_their_best():
    scores, right = _random(7, 5000)
    curve = threshold_curve(scores, right, 5000)
    assert len(curve.f1) > 300
    points = calibration.thin(curve)
    assert len(points) <= 101
    assert {0, len(curve.f1) - 1, curve.best()} <= set(points)
    assert points == sorted(set(points))
    thresholds = curve.thresholds[points]
    assert max(np.diff(thresholds)) < 0.05  # no stretch without points, though few scores are low
    few = threshold_curve(SCORES, RIGHT, 6)
    assert calibration.thin(few) == [0, 1, 2, 3]


@pytest.mark.parametrize("gold", [0, 3])
def test_no_predictions(gold):
    empty = np.zeros(0)
    scores = calibration.describe_scores(Judged(empty, empty, empty > 0, empty > 0, gold))
    assert scores["predicted"] == 0
    assert scores["ece"] == scores["brier"] == {"joint": None, "type": None, "span": None}
    assert (scores["curve"], scores["best"]) == ([], None)


def test_predictions_without_gold():
    judged = judge([sentence()], [[(Entity(0, 1, "person"), 0.9, 0.9)]])
    scores = calibration.describe_scores(judged)
    assert scores["best"] == {"threshold": 0.0, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert scores["ece"]["span"] is None
    assert scores["brier"]["joint"] == pytest.approx(0.81**2)


def test_json_holds_no_nan():
    scores, right = _random(1, 50)
    judged = Judged(scores, np.ones(50), right, right, 60)
    text = json.dumps(calibration.describe_scores(judged), allow_nan=False)
    assert math.isfinite(json.loads(text)["best"]["f1"])
