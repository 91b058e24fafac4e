"""Equation 5, and with it Equation 6, against loops in float64."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from formulas import (
    PRESENT,
    SEEDS,
    TARGET,
    WEIGHT,
    assert_gradient,
    batch_eq2,
    batch_eq5,
    eq5_as_printed,
    logits_BK,
    logits_BTV,
)

from toner_jax import losses

# Compiled once per shape: operation by operation, each would be compiled on its own.
generation_loss = jax.jit(losses.generation_loss, static_argnames="normalization")
type_classification_loss = jax.jit(losses.type_classification_loss)


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
