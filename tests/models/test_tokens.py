"""A batch computed without its padding: the same function of its tokens, in any order of rows, split in any groups."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from toner_jax.models import registry
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.model import Bert
from toner_jax.models.dropout import Dropout, draw_words, mixed
from toner_jax.models.stacks import UNROLLED, Stack
from toner_jax.models.t5.config import T5Config
from toner_jax.models.tokens import unpadding
from toner_jax.models.toner import ToNER
from toner_jax.pipeline.unpadding import cells, layout_arrays, room, share_out
from toner_jax.training.objectives import GeneratorObjective, MatcherObjective

slow = pytest.mark.slow
ROWS, SHAPE, TYPES = 8, (13, 7), 3
CONFIG = T5Config(
    vocab_size=60, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_decoder_layers=2, num_heads=2, dropout_rate=0.0
)  # fmt: skip
BERT = BertConfig(
    vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=16, dropout_rate=0.0,
)  # fmt: skip


def padded() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rows of very different lengths, the last of which is empty, and these lengths."""
    rng = np.random.default_rng(0)
    lengths = np.stack([rng.integers(1, n + 1, ROWS) for n in SHAPE], 1)
    lengths[0], lengths[-1] = SHAPE, 0
    source, target = (rng.integers(2, 60, (ROWS, n)).astype(np.int32) for n in SHAPE)
    for ids, of in ((source, lengths[:, 0]), (target, lengths[:, 1])):
        ids[np.arange(ids.shape[1]) >= of[:, None]] = 0
    batch = {
        "source": source,
        "target": target,
        "pool_mask": (source != 0).astype(np.float32),
        "present": (rng.random((ROWS, TYPES)) < 0.4).astype(np.float32),
        "weight": (lengths[:, 0] > 0).astype(np.float32),
    }
    return batch, lengths


def unpadded(groups: int) -> dict[str, np.ndarray]:
    batch, lengths = padded()
    (order,) = share_out(lengths[None], groups)
    most = room(lengths[None], groups)
    assert sum(most) * groups < ROWS * sum(SHAPE)  # or else nothing would be left out
    return {k: v[order] for k, v in batch.items()} | layout_arrays(lengths[order], order, SHAPE, groups, most)


@cache
def results(groups: int, dropout: float, normalization: str = "token", stack: Stack = UNROLLED):
    """Loss, its parts and gradients; 0 groups are the padded batch."""
    model = ToNER(replace(CONFIG, dropout_rate=dropout), stack=stack, num_types=TYPES)
    params = registry.initializer(model)(jax.random.key(0))
    batch = unpadded(groups) if groups else padded()[0]
    loss = GeneratorObjective(0.3, normalization).loss(model)
    grads, metrics = jax.jit(jax.grad(loss, has_aux=True))(params, batch, jax.random.key(1))
    return metrics, grads


def same(left, right):
    for name, value in left[0].items():
        np.testing.assert_allclose(right[0][name], value, rtol=2e-5, err_msg=name)
    for (path, a), (_, b) in zip(
        jax.tree_util.tree_leaves_with_path(left[1]),
        jax.tree_util.tree_leaves_with_path(right[1]),
        strict=True,
    ):
        np.testing.assert_allclose(b, a, atol=2e-5, rtol=2e-4, err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize(
    ("groups", "dropout"),
    [(2, 0.3), (1, 0.0), (2, 0.0), (1, 0.3)],
)
@slow
def test_loss_and_gradients_are_those_of_the_padded_batch(groups, dropout):
    same(results(0, dropout), results(groups, dropout))


def test_a_row_a_group_leaves_the_padding_in():
    with pytest.raises(AssertionError):
        unpadded(ROWS)


@slow
def test_dropout_changes_them():
    """Or else equal losses with dropout would say nothing."""
    assert abs(float(results(0, 0.3)[0]["loss"]) - float(results(0, 0.0)[0]["loss"])) > 1e-3


@slow
def test_normalized_by_targets():
    same(results(0, 0.0, "sequence"), results(2, 0.0, "sequence"))


@slow
@pytest.mark.parametrize("remat", ["products", "full"])
def test_computed_again_in_the_backward_pass(remat):
    same(results(2, 0.3), results(2, 0.3, stack=Stack(remat)))


@slow
@pytest.mark.parametrize("remat", ["none", "products", "full"])
def test_layers_in_a_loop(remat):
    same(results(2, 0.0), results(2, 0.0, stack=Stack(remat, scan=True)))


@slow
def test_dropout_draws_other_masks_in_a_loop():
    losses = [float(results(2, 0.3, stack=Stack("none", scan))[0]["loss"]) for scan in (False, True)]
    assert abs(losses[0] - losses[1]) > 1e-3


# The type matching model.


@cache
def matcher_results(groups: int, dropout: float, stack: Stack = UNROLLED):
    """As `results`, of the loss of Eq. 4."""
    model = Bert(replace(BERT, dropout_rate=dropout), stack=stack)
    params = registry.initializer(model)(jax.random.key(0))
    batch, lengths = unpadded(groups or 1), padded()[1]
    (order,) = share_out(lengths[None], groups or 1)
    given = {"ids": batch["source"], "present": batch["present"], "weight": batch["weight"]}
    given["number"] = order.astype(np.int32)
    if groups:
        given["ids_cells"] = batch["source_cells"]
    descriptions = [np.arange(2, 2 + n, dtype=np.int32) for n in (3, 1, 6)]
    loss = MatcherObjective(0.1, 0.5).loss(model, descriptions)
    grads, metrics = jax.jit(jax.grad(loss, has_aux=True))(params, given, jax.random.key(1))
    return metrics, grads


@pytest.mark.parametrize(
    ("groups", "dropout"),
    [(1, 0.0), (2, 0.3), (4, 0.0)],
)
@slow
def test_type_matching_is_that_of_the_padded_batch(groups, dropout):
    """Dropout's masks too, in whatever order the rows stand."""
    same(matcher_results(0, dropout), matcher_results(groups, dropout))


@slow
def test_dropout_changes_type_matching():
    losses = [float(matcher_results(0, dropout)[0]["loss"]) for dropout in (0.3, 0.0)]
    assert abs(losses[0] - losses[1]) > 1e-3


@slow
@pytest.mark.parametrize("remat", ["none", "products", "full"])
def test_layers_of_the_matcher_in_a_loop(remat):
    same(matcher_results(2, 0.0), matcher_results(2, 0.0, Stack(remat, scan=True)))


# Where tokens go.


def test_tokens_go_where_they_came_from():
    lengths = np.array([3, 0, 5, 1])
    mask = np.arange(5) < lengths[:, None]
    places = unpadding(cells(lengths, 5, 2, 8), mask)
    grid = jnp.arange(1, 21).reshape(4, 5) * mask
    flat = places.unpad(grid)
    assert flat.tolist() == [[1, 2, 3, 0, 0, 0, 0, 0], [11, 12, 13, 14, 15, 16, 0, 0]]
    assert places.pad(flat[..., None])[..., 0].tolist() == grid.tolist()


# Dropout.


def test_the_share_that_is_dropped():
    x = jnp.ones((64, 32, 128))
    key = jax.random.key(5)
    words = draw_words(key, np.arange(64), 32)
    y = np.asarray(Dropout(0.1).apply({}, x, False, words, rngs={"dropout": key}))
    assert set(np.unique(y).tolist()) == {0.0, np.float32(1 / 0.9)}
    dropped = y == 0
    for axis in ((0, 1, 2), (0, 1), (2,)):  # of all, of each feature, of each token
        share = dropped.mean(axis)
        spread = np.sqrt(0.09 / (dropped.size / share.size))
        assert np.abs(share - 0.1).max() < 5 * spread
        if share.size > 1:
            assert 0.9 < share.std() / spread < 1.1


def uncorrelated(a: np.ndarray, b: np.ndarray) -> bool:
    """Of signs that are as often +1 as −1."""
    return bool(abs(np.mean(a * b)) < 5 / np.sqrt(a.size))


def signs(shape, *, key: int = 0, layer: int = 1, numbers=None) -> np.ndarray:
    b, s = shape[0], shape[-2]
    words = draw_words(jax.random.key(key), np.arange(b) if numbers is None else numbers, s)
    return np.where(np.asarray(mixed(words, jax.random.key(layer), shape)) >> 31, 1.0, -1.0)


@pytest.mark.parametrize("shape", [(32, 64, 256), (8, 8, 64, 64)])
def test_masks_of_tokens_features_layers_and_steps_are_independent(shape):
    one = signs(shape)
    assert abs(one.mean()) < 5 / np.sqrt(one.size)
    for axis in range(len(shape)):
        for apart in (1, 2, 7):
            near, far = np.split(one, [one.shape[axis] - apart], axis)[0], np.split(one, [apart], axis)[1]
            assert uncorrelated(near, far), (axis, apart)
    assert uncorrelated(one, signs(shape, layer=2))
    assert uncorrelated(one, signs(shape, key=1))


def test_a_row_keeps_its_mask_wherever_it_stands():
    one, moved = signs((4, 6, 16)), signs((4, 6, 16), numbers=np.array([2, 0, 3, 1]))
    np.testing.assert_array_equal(moved, one[[2, 0, 3, 1]])
    np.testing.assert_array_equal(signs((4, 3, 16)), one[:, :3])
