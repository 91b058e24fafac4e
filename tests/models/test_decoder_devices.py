"""A decoder made for accelerators lays its cache out in another way, and computes the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from toner_jax.models import registry
from toner_jax.models.t5.config import T5Config
from toner_jax.models.toner import ToNER
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs.recognizers import make_programs

CONFIG = T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=1, num_decoder_layers=2, num_heads=2, vocab_size=50)


@pytest.fixture(scope="module")
def model():
    return ToNER(CONFIG, num_types=1)


def logits(model, on_cpu):
    """Of three steps of two tokens, one of which is taken back, and the cache after them."""
    params = registry.initializer(model)(jax.random.key(3))
    make_decoder = registry.of(CONFIG).make_decoder(model, on_cpu)
    rng = np.random.default_rng(0)
    source, tokens = rng.integers(1, 50, (2, 7)), rng.integers(1, 50, (3, 2, 2))
    source[1, 4:] = 0

    @jax.jit
    def run(params):
        decoder, found = make_decoder(params), []
        encoded, cache = decoder.encode(jnp.asarray(source)), decoder.init_cache(2, 6)
        for step in jnp.asarray(tokens):
            of_step, cache = decoder.step(step, encoded, cache)
            cache = decoder.rewind(cache, 2, jnp.array([1, 2]))
            found.append(of_step)
        return jnp.stack(found), decoder.reorder(cache, jnp.array([1, 0]))

    return jax.device_get(run(params))


@pytest.mark.slow
def test_both_layouts_give_the_same_logits(model):
    (on_cpu, transposed), (elsewhere, plain) = logits(model, True), logits(model, False)
    np.testing.assert_allclose(on_cpu, elsewhere, rtol=1e-5, atol=1e-5)
    assert np.abs(np.diff(on_cpu, axis=0)).max() > 0.1
    for ours, theirs in zip(transposed.layers, plain.layers, strict=True):
        assert ours.keys.shape == (2, 2, 8, 6)
        np.testing.assert_allclose(ours.keys.swapaxes(-1, -2), theirs.keys, rtol=1e-5, atol=1e-5)


def test_programs_are_made_for_the_devices_of_the_mesh(model):
    assert make_programs(model, make_mesh(1)).make_decoder({}).on_cpu
