"""The learning rate by step, and what weight decay touches."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from toner_jax.training.optimizer import adamw, decayed, linear_schedule, skippable
from toner_jax.training.state import make_train_step


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.0),
        (5, 1e-3),  # half of the warm-up
        (10, 2e-3),  # its end
        (55, 1e-3),  # the middle of the decay
        (99, 2e-3 / 90),  # the last step is still worth taking
        (100, 0.0),
        (150, 0.0),
    ],
)
def test_schedule(step, expected):
    assert float(linear_schedule(2e-3, 100, 0.1)(step)) == pytest.approx(expected, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("warmup", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 7, 1000])
def test_schedule_never_passes_its_peak_nor_falls_below_zero(steps, warmup):
    rates = np.array([linear_schedule(0.5, steps, warmup)(i) for i in range(min(steps, 50))])
    assert (rates >= 0).all()
    assert (rates <= 0.5).all()
    assert steps == 1 or rates.max() > 0


PARAMS = {
    "encoder": {
        "layers_0": {
            "self_attention": {"query": {"kernel": jnp.full((2, 3), 2.0)}},
            "self_attention_norm": {"scale": jnp.full(3, 2.0)},
        },
        "relative_attention_bias": {"embedding": jnp.full((4, 2), 2.0)},
    },
    "type_head": {"dense": {"kernel": jnp.full((2, 2), 2.0), "bias": jnp.full(2, 2.0)}},
}


def test_norms_and_biases_do_not_decay():
    assert decayed(PARAMS) == {
        "encoder": {
            "layers_0": {
                "self_attention": {"query": {"kernel": True}},
                "self_attention_norm": {"scale": False},
            },
            "relative_attention_bias": {"embedding": True},  # a table of weights, despite its name
        },
        "type_head": {"dense": {"kernel": True, "bias": False}},
    }


def test_decay_shrinks_by_rate_times_weight_decay_and_nothing_else():
    """With zero gradients a step is decay alone: w ← w·(1 − η·λ)."""
    tx = adamw(optax.constant_schedule(0.1), weight_decay=0.05, beta2=0.99, clip_norm=1.0)
    zeros = jax.tree.map(jnp.zeros_like, PARAMS)
    updates, _ = jax.jit(tx.update)(zeros, tx.init(PARAMS), PARAMS, finite=True)
    after = optax.apply_updates(PARAMS, updates)
    mask = decayed(PARAMS)
    for value, decays in zip(jax.tree.leaves(after), jax.tree.leaves(mask), strict=True):
        np.testing.assert_allclose(value, 2.0 * (1 - 0.1 * 0.05) if decays else 2.0, rtol=1e-6)


def test_decay_of_all_shrinks_norms_and_biases_too():
    tx = adamw(optax.constant_schedule(0.1), weight_decay=0.05, beta2=0.99, clip_norm=0.0, decay_all=True)
    zeros = jax.tree.map(jnp.zeros_like, PARAMS)
    updates, _ = jax.jit(tx.update)(zeros, tx.init(PARAMS), PARAMS, finite=True)
    for value in jax.tree.leaves(optax.apply_updates(PARAMS, updates)):
        np.testing.assert_allclose(value, 2.0 * (1 - 0.1 * 0.05), rtol=1e-6)


def first_moment(gradient: list[float], clip_norm: float) -> np.ndarray:
    """After one step."""
    tx = adamw(optax.constant_schedule(0.1), weight_decay=0.0, beta2=0.99, clip_norm=clip_norm)
    params = {"w": {"kernel": jnp.zeros(2)}}
    gradients = {"w": {"kernel": jnp.array(gradient)}}
    _, state = jax.jit(tx.update)(gradients, tx.init(params), params, finite=True)
    return np.asarray(optax.tree_utils.tree_get(state, "mu")["w"]["kernel"])


def test_gradients_are_clipped_by_their_norm_before_the_moments():
    """The first moment is then (1 − β₁) times the gradient that Adam saw."""
    np.testing.assert_allclose(first_moment([3.0, 4.0], 1.0), [0.06, 0.08], rtol=1e-5)
    np.testing.assert_allclose(first_moment([0.3, 0.4], 1.0), [0.03, 0.04], rtol=1e-5)
    np.testing.assert_allclose(first_moment([3.0, 4.0], 0.0), [0.3, 0.4], rtol=1e-5)


def test_adamw_is_the_published_update():
    """Three steps by hand: bias-corrected moments, ε outside the root, decay apart from the moments."""
    rate, weight_decay, beta1, beta2 = 0.1, 0.05, 0.9, 0.97
    tx = adamw(optax.constant_schedule(rate), weight_decay=weight_decay, beta2=beta2, clip_norm=0.0)
    gradients = np.array([[0.5, -2.0], [1.5, 0.1], [-0.3, 0.7]])
    params = {"w": {"kernel": jnp.array([1.0, -1.0])}}
    state, update = tx.init(params), jax.jit(tx.update)
    w, m, v = np.array([1.0, -1.0]), np.zeros(2), np.zeros(2)
    for t, g in enumerate(gradients, 1):
        updates, state = update({"w": {"kernel": jnp.asarray(g, jnp.float32)}}, state, params, finite=True)
        params = optax.apply_updates(params, updates)
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        adam = (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + 1e-8)
        w = w - rate * (adam + weight_decay * w)
        np.testing.assert_allclose(params["w"]["kernel"], w, rtol=1e-5)


def gradients_of(step: int) -> Any:
    keys = iter(jax.random.split(jax.random.key(step), len(jax.tree.leaves(PARAMS))))
    return jax.tree.map(lambda x: jax.random.normal(next(keys), x.shape), PARAMS)


def test_it_is_optax_adamw_bit_for_bit():
    schedule = linear_schedule(1e-2, 10, 0.2)
    ours = adamw(schedule, weight_decay=0.05, beta2=0.99, clip_norm=1.0)
    theirs = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.99, weight_decay=0.05, mask=decayed)
    )
    a, b = (PARAMS, ours.init(PARAMS)), (PARAMS, theirs.init(PARAMS))
    assert jax.tree.structure(a) == jax.tree.structure(b)
    take = {
        id(ours): jax.jit(lambda g, p, s: ours.update(g, s, p, finite=True)),
        id(theirs): jax.jit(lambda g, p, s: theirs.update(g, s, p)),
    }
    for step in range(6):
        grads = gradients_of(step)
        for tx in (ours, theirs):
            params, state = a if tx is ours else b
            updates, state = take[id(tx)](grads, params, state)
            after = optax.apply_updates(params, updates), state
            a, b = (after, b) if tx is ours else (a, after)
        jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("tx", [adamw(linear_schedule(0.1, 9, 0.0), weight_decay=0.1, beta2=0.99, clip_norm=1.0),
                                optax.adamw(0.1), optax.sgd(0.1, momentum=0.9)])  # fmt: skip
def test_a_step_that_is_not_finite_changes_no_state(tx: optax.GradientTransformation):
    update = jax.jit(skippable(tx).update)
    _, before = update(gradients_of(0), tx.init(PARAMS), PARAMS, finite=True)
    grads = jax.tree.map(lambda g: g * jnp.nan, gradients_of(1))
    _, after = update(grads, before, PARAMS, finite=False)
    jax.tree.map(np.testing.assert_array_equal, after, before)
    _, after = update(gradients_of(1), before, PARAMS, finite=True)
    assert any(np.any(x != y) for x, y in zip(*map(jax.tree.leaves, (after, before)), strict=True))


def train_step() -> tuple[Any, Any]:
    """A step on one large kernel, and its state."""
    tx = adamw(linear_schedule(1e-2, 10, 0.2), weight_decay=0.05, beta2=0.99, clip_norm=1.0)
    params = {"w": {"kernel": jnp.ones((300, 500))}}
    state = {
        "step": jnp.int32(0),
        "params": params,
        "opt_state": tx.init(params),
        "rng": np.zeros(2, np.uint32),
    }
    state = jax.tree.map(jnp.asarray, state)

    def loss(params: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        value = jnp.mean(jnp.square(batch["x"] @ params["w"]["kernel"]))
        return value, {"loss": value}

    return make_train_step(loss, tx, state), state


BATCH = {"x": jnp.ones((4, 300))}


def test_nothing_of_the_state_is_copied_on_a_cpu():
    step, state = train_step()
    text = step.lower(state, BATCH).compile().as_text()
    assert "f32[300,500]" in text
    assert not re.findall(r"= f32\[300,500\]\S* copy\(", text)


@pytest.mark.parametrize(("platform", "barriers"), [("cpu", 1), ("cuda", 0), ("tpu", 0)])
def test_only_a_cpu_reads_the_moments_again(platform: str, barriers: int):
    step, state = train_step()
    text = step.trace(state, BATCH).lower(lowering_platforms=(platform,)).as_text()
    assert text.count("optimization_barrier") == barriers
