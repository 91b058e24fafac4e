"""Equation 2 against loops in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from formulas import SEEDS, TARGET, WEIGHT, assert_gradient, batch_eq2, eq2, logits_BTV

from toner_jax import losses

# Compiled once per shape: operation by operation, each would be compiled on its own.
generation_loss = jax.jit(losses.generation_loss, static_argnames="normalization")


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
