"""Which requests lie on which replica of a mesh, and whether replicas decode on their own."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from toner_jax.inference import replicas
from toner_jax.models import registry
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.decoder import T5Decoder
from toner_jax.models.toner import ToNER

CONFIG = T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=1, num_decoder_layers=1, num_heads=2)


@pytest.mark.parametrize(
    ("count", "requests", "of"), [(0, 8, 4), (3, 8, 8), (5, 8, 2), (7, 8, 1), (16, 16, 8)]
)
def test_requests_are_dealt_like_cards(count, requests, of):
    at, size = replicas.dealt(count, requests, of)
    assert size.sum() == count
    assert size.max() - size.min() <= 1
    assert len(set(at.tolist())) == count
    each = requests // of
    held = [[k for k in range(count) if at[k] // each == replica] for replica in range(of)]
    assert held == [list(range(count))[replica::of] for replica in range(of)]
    # On each replica the first ones are taken, in order.
    assert all((at[h] % each).tolist() == list(range(len(h))) for h in map(np.array, held) if len(h))


def apart(memory: int | None, weights: str, monkeypatch, *, rows: int = 8, tensor: int = 1) -> bool:
    """Whether a mesh of so many replicas decodes apart, each device of so much memory."""
    model = ToNER(CONFIG, num_types=3)
    params = jax.eval_shape(registry.initializer(model), jax.random.key(0))
    monkeypatch.setattr(replicas, "memory_limit", lambda device: memory)
    monkeypatch.setattr(replicas, "device_bytes", lambda tree: 1_000_000)
    mesh = SimpleNamespace(
        devices=np.array([None]), shape={"data": rows, "fsdp": 1, "tensor": tensor}, size=rows * tensor
    )
    return replicas.are_apart(partial(T5Decoder, model), params, mesh, weights)


def test_weights_are_whole_where_there_is_room(monkeypatch):
    model = ToNER(CONFIG, num_types=3)
    params = jax.eval_shape(registry.initializer(model), jax.random.key(0))
    whole = sum(4 * leaf.size for leaf in jax.tree.leaves(params))
    enough = int((1_000_000 + whole) / 0.75) + 1
    assert apart(enough, "auto", monkeypatch)
    assert not apart(enough - 10, "auto", monkeypatch)
    assert apart(enough - whole // 2, "auto", monkeypatch, tensor=2)  # half of them
    assert apart(None, "auto", monkeypatch)  # a CPU
    assert apart(1, "whole", monkeypatch)
    assert not apart(None, "split", monkeypatch)
    assert not apart(None, "whole", monkeypatch, rows=1)


def test_weights_are_prepared_in_the_dtype_they_are_used_in():
    model = ToNER(CONFIG, num_types=3, dtype=jax.numpy.bfloat16)
    params = jax.eval_shape(registry.initializer(model), jax.random.key(0))
    prepared = jax.eval_shape(lambda given: T5Decoder(model, given).prepared(), params).params
    assert prepared["shared"]["embedding"].dtype == prepared["lm_head"]["kernel"].dtype == jax.numpy.bfloat16
    decoder = prepared["decoder"]
    assert decoder["layers_0"]["self_attention"]["query"]["kernel"].dtype == jax.numpy.bfloat16
    # Norms and the bias by distance are computed in fp32.
    assert decoder["final_norm"]["scale"].dtype == np.float32
    assert decoder["relative_attention_bias"]["embedding"].dtype == np.float32
