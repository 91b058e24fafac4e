"""Temperatures fitted to toys whose right answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from toner_jax.evaluation.calibration import Judged
from toner_jax.evaluation.calibration_temperature import fit_calibration_temperature, negative_log_likelihood


def toy(over_confidence: float, n: int = 4000, seed: int = 0):
    """temperature → predictions of a two-way choice whose logits are too large by a factor."""
    rng = np.random.default_rng(seed)
    logits = rng.uniform(0, 4, n)
    right = rng.random(n) < 1 / (1 + np.exp(-logits))
    asked: list[float] = []

    def judged_at(calibration_temperature: float) -> Judged:
        asked.append(calibration_temperature)
        scores = 1 / (1 + np.exp(-over_confidence * logits / calibration_temperature))
        return Judged(scores, np.ones(n), right, right, n)

    return judged_at, asked


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.0])
def test_the_factor_is_found_and_calibrates(factor):
    judged_at, asked = toy(factor)
    fitted = fit_calibration_temperature(judged_at)
    assert fitted.calibration_temperature == pytest.approx(factor, rel=0.12)
    assert fitted.ece_after < 0.03 < fitted.ece_before
    assert fitted.nll_after < fitted.nll_before
    assert len(asked) == 11
    assert asked[0] == 1.0
    assert fit_calibration_temperature(toy(factor)[0]) == fitted


def test_the_fit_is_the_best_of_a_fine_search():
    judged_at, _ = toy(2.5)

    def loss(calibration_temperature):
        judged = judged_at(calibration_temperature)
        return negative_log_likelihood(judged.joint_scores, judged.right)

    grid = np.exp(np.linspace(math.log(0.25), math.log(4), 400))
    finest = min(grid, key=loss)
    assert fit_calibration_temperature(judged_at).calibration_temperature == pytest.approx(finest, rel=0.06)


def test_what_no_temperature_improves_stays():
    """Scores that do not depend on it: 1 is as good as any."""
    right = np.array([True, False, True])
    flat = Judged(np.full(3, 0.7), np.ones(3), right, right, 3)
    fitted = fit_calibration_temperature(lambda _: flat)
    assert fitted.calibration_temperature == 1.0
    assert fitted.ece_before == fitted.ece_after


def test_temperatures_stay_within_bounds():
    judged_at, asked = toy(40.0)
    assert 3.5 < fit_calibration_temperature(judged_at).calibration_temperature < 4
    assert all(0.25 < t < 4 for t in asked)


def test_nothing_predicted():
    empty = Judged(np.zeros(0), np.zeros(0), np.zeros(0, bool), np.zeros(0, bool), 5)
    fitted = fit_calibration_temperature(lambda _: empty)
    assert fitted.calibration_temperature == 1.0
    assert fitted.to_json() == {
        "calibration_temperature": 1.0, "nll_before": None, "nll_after": None, "ece_before": None, "ece_after": None,
    }  # fmt: skip


def test_negative_log_likelihood():
    nll = negative_log_likelihood(np.array([0.8, 0.4]), np.array([True, False]))
    assert nll == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    sure = negative_log_likelihood(np.array([1.0, 0.0]), np.array([False, True]))
    assert sure == pytest.approx(-math.log(1e-6), rel=1e-6)
