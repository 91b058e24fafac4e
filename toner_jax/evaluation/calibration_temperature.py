"""Temperature scaling (Guo et al., 2017, §4.2): one number that makes scores less, or more, sure of
themselves, and leaves what is written as it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from toner_jax.evaluation.calibration import Judged, expected_calibration_error

LEAST, MOST = 0.25, 4.0
_ROUNDS = 8  # each narrows the search to 0.618 of its width: in the end to 6 % of a temperature
_GOLDEN = (math.sqrt(5) - 1) / 2
_SURE = 1e-6  # fp32 rounds a probability to 1: no score counts as surer than this


@dataclass(frozen=True)
class Fitted:
    """A fitted calibration temperature, and what it does on the sentences it was fitted on.

    Attributes:
      calibration_temperature: the fitted one; 1 where none is better, or nothing was predicted.
      nll_before, nll_after: `negative_log_likelihood` of the joint scores, at 1 and at the fitted one.
      ece_before, ece_after: their expected calibration error.
    """

    calibration_temperature: float
    nll_before: float | None
    nll_after: float | None
    ece_before: float | None
    ece_after: float | None

    def to_json(self) -> dict[str, float | None]:
        return asdict(self)


def negative_log_likelihood(scores: np.ndarray, right: np.ndarray) -> float:
    """The mean of −log p of what came true, for scores as the probabilities of being right; N > 0."""
    p = np.clip(scores, _SURE, 1 - _SURE)
    return float(-np.mean(np.where(right, np.log(p), np.log1p(-p))))


def fit_calibration_temperature(judged_at: Callable[[float], Judged]) -> Fitted:
    """The calibration temperature in [0.25, 4] that minimises the negative log-likelihood of the joint scores.

    Golden-section search over its logarithm; deterministic.

    Args:
      judged_at: temperature → the predictions with their scores at it. Called eleven times, first with 1.
    """
    seen: dict[float, tuple[float, float | None]] = {}  # NLL and ECE by temperature

    def loss(log_temperature: float) -> float:
        judged = judged_at(math.exp(log_temperature))
        event = judged.joint_scores, judged.right
        nll = negative_log_likelihood(*event) if len(judged.right) else math.inf
        seen[math.exp(log_temperature)] = nll, expected_calibration_error(*event)
        return nll

    plain = loss(0.0)
    if plain == math.inf:
        return Fitted(1.0, None, None, None, None)
    low, high = math.log(LEAST), math.log(MOST)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(_ROUNDS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = loss(right)
    best = min(seen, key=lambda t: seen[t][0])  # 1 stands first: of equal ones it is taken
    return Fitted(best, plain, seen[best][0], seen[1.0][1], seen[best][1])
