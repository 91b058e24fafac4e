"""A new encoder as the type matching model: everything that one has to write stands in this file.

In earnest, an encoder like ModernBERT (pre-norm, rotary positions, a gated feed-forward layer, no biases) touches:

  toner_jax/models/NAME/config.py         its sizes                          `RotaryConfig` below
  toner_jax/models/NAME/model.py          its module                         `Rotary`
  toner_jax/models/NAME/hugging_face.py   config.json and tensor names       `LAYOUT`
  toner_jax/models/NAME/architecture.py   its sharding rows, and the whole   `ARCHITECTURE`
  toner_jax/models/registry.py            one entry                          the `registered` fixture
  toner_jax/text/tokenizers.py            only where its tokenizer is of a new kind

Run as a program, it trains on eight simulated devices and prints the losses as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from toner_jax import config as configuration
from toner_jax import losses
from toner_jax.errors import UserError
from toner_jax.inference.embedding import embed
from toner_jax.inference.matching import TypeMatcher
from toner_jax.models import registry
from toner_jax.models.architecture import Architecture
from toner_jax.models.hf import weights as hf_weights
from toner_jax.models.hf.config import ConfigFile
from toner_jax.models.hf.layout import Layout
from toner_jax.models.hf.names import Names
from toner_jax.models.layers import (
    Dtype,
    Embedding,
    Linear,
    RMSNorm,
    attention_scores,
    mask_to_bias,
    merge_heads,
    split_heads,
)
from toner_jax.models.pooling import mean_pool, normalize
from toner_jax.models.stacks import UNROLLED, Stack, recomputed
from toner_jax.models.tokenizer import WORDPIECE
from toner_jax.models.tokens import Tokens, make_tokens
from toner_jax.parallel.mesh import make_mesh, shard_batch
from toner_jax.parallel.sharding import ShardingRules, parameter_shardings
from toner_jax.pipeline.matcher_features import MatcherFeatures
from toner_jax.runs import setup
from toner_jax.runs.export import pretrained
from toner_jax.schema import EntityType, Schema
from toner_jax.training.optimizer import adamw, linear_schedule
from toner_jax.training.state import Seed, create_state, make_train_step

# config.py


@dataclass(frozen=True)
class RotaryConfig:
    model_type: ClassVar[str] = "rotary"

    vocab_size: int = 60
    hidden_size: int = 32
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    intermediate_size: int = 48
    max_position_embeddings: int = 64
    dropout_rate: float = 0.0


# model.py


def rotate(x_BHSD: jax.Array) -> jax.Array:
    """Rotary positions: each pair of features turned by an angle that grows with the position."""
    half = x_BHSD.shape[-1] // 2
    angle = jnp.arange(x_BHSD.shape[-2])[:, None] * 10_000.0 ** (-jnp.arange(half) / half)
    a, b = x_BHSD[..., :half], x_BHSD[..., half:]
    return jnp.concatenate(
        [a * jnp.cos(angle) - b * jnp.sin(angle), a * jnp.sin(angle) + b * jnp.cos(angle)], -1
    )


class Layer(nn.Module):
    config: RotaryConfig
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array, tokens: Tokens) -> jax.Array:
        c, init = self.config, nn.initializers.normal(0.1)

        def linear(width: int, name: str, h: jax.Array) -> jax.Array:
            return Linear(width, init, dtype=self.dtype, name=name)(h)

        h = RMSNorm(1e-6, self.dtype, name="attention_norm")(x)
        q, k, v = (
            split_heads(part, c.num_attention_heads, tokens.unpadding)
            for part in jnp.split(linear(3 * c.hidden_size, "qkv", h), 3, axis=-1)
        )
        scale = (c.hidden_size // c.num_attention_heads) ** -0.5
        weights = attention_scores(rotate(q), rotate(k), bias, scale).astype(self.dtype)
        h = merge_heads(jnp.einsum("bhqk,bhkd->bhqd", weights, v), tokens.unpadding)
        x = x + linear(c.hidden_size, "out", h)
        h = RMSNorm(1e-6, self.dtype, name="feed_forward_norm")(x)
        gate, up = jnp.split(linear(2 * c.intermediate_size, "up", h), 2, axis=-1)
        return x + linear(c.hidden_size, "down", nn.gelu(gate) * up)


class Rotary(nn.Module):
    config: RotaryConfig
    dtype: Dtype = jnp.float32
    stack: Stack = UNROLLED

    @property
    def width(self) -> int:
        return self.config.hidden_size

    @property
    def max_length(self) -> int:
        return self.config.max_position_embeddings

    @nn.nowrap
    def pool(self, states: jax.Array, mask: jax.Array) -> jax.Array:
        return normalize(mean_pool(states, mask))

    @nn.compact
    def __call__(
        self,
        ids: jax.Array,
        mask: jax.Array,
        deterministic: bool = True,
        cells: jax.Array | None = None,
        numbers: jax.Array | None = None,
    ) -> jax.Array:
        c, tokens = (
            self.config,
            make_tokens(mask, None, cells),
        )  # it has no dropout, for which rows are numbered
        grid = tokens.unpadding
        table = Embedding(c.vocab_size, c.hidden_size, nn.initializers.normal(1.0), self.dtype, name="tokens")
        x = table(grid.unpad(ids) if grid else ids)
        bias = mask_to_bias(mask)[:, None, None, :]
        layer = recomputed(Layer, self.stack)
        for i in range(c.num_hidden_layers):
            x = layer(c, self.dtype, name=f"layers_{i}")(x, bias, tokens)
        x = RMSNorm(1e-6, self.dtype, name="final_norm")(x)
        return grid.pad(x) if grid else x


# hugging_face.py

SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
)
NAMES = Names(
    modules=(
        (r"tokens", r"embeddings.tok_embeddings"),
        (r"layers_(\d+)/attention_norm", r"layers.\1.attn_norm"),
        (r"layers_(\d+)/qkv", r"layers.\1.attn.Wqkv"),
        (r"layers_(\d+)/out", r"layers.\1.attn.Wo"),
        (r"layers_(\d+)/feed_forward_norm", r"layers.\1.mlp_norm"),
        (r"layers_(\d+)/up", r"layers.\1.mlp.Wi"),
        (r"layers_(\d+)/down", r"layers.\1.mlp.Wo"),
        (r"final_norm", r"final_norm"),
    )
)


def read_config(file: ConfigFile) -> RotaryConfig:
    file.require({"attention_bias": False})
    return RotaryConfig(**file.sizes(SIZES))


def config_json(config: RotaryConfig) -> dict[str, Any]:
    return {"model_type": config.model_type, **{name: getattr(config, name) for name in SIZES}}


LAYOUT = Layout(names=NAMES, read_config=read_config, config_json=config_json)

# architecture.py

ARCHITECTURE = Architecture(
    kind="matcher",
    config=RotaryConfig,
    scratch=RotaryConfig,
    module=Rotary,
    inputs=2,
    sharding=ShardingRules(
        (
            (r"(qkv|up)/kernel$", P("fsdp", "tensor")),
            (r"(out|down)/kernel$", P("tensor", "fsdp")),
            (r"tokens/embedding$", P("tensor", "fsdp")),
            (r"scale$", P()),
        )
    ),
    hf=LAYOUT,
    tokenizer=WORDPIECE,
    tokenizer_settings=lambda config: {"tokenizer_class": "BertTokenizer"},
)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """registry.py"""
    monkeypatch.setitem(registry.ARCHITECTURES, "rotary", ARCHITECTURE)


# What it can do then.

SCHEMA = Schema("s", (EntityType("ship", "Names of vessels."), EntityType("port"), EntityType("sea")))
TEXTS = [["the", "ship", "sails"], ["a", "port"], ["the", "sea", "is", "calm", "today"]]


class Letters:
    """A tokenizer whose pieces are letters."""

    vocab_size, pad_id, unk_id, cls_id, sep_id = 60, 0, 1, 2, 3

    def encode(self, strings):
        return [tuple(4 + ord(c) % 56 for c in s) for s in strings]

    def piece(self, id):
        return str(id)


def parameters(model: Any, seed: int = 0) -> Any:
    return registry.initializer(model)(jax.random.key(seed))


def train(steps: int, *sizes: int) -> list[float]:
    """The losses of Eq. 4 on a mesh of these sizes; the sharded state begins as on one device."""
    model, mesh = Rotary(RotaryConfig()), make_mesh(*sizes)
    rng = np.random.default_rng(0)
    texts, types = rng.integers(4, 60, (16, 12)), jnp.asarray(rng.integers(4, 60, (3, 6)))
    batch = {
        "ids": texts.astype(np.int32),
        "present": np.eye(3, dtype=np.float32)[texts[:, 0] % 3],
        "weight": np.ones(16, np.float32),
    }

    def loss(params, batch, key):
        cosines = embed(model, params, batch["ids"]) @ embed(model, params, types).T
        value = losses.type_matching_loss(cosines, batch["present"], batch["weight"], 0.05, None)
        return value, {"loss": value}

    tx = adamw(linear_schedule(1e-2, 100, 0.0), weight_decay=0.0, beta2=0.99, clip_norm=1.0)
    state = create_state(registry.initializer(model), tx, Seed(0), mesh, "fsdp", ARCHITECTURE.sharding)
    step = make_train_step(loss, tx, state)
    values = []
    for _ in range(steps):
        state, metrics = step(state, shard_batch(batch, mesh))
        values.append(float(metrics["loss"]))
    if mesh.size == 8:
        kernel = state["params"]["layers_0"]["qkv"]["kernel"]
        assert kernel.addressable_shards[0].data.shape == (16, 48)
    return values


@pytest.mark.slow
def test_it_matches_types():
    model = Rotary(RotaryConfig())
    features, params = MatcherFeatures(Letters(), model.max_length), parameters(model)
    found = TypeMatcher(model, features, make_mesh(), 2).similarities(params, TEXTS, SCHEMA)
    alone = TypeMatcher(model, features, make_mesh(), 1)
    expected = np.concatenate([alone.similarities(params, [text], SCHEMA) for text in TEXTS])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.all(np.abs(found) <= 1 + 1e-6)
    assert np.ptp(found) > 0.01


@pytest.mark.slow
def test_it_trains_on_a_mesh_as_on_one_device():
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    done = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    one = train(6, 1, 1, 1)
    np.testing.assert_allclose(json.loads(done.stdout), one, rtol=1e-4, atol=1e-6)
    assert one[-1] < 0.8 * one[0]


@pytest.mark.slow
def test_its_weights_go_out_and_come_back(tmp_path):
    model = Rotary(RotaryConfig())
    params = parameters(model)
    hf_weights.save(tmp_path, LAYOUT, params, model.config)
    config = pretrained.read_config(str(tmp_path), "matcher")
    assert config == model.config
    shardings = parameter_shardings(params, make_mesh(), ARCHITECTURE.sharding)
    again = hf_weights.load(tmp_path, registry.of(config).hf, params, shardings)
    jax.tree.map(np.testing.assert_array_equal, again, params)


@pytest.mark.slow
def test_it_is_no_generator(tmp_path):
    hf_weights.save(tmp_path, LAYOUT, parameters(Rotary(RotaryConfig())), RotaryConfig())
    with pytest.raises(
        UserError, match=r"config\.json: model_type 'rotary' is not supported as a generator, only t5, mt5$"
    ):
        pretrained.read_config(str(tmp_path), "generator")


def test_a_work_directory_records_and_finds_it(tmp_path):
    """What a stage builds is of the architecture of the checkpoint that the run was set up with."""
    record = registry.config_to_json(RotaryConfig(hidden_size=16))
    (tmp_path / setup.MODELS).write_text(json.dumps({"matcher": record}))
    model: Any = setup.build_matcher(configuration.base(), tmp_path, make_mesh())
    assert isinstance(model, Rotary)
    assert model.config.hidden_size == 16


@pytest.mark.parametrize("recorded", [{}, {"matcher": {"hidden_size": 16}}, {"matcher": []}])
def test_a_work_directory_without_a_model_type(tmp_path, recorded):
    path: Path = tmp_path / setup.MODELS
    path.write_text(json.dumps(recorded))
    with pytest.raises(UserError, match=r"models\.json: does not describe the matcher \(.*\)$") as error:
        setup.build_matcher(configuration.base(), tmp_path, make_mesh())
    assert "\n" not in str(error.value)


if __name__ == "__main__":
    registry.ARCHITECTURES["rotary"] = ARCHITECTURE
    print(json.dumps(train(6, 2, 2, 2)))
