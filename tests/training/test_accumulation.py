"""A batch computed in parts is the batch: losses, gradients and the step, of rows as uneven as they come."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
import pytest

from toner_jax.errors import UserError
from toner_jax.models import registry
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.model import Bert
from toner_jax.models.t5.config import T5Config
from toner_jax.models.toner import ToNER
from toner_jax.parallel.hlo import read_program
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs.checks import _check_batch
from toner_jax.training.objectives import GeneratorObjective, MatcherObjective
from toner_jax.training.optimizer import adamw, linear_schedule
from toner_jax.training.state import Accumulation, Seed, create_state, make_train_step

T5 = T5Config(
    vocab_size=60,
    d_model=16,
    d_kv=8,
    d_ff=24,
    num_layers=1,
    num_decoder_layers=1,
    num_heads=2,
    dropout_rate=0.0,
)
BERT = BertConfig(
    vocab_size=60, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=16, dropout_rate=0.0,
)  # fmt: skip
ROWS, TYPES = 12, 3


def ragged(rng, longest: int) -> np.ndarray:
    ids = rng.integers(2, 60, (ROWS, longest)).astype(np.int32)
    for row, length in zip(ids, rng.integers(1, longest + 1, ROWS), strict=True):
        row[length:] = 0
    return ids


def batch() -> dict[str, np.ndarray]:
    """Rows of very different lengths; two fill the batch up, and some have no type."""
    rng = np.random.default_rng(0)
    source = ragged(rng, 10)
    return {
        "source": source,
        "ids": source,
        "target": ragged(rng, 7),
        "pool_mask": (source != 0).astype(np.float32),
        "present": (rng.random((ROWS, TYPES)) < 0.4).astype(np.float32),
        "weight": (np.arange(ROWS) < ROWS - 2).astype(np.float32),
    }


def pieces(kind: str, option):
    """A model's parameters, its objective and its loss."""
    if kind == "generator":
        model, objective = ToNER(T5, num_types=TYPES), GeneratorObjective(0.3, option)
        return model, objective, objective.loss(model)
    model, objective = Bert(BERT), MatcherObjective(0.1, option)
    return model, objective, objective.loss(model, [np.array([5, 6, 7]), np.array([8]), np.array([9, 10])])


def stepped(kind: str, option, parts: int):
    model, objective, loss = pieces(kind, option)
    tx = adamw(linear_schedule(1e-2, 10, 0.0), weight_decay=0.01, beta2=0.99, clip_norm=1.0)
    rules = registry.of(model.config).sharding
    state = create_state(registry.initializer(model), tx, Seed(0), make_mesh(), "replicated", rules)
    step = make_train_step(loss, tx, state, Accumulation(parts, objective.counts))
    return step(state, batch())


@pytest.mark.parametrize(
    ("kind", "option", "parts"),
    [
        ("generator", "token", 3),
        ("generator", "sequence", 2),
        ("matcher", None, 3),
        ("matcher", 0.7, 12),
    ],
)
@pytest.mark.slow
def test_the_step_is_the_same(kind, option, parts):
    state, metrics = stepped(kind, option, 1)
    other, in_parts = stepped(kind, option, parts)
    assert metrics.keys() == in_parts.keys()
    for name in metrics:
        np.testing.assert_allclose(in_parts[name], metrics[name], rtol=2e-5, err_msg=name)
    for left, right in zip(jax.tree.leaves(other["params"]), jax.tree.leaves(state["params"]), strict=True):
        np.testing.assert_allclose(left, right, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "option"), [("generator", "token"), ("matcher", None)])
def test_means_of_parts_would_be_another_loss(kind, option):
    """Or else the test above could not tell."""
    model, _, loss = pieces(kind, option)
    params = registry.initializer(model)(jax.random.key(0))
    of = partial(loss, params, key=jax.random.key(1))
    whole = float(of(batch())[0])
    halves = [float(of({k: v[6 * i :][:6] for k, v in batch().items()})[0]) for i in range(2)]
    assert abs(np.mean(halves) - whole) > 1e-3


def test_parts_have_masks_of_their_own():
    """With dropout equal rows in different parts are dropped differently."""

    def loss(params, batch, key):
        value = jax.numpy.sum(jax.random.normal(key, ())) + 0 * params["w"].sum()
        return value, {"loss": value}

    state = {
        "step": jax.numpy.int32(0),
        "params": {"w": jax.numpy.ones(2)},
        "opt_state": (),
        "rng": np.zeros(2, np.uint32),
    }
    state = jax.device_put(state, jax.devices()[0])
    tx = adamw(lambda step: 0.0, weight_decay=0.0, beta2=0.9, clip_norm=0.0)
    state["opt_state"] = tx.init(state["params"])
    step = make_train_step(loss, tx, state, Accumulation(2, lambda batch: {}))
    drawn = float(step(jax.tree.map(np.array, state), {"x": np.zeros(4)})[1]["loss"])
    key = jax.random.fold_in(jax.random.wrap_key_data(np.zeros(2, np.uint32)), 0)
    assert drawn == pytest.approx(
        sum(float(jax.random.normal(jax.random.fold_in(key, i), ())) for i in range(2))
    )


@pytest.mark.slow
def test_less_memory():
    """The states of a part at a time: what the compiler sets aside falls with the parts."""
    model, objective, loss = pieces("generator", "token")
    tx = adamw(linear_schedule(1e-2, 10, 0.0), weight_decay=0.01, beta2=0.99, clip_norm=1.0)
    rules = registry.of(model.config).sharding
    state = create_state(registry.initializer(model), tx, Seed(0), make_mesh(), "replicated", rules)
    large = {k: np.repeat(v, 32, 0) for k, v in batch().items()}
    held = {}
    for parts in (1, 8):
        step = make_train_step(loss, tx, state, Accumulation(parts, objective.counts))
        program = step.lower(state, large).compile()
        held[parts] = program.memory_analysis().temp_size_in_bytes
        assert read_program(program.as_text()).flops > 0
    assert held[8] < held[1] / 3


def test_parts_that_do_not_divide_are_refused():
    from ml_collections import ConfigDict

    config = ConfigDict({"generator": {"batch_size": 8, "microbatches": 3}})
    with pytest.raises(
        UserError, match=r"generator\.microbatches=3.* must divide the 8 samples of a step on a device"
    ):
        _check_batch(config, "generator", make_mesh(devices=jax.devices()[:1]))
