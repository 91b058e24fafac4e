"""Equations 2, 4, 5 and 6 against loops in float64 NumPy, written from the paper's formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from toner_jax import losses

# Compiled once per shape: operation by operation, each would be compiled on its own.
generation_loss = jax.jit(losses.generation_loss, static_argnames="normalization")
type_matching_loss = jax.jit(losses.type_matching_loss, static_argnames=("tau", "null_cosine"))
type_classification_loss = jax.jit(losses.type_classification_loss)

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


# Equation 2.


@pytest.mark.parametrize("normalization", ["token", "sequence"])
@pytest.mark.parametrize("seed", SEEDS)
def test_eq2(seed, normalization):
    x = logits_BTV(seed)
    found = generation_loss(jnp.asarray(x), jnp.asarray(TARGET), jnp.asarray(WEIGHT), normalization)
    assert found.dtype == jnp.float32
    assert float(found) == pytest.approx(batch_eq2(x, TARGET, WEIGHT, normalization), rel=1e-5)


@pytest.mark.parametrize("normalization", ["token", "sequence"])
def test_eq2_gradient(normalization):
    assert_gradient(
        lambda x: generation_loss(x, jnp.asarray(TARGET), jnp.asarray(WEIGHT), normalization),
        lambda x: batch_eq2(x, TARGET, WEIGHT, normalization),
        logits_BTV(0),
    )


def test_eq2_of_one_target_is_the_papers_sum_under_sequence_and_its_mean_under_token():
    x, target, weight = logits_BTV(1)[3:4], TARGET[3:4], np.ones(1)
    args = jnp.asarray(x), jnp.asarray(target), jnp.asarray(weight)
    assert float(generation_loss(*args, "sequence")) == pytest.approx(eq2(x[0], target[0]), rel=1e-5)
    assert float(generation_loss(*args, "token")) == pytest.approx(eq2(x[0], target[0]) / 5, rel=1e-5)


@pytest.mark.parametrize("normalization", ["token", "sequence"])
def test_eq2_ignores_padding(normalization):
    def loss(x, target, weight):
        return generation_loss(jnp.asarray(x), jnp.asarray(target), jnp.asarray(weight), normalization)

    x = logits_BTV(2)
    plain = float(loss(x, TARGET, WEIGHT))
    changed, other = x.copy(), TARGET.copy()
    changed[2] = 1e4 * np.random.default_rng(0).normal(size=changed[2].shape)  # the row of weight 0
    other[2] = [6, 6, 1, 0, 0]
    changed[TARGET == 0] = -50.0  # positions after the end
    changed[1, 3, 0] = 1e4
    assert float(loss(changed, other, WEIGHT)) == plain
    wider = np.concatenate([x, np.ones((5, 3, 7))], axis=1)
    assert float(loss(wider, np.pad(TARGET, ((0, 0), (0, 3))), WEIGHT)) == pytest.approx(plain, rel=1e-6)
    longer = np.concatenate([x, np.ones((2, 5, 7))])
    padded = float(loss(longer, np.pad(TARGET, ((0, 2), (0, 0))), np.pad(WEIGHT, (0, 2))))
    assert padded == pytest.approx(plain, rel=1e-6)
    gradient = np.asarray(jax.grad(loss)(jnp.asarray(x), TARGET, WEIGHT))
    assert not gradient[2].any()
    assert not gradient[TARGET == 0].any()
    assert gradient[(TARGET != 0) & (WEIGHT[:, None] > 0)].any(axis=-1).all()


def test_eq2_of_padding_alone_is_zero():
    assert float(generation_loss(jnp.ones((2, 3, 4)), jnp.zeros((2, 3), int), jnp.zeros(2))) == 0


def test_eq2_with_extreme_logits():
    x = np.full((1, 2, 3), -1e4)
    x[0, 0, 2] = x[0, 1, 0] = 1e4  # the first token is certain and right, the second certain and wrong
    target = jnp.array([[2, 1]])
    loss, gradient = jax.value_and_grad(lambda x: generation_loss(x, target, jnp.ones(1), "sequence"))(
        jnp.asarray(x, jnp.float32)
    )
    assert float(loss) == pytest.approx(2e4, rel=1e-6)
    np.testing.assert_allclose(gradient, [[[0.0, 0.0, 0.0], [1.0, -1.0, 0.0]]], atol=1e-6)


def test_an_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="'mean'"):
        generation_loss(jnp.ones((1, 1, 2)), jnp.ones((1, 1), int), jnp.ones(1), "mean")


# Equation 4.


@pytest.mark.parametrize("null", [None, DELTA])
@pytest.mark.parametrize("seed", SEEDS)
def test_eq4(seed, null):
    x = cosine_BK(seed)
    found = type_matching_loss(jnp.asarray(x), jnp.asarray(PRESENT), jnp.asarray(WEIGHT), TAU, null)
    assert found.dtype == jnp.float32
    assert float(found) == pytest.approx(batch_eq4(x, PRESENT, WEIGHT, null), rel=1e-5)


@pytest.mark.parametrize("null", [None, DELTA])
def test_eq4_gradient(null):
    assert_gradient(
        lambda x: type_matching_loss(x, jnp.asarray(PRESENT), jnp.asarray(WEIGHT), TAU, null),
        lambda x: batch_eq4(x, PRESENT, WEIGHT, null),
        cosine_BK(0),
    )


def test_eq4_without_positives_is_zero_with_zero_gradient():
    def loss(x):
        return type_matching_loss(x, jnp.zeros(PRESENT.shape, bool), jnp.asarray(WEIGHT), TAU)

    value, gradient = jax.value_and_grad(loss)(jnp.asarray(cosine_BK(0), jnp.float32))
    assert float(value) == 0
    np.testing.assert_array_equal(gradient, np.zeros(PRESENT.shape))


@pytest.mark.parametrize("null", [None, DELTA])
def test_eq4_of_padding_alone_is_zero_with_zero_gradient(null):
    def loss(x):
        return type_matching_loss(x, jnp.asarray(PRESENT), jnp.zeros(5), TAU, null)

    value, gradient = jax.value_and_grad(loss)(jnp.asarray(cosine_BK(0), jnp.float32))
    assert float(value) == 0
    np.testing.assert_array_equal(gradient, np.zeros(PRESENT.shape))


def test_eq4_averages_over_the_sentences_that_have_types():
    """Sentences without any change nothing, however many there are."""
    x = cosine_BK(1)
    plain = float(type_matching_loss(jnp.asarray(x), jnp.asarray(PRESENT), jnp.asarray(WEIGHT), TAU))
    more = np.concatenate([x, cosine_BK(2)])
    present = np.concatenate([PRESENT, np.zeros_like(PRESENT)])
    found = type_matching_loss(jnp.asarray(more), jnp.asarray(present), jnp.ones(10).at[2].set(0), TAU)
    assert float(found) == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("null", [None, DELTA])
def test_eq4_ignores_padded_rows(null):
    def loss(x, present):
        return type_matching_loss(jnp.asarray(x), jnp.asarray(present), jnp.asarray(WEIGHT), TAU, null)

    x, other, present = cosine_BK(3), cosine_BK(3), PRESENT.copy()
    other[2], present[2] = -0.9, [0, 0, 1, 0, 1, 0]
    assert float(loss(other, present)) == float(loss(x, PRESENT))
    gradient = np.asarray(jax.grad(loss)(jnp.asarray(x, jnp.float32), PRESENT))
    assert not gradient[2].any()
    assert gradient[0].all()


@pytest.mark.parametrize("cosines", [[0.9, 0.1, -0.5], [0.2, 0.3, 0.1]])
def test_eq4_null_pushes_an_empty_sentence_below_the_threshold(cosines):
    """log(1 + Σ e^{(cos − δ)/τ}), whose gradient lowers every cosine."""

    def loss(x):
        return type_matching_loss(x, jnp.zeros((1, 3)), jnp.ones(1), TAU, DELTA)

    value, gradient = jax.value_and_grad(loss)(jnp.array([cosines]))
    assert float(value) == pytest.approx(
        math.log1p(sum(math.exp((c - 0.4) / 0.05) for c in cosines)), rel=1e-5
    )
    assert (np.asarray(gradient) > 0).all()


@pytest.mark.parametrize("null", [None, 0.0])
def test_eq4_with_extreme_scores(null):
    """τ of 1e-4 makes scores of ±1e4."""
    x = jnp.array([[-1.0, 1.0, 0.0], [1.0, -1.0, 0.0]])
    present = jnp.array([[1, 0, 0], [1, 0, 0]])
    value, gradient = jax.value_and_grad(lambda x: type_matching_loss(x, present, jnp.ones(2), 1e-4, null))(x)
    assert float(value) == pytest.approx((2e4 + 0) / 2)
    np.testing.assert_allclose(gradient, [[-5e3, 5e3, 0.0], [0.0, 0.0, 0.0]], atol=1e-3)


# Equation 5.


@pytest.mark.parametrize("seed", SEEDS)
def test_eq5(seed):
    x = logits_BK(seed)
    found = type_classification_loss(jnp.asarray(x), jnp.asarray(PRESENT), jnp.asarray(WEIGHT))
    assert found.dtype == jnp.float32
    assert float(found) == pytest.approx(batch_eq5(x, PRESENT, WEIGHT), rel=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_eq5_is_the_printed_form_with_the_logit_negated(seed):
    x = logits_BK(seed)
    for row, present in zip(x, PRESENT, strict=True):
        found = type_classification_loss(jnp.asarray(row[None]), jnp.asarray(present[None]), jnp.ones(1))
        assert float(found) == pytest.approx(eq5_as_printed(-row, present), rel=1e-5)
        assert float(found) != pytest.approx(eq5_as_printed(row, present), rel=1e-2)


def test_eq5_gradient():
    assert_gradient(
        lambda x: type_classification_loss(x, jnp.asarray(PRESENT), jnp.asarray(WEIGHT)),
        lambda x: batch_eq5(x, PRESENT, WEIGHT),
        logits_BK(0),
    )


def test_eq5_raises_the_present_and_lowers_the_absent():
    gradient = jax.grad(lambda x: type_classification_loss(x, jnp.asarray(PRESENT), jnp.ones(5)))(
        jnp.zeros((5, 6))
    )
    assert (np.sign(gradient) == np.where(PRESENT > 0, -1, 1)).all()


def test_eq5_ignores_padded_rows():
    def loss(x, present):
        return type_classification_loss(jnp.asarray(x), jnp.asarray(present), jnp.asarray(WEIGHT))

    x, other, present = logits_BK(3), logits_BK(3), PRESENT.copy()
    other[2], present[2] = 1e4, 1 - present[2]
    assert float(loss(other, present)) == float(loss(x, PRESENT))
    gradient = np.asarray(jax.grad(loss)(jnp.asarray(x, jnp.float32), PRESENT))
    assert not gradient[2].any()
    assert gradient[0].all()
    assert float(type_classification_loss(jnp.asarray(x), jnp.asarray(PRESENT), jnp.zeros(5))) == 0


def test_eq5_with_extreme_logits():
    x = jnp.array([[1e4, -1e4, 0.0], [-1e4, 1e4, -1e4]])  # a row certain and right, a row certain and wrong
    present = jnp.array([[1, 0, 0], [1, 0, 0]])
    value, gradient = jax.value_and_grad(lambda x: type_classification_loss(x, present, jnp.ones(2)))(x)
    assert float(value) == pytest.approx((math.log(2) + 2e4) / 2)
    np.testing.assert_allclose(gradient, [[0.0, 0.0, 0.25], [-0.5, 0.5, 0.0]], atol=1e-6)


# Equation 6.


@pytest.mark.parametrize("lambda_c", [0.0, 0.1, 2.0])
def test_eq6(lambda_c):
    x, y = logits_BTV(0), logits_BK(0)
    found = losses.generator_loss(
        generation_loss(jnp.asarray(x), jnp.asarray(TARGET), jnp.asarray(WEIGHT)),
        type_classification_loss(jnp.asarray(y), jnp.asarray(PRESENT), jnp.asarray(WEIGHT)),
        lambda_c,
    )
    expected = batch_eq2(x, TARGET, WEIGHT, "token") + lambda_c * batch_eq5(y, PRESENT, WEIGHT)
    assert float(found) == pytest.approx(expected, rel=1e-5)
