"""How to add a loss: label smoothing in Eq. 2, tried on a generator that is trained for a few steps.

A real one would touch four files:

* `toner_jax/losses.py`: the function, `smoothed_generation_loss` below;
* `toner_jax/training/objectives.py`: its options as fields of the objective, and its term in `loss`;
* `toner_jax/config.py`: its keys, each with a comment (and its range in `_RANGES`);
* `toner_jax/runs/options.py`: from keys to fields.

The training step, sharding, checkpoints, metrics and the fingerprint of the stage, which holds its whole section,
follow.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from toner_jax import losses
from toner_jax.models import registry
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.model import shift_right
from toner_jax.models.toner import ToNER
from toner_jax.training.state import make_train_step

SOURCE = np.array([[3, 4, 5, 1], [6, 7, 1, 0]], np.int32)
TARGET = np.array([[4, 5, 1], [7, 1, 0]], np.int32)
WEIGHT = np.ones(2, np.float32)


def smoothed_generation_loss(logits_BTV, target_BT, weight_B, smoothing):
    """Eq. 2 against (1 − ε) of the target token and ε spread over the vocabulary."""
    plain = losses.generation_loss(logits_BTV, target_BT, weight_B)
    log_p = jax.nn.log_softmax(logits_BTV)
    real = (target_BT != 0) * weight_B[:, None]
    spread = -jnp.sum(jnp.mean(log_p, axis=-1) * real) / jnp.maximum(jnp.sum(real), 1.0)
    return (1 - smoothing) * plain + smoothing * spread


@dataclass(frozen=True)
class SmoothedObjective:
    smoothing: float

    def loss(self, model):
        def loss(params, batch, key):
            source, target = batch["source"], batch["target"]
            mask = (source != 0).astype(jnp.float32)
            logits, _ = model.apply({"params": params}, source, mask, shift_right(target), mask, True)
            value = smoothed_generation_loss(logits, target, batch["weight"], self.smoothing)
            return value, {"loss": value}

        return loss


def by_hand(logits, target, smoothing):
    """The mean cross-entropy against the smoothed one-hot target, token by token."""
    terms = []
    for row, ids in zip(logits.astype(np.float64), target, strict=True):
        for scores, token in zip(row, ids, strict=True):
            if token:
                wanted = np.full(len(scores), smoothing / len(scores))
                wanted[token] += 1 - smoothing
                terms.append(-np.sum(wanted * (scores - np.log(np.sum(np.exp(scores))))))
    return np.mean(terms)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_it_is_the_cross_entropy_against_smoothed_targets(smoothing):
    logits = np.random.default_rng(0).normal(size=(2, 3, 9)).astype(np.float32)
    found = smoothed_generation_loss(logits, TARGET, WEIGHT, smoothing)
    assert float(found) == pytest.approx(by_hand(logits, TARGET, smoothing), rel=1e-5)


@pytest.mark.slow
def test_a_generator_trains_on_it():
    config = T5Config(
        vocab_size=9,
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_decoder_layers=1,
        num_heads=2,
        dropout_rate=0.0,
    )
    model = ToNER(config, num_types=1)
    params = registry.initializer(model)(jax.random.key(0))
    tx = optax.adam(1e-2)
    rng = jax.random.key_data(jax.random.key(0))
    state = {"step": jnp.zeros((), jnp.int32), "params": params, "opt_state": tx.init(params), "rng": rng}
    step = make_train_step(SmoothedObjective(0.1).loss(model), tx, state)
    batch, seen = {"source": SOURCE, "target": TARGET, "weight": WEIGHT}, []
    for _ in range(40):
        state, metrics = step(state, batch)
        assert not metrics["skipped"]
        seen.append(float(metrics["loss"]))
    # The least there is: the entropy of a smoothed target.
    wanted = np.full(9, 0.1 / 9)
    wanted[0] += 0.9
    floor = -np.sum(wanted * np.log(wanted))
    assert floor - 1e-4 < seen[-1] < 0.6 * seen[0]
