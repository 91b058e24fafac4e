"""What draws dropout's masks is a choice that a training keeps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from toner_jax.parallel.mesh import make_mesh
from toner_jax.parallel.sharding import ShardingRules
from toner_jax.training.checkpoint import Checkpoints
from toner_jax.training.state import RBG, THREEFRY, Seed, abstract_state, create_state, make_train_step

RULES = ShardingRules(((r"w$", P()),))
TX = optax.sgd(0.1)


def init(key):
    return {"w": jax.random.normal(key, (64,))}


def loss(params, batch, key):
    kept = jax.random.bernoulli(key, 0.5, (64,))
    return jnp.sum(jnp.where(kept, params["w"], 0.0) ** 2), {"loss": jnp.sum(kept)}


def born(prng: str, seed: int = 3):
    return create_state(init, TX, Seed(seed, prng), make_mesh(), "replicated", RULES)


def trained(prng: str, steps: int, state=None):
    state = born(prng) if state is None else state
    step = make_train_step(loss, TX, state)
    for _ in range(steps):
        state, _ = step(state, {})
    return state


@pytest.mark.parametrize(("prng", "words"), [(THREEFRY, 2), (RBG, 4)])
def test_the_state_says_which(prng, words):
    assert born(prng)["rng"].shape == abstract_state(init, TX, prng)["rng"].shape == (words,)


@pytest.mark.slow
def test_both_begin_with_the_same_parameters_and_draw_other_masks():
    np.testing.assert_array_equal(born(THREEFRY)["params"]["w"], born(RBG)["params"]["w"])
    one, other = trained(THREEFRY, 2)["params"]["w"], trained(RBG, 2)["params"]["w"]
    assert not np.array_equal(one == 0, other == 0) or not np.array_equal(one, other)


@pytest.mark.parametrize("prng", [THREEFRY, RBG])
def test_the_device_draws_only_with_rbg(prng):
    state = born(prng)
    text = make_train_step(loss, TX, state).lower(state, {}).as_text()
    assert ("rng_bit_generator" in text) == (prng == RBG)


@pytest.mark.parametrize("prng", [THREEFRY, RBG])
def test_masks_differ_by_step_and_by_seed(prng):
    masks = []
    for seed in (3, 4):
        state = born(prng, seed)
        step = make_train_step(loss, TX, state)
        for _ in range(2):
            before = np.asarray(state["params"]["w"])
            state, _ = step(state, {})
            masks.append(tuple(np.asarray(state["params"]["w"]) != before))
    assert len(set(masks)) == 4
    assert all(10 < sum(mask) < 54 for mask in masks)


@pytest.mark.parametrize("prng", [THREEFRY, RBG])
def test_a_resumed_training_draws_the_same(prng, tmp_path):
    whole = trained(prng, 5)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(2, trained(prng, 2), {})
        checkpoints.wait()
        resumed = trained(prng, 3, checkpoints.restore(2, born(prng, seed=9)))
    for left, right in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_checkpoint_of_one_is_not_taken_for_the_other(tmp_path):
    from toner_jax.errors import UserError

    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, born(THREEFRY), {})
        checkpoints.wait()
        with pytest.raises(UserError, match="cannot be restored"):
            checkpoints.restore(1, born(RBG))
