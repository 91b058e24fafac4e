"""Equation 4 against loops in float64."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from formulas import DELTA, PRESENT, SEEDS, TAU, WEIGHT, assert_gradient, batch_eq4, cosine_BK

from toner_jax import losses

# Compiled once per shape: operation by operation, each would be compiled on its own.
type_matching_loss = jax.jit(losses.type_matching_loss, static_argnames=("tau", "null_cosine"))


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
