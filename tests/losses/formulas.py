"""Equations 2, 4 and 5 as loops in float64 NumPy, written from the paper's formulas, and batches to try them on."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

TAU = 0.05
DELTA = 0.4  # the δ of the null form


# The paper's formulas, one sentence at a time.


def eq2(logits: np.ndarray, target: np.ndarray) -> float:
    """−Σ_t log P(y_t | …): one target of n tokens, logits [n, V]."""
    total = 0.0
    for scores, token in zip(logits, target, strict=True):
        shift = max(scores)
        total -= math.log(math.exp(scores[token] - shift) / sum(math.exp(s - shift) for s in scores))
    return total


def eq4(cosine: np.ndarray, present: np.ndarray, tau: float, null: float | None = None) -> float:
    """−Σ_{t⁺ ∈ P} log(e^{f(t⁺)/τ} / Σ_{t ∈ P ∪ N} e^{f(t)/τ}); with `null`, e^{δ/τ} is in the sum, and an
    empty sentence loses −log of the null's own share."""
    everything = list(cosine) if null is None else [*cosine, null]
    denominator = sum(math.exp(c / tau) for c in everything)
    total = 0.0
    for i, here in enumerate(present):
        if here:
            total -= math.log(math.exp(cosine[i] / tau) / denominator)
    if null is not None and not any(present):
        total -= math.log(math.exp(null / tau) / denominator)
    return total


def eq5_as_printed(p: np.ndarray, present: np.ndarray) -> float:
    """log(1 + Σ 1{t_i ∈ P} e^{p_i}) + log(1 + Σ 1{t_i ∈ N} e^{−p_i})."""
    inside, outside = 0.0, 0.0
    for value, here in zip(p, present, strict=True):
        if here:
            inside += math.exp(value)
        else:
            outside += math.exp(-value)
    return math.log(1 + inside) + math.log(1 + outside)


def eq5(p: np.ndarray, present: np.ndarray) -> float:
    """The same with the usual sign: a positive logit says that the type is present."""
    inside, outside = 0.0, 0.0
    for value, here in zip(p, present, strict=True):
        if here:
            inside += math.exp(-value)
        else:
            outside += math.exp(value)
    return math.log(1 + inside) + math.log(1 + outside)


# The means over a batch that each docstring promises; row weights are 0 or 1.


def batch_eq2(logits: np.ndarray, target: np.ndarray, weight: np.ndarray, normalization: str) -> float:
    total, tokens, rows = 0.0, 0, 0
    for row_logits, row_target, w in zip(logits, target, weight, strict=True):
        if w:
            length = int(np.count_nonzero(row_target))
            total += eq2(row_logits[:length], row_target[:length])
            tokens, rows = tokens + length, rows + 1
    return total / (tokens if normalization == "token" else rows)


def batch_eq4(
    cosine: np.ndarray, present: np.ndarray, weight: np.ndarray, null: float | None = None, tau: float = TAU
) -> float:
    rows = [
        eq4(c, p, tau, null)
        for c, p, w in zip(cosine, present, weight, strict=True)
        if w and (null is not None or any(p))
    ]
    return sum(rows) / len(rows)


def batch_eq5(logits: np.ndarray, present: np.ndarray, weight: np.ndarray) -> float:
    rows = [eq5(p, y) for p, y, w in zip(logits, present, weight, strict=True) if w]
    return sum(rows) / len(rows)


def numeric_gradient(f: Callable[[np.ndarray], float], x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Central differences in float64."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (f(up) - f(down)) / (2 * step)
    return gradient


def assert_gradient(loss: Callable, reference: Callable[[np.ndarray], float], x: np.ndarray) -> None:
    """jax.grad in fp32 is within 1e-3 of the reference's numeric gradient, relative to its norm."""
    expected = numeric_gradient(reference, x)
    found = np.asarray(jax.grad(loss)(jnp.asarray(x, jnp.float32)), np.float64)
    assert np.linalg.norm(expected) > 1e-2  # else the comparison says nothing
    assert np.linalg.norm(found - expected) <= 1e-3 * np.linalg.norm(expected)


# Batches: some rows are padding (weight 0), some sentences have no type.

WEIGHT = np.array([1.0, 1.0, 0.0, 1.0, 1.0])
PRESENT = np.array(
    [
        [1, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],  # of weight 0
        [0, 0, 0, 0, 1, 0],
        [1, 1, 1, 1, 1, 1],
    ],
    float,
)
TARGET = np.array([[4, 2, 2, 1, 0], [1, 0, 0, 0, 0], [3, 3, 3, 1, 0], [5, 6, 4, 3, 1], [2, 1, 0, 0, 0]])
SEEDS = range(3)


def logits_BTV(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, (*TARGET.shape, 7))


def logits_BK(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 4, PRESENT.shape)


def cosine_BK(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, PRESENT.shape)
