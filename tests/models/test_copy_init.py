"""What the copying circuit does before any training, measured on random source sequences."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from toner_jax.errors import UserError
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.copy_init import copying
from toner_jax.models.t5.model import T5

CONFIG = T5Config(
    vocab_size=500, d_model=128, d_kv=32, d_ff=256, num_layers=2, num_decoder_layers=2, num_heads=4
)
pytestmark = pytest.mark.slow
MODEL = T5(CONFIG)
LENGTH, ROWS = 24, 48


@pytest.fixture(scope="module")
def uncopied():
    ids, mask = jnp.zeros((1, 4), int), jnp.ones((1, 4))
    return jax.jit(MODEL.init)(jax.random.key(3), ids, mask, ids)["params"]


@pytest.fixture(scope="module")
def copied(uncopied):
    return copying(uncopied, CONFIG, jax.random.key(4))


@pytest.fixture(scope="module")
def sources() -> np.ndarray:
    """Sequences of distinct pieces, so that each piece has one successor."""
    rng = np.random.default_rng(5)
    return np.stack([rng.permutation(np.arange(3, 500))[:LENGTH] for _ in range(ROWS)])


@jax.jit
def run(params, sources):
    """Logits [B, T, V], and the last cross-attention's weights [B, H, T, S], of a decoder that is fed the
    source itself: at position t it has just written piece t."""
    ended = jnp.pad(sources, ((0, 0), (0, 1)), constant_values=1)
    logits, seen = MODEL.apply(
        {"params": params}, ended, jnp.ones(ended.shape), sources[:, :-1],
        capture_intermediates=True, mutable=["intermediates"],
    )  # fmt: skip
    attention = seen["intermediates"]["decoder"]["layers_1"]["cross_attention"]
    q, k = (
        attention[name]["__call__"][0].reshape(ROWS, -1, 4, 32).transpose(0, 2, 1, 3)
        for name in ("query", "key")
    )
    return logits, jax.nn.softmax(q @ k.swapaxes(-1, -2), axis=-1)


def successor_attention(params, sources) -> float:
    """The mean share of attention that goes to the place after the piece just written."""
    weights = np.asarray(run(params, sources)[1])
    return float(weights[:, :, np.arange(LENGTH - 1), np.arange(1, LENGTH)].mean())


def predictions(params, sources, exclude_current: bool) -> np.ndarray:
    logits = np.array(run(params, sources)[0])
    if exclude_current:
        np.put_along_axis(logits, sources[:, :-1, None], -np.inf, axis=-1)
    return logits.argmax(-1)


def test_attention_finds_the_piece_that_follows_the_one_just_written(uncopied, copied, sources):
    assert successor_attention(uncopied, sources) < 2 / LENGTH  # uniform attention gives 1 / (LENGTH + 1)
    assert successor_attention(copied, sources) > 0.25  # measured: 0.36


def test_that_piece_is_the_likeliest_but_for_the_one_just_written(uncopied, copied, sources):
    following = sources[:, 1:]
    before = (predictions(uncopied, sources, exclude_current=True) == following).mean()
    after = (predictions(copied, sources, exclude_current=True) == following).mean()
    assert before < 0.01  # chance: 0.002
    assert after > 0.05  # measured: 0.1


def test_only_the_circuits_own_parameters_differ(uncopied, copied):
    before, after = (dict(jax.tree_util.tree_leaves_with_path(p)) for p in (uncopied, copied))
    assert before.keys() == after.keys()
    assert all(after[k].shape == v.shape and after[k].dtype == v.dtype for k, v in before.items())
    changed = {
        "/".join(key.key for key in path)
        for path, value in before.items()
        if not np.array_equal(value, after[path])
    }
    assert changed == {
        "encoder/relative_attention_bias/embedding",
        "decoder/relative_attention_bias/embedding",
        "decoder/layers_1/cross_attention/query/kernel",
        "decoder/layers_1/cross_attention/key/kernel",
        "decoder/layers_1/cross_attention/value/kernel",
        "decoder/layers_1/cross_attention/out/kernel",
        "lm_head/kernel",
    }


def test_the_callers_parameters_stay_as_they_are(uncopied):
    before = jax.tree.map(np.array, uncopied)
    copying(uncopied, CONFIG, jax.random.key(4))
    jax.tree.map(np.testing.assert_array_equal, before, uncopied)


def test_encoder_heads_look_one_piece_back(uncopied, copied):
    """Offset −1 is the bucket of distance 1 towards the past: heads 0 and 2 prefer it, heads 1 and 3 not."""
    gained = [
        np.asarray(p["encoder"]["relative_attention_bias"]["embedding"], np.float64)
        for p in (uncopied, copied)
    ]
    difference = gained[1] - gained[0]
    assert np.flatnonzero(difference[1] > 5).tolist() == [0, 2]
    assert (difference[0] == 0).all()  # distance 0


@pytest.mark.parametrize(
    "changes",
    [{"num_heads": 2, "d_kv": 64}, {"d_kv": 16}, {"d_kv": 64}, {"tie_embeddings": True}],
    ids=["heads", "narrow", "wide", "tied"],
)
def test_an_architecture_without_room_is_refused(uncopied, changes):
    with pytest.raises(UserError, match=r"init='t5'") as caught:
        copying(uncopied, replace(CONFIG, **changes), jax.random.key(0))
    assert "\n" not in str(caught.value)
