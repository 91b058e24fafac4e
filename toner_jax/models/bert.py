"""BERT (Devlin et al. 2019), the architecture of GTE (Li et al. 2023): post-norm layers, exact GELU,
learned positions. GTE's embedding is the mean of the last states over real tokens, L2-normalised.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import linen as nn

from toner_jax.errors import UserError
from toner_jax.models.layers import (
    Dtype,
    Embedding,
    Linear,
    attention_scores,
    mask_to_bias,
    merge_heads,
    split_heads,
)


@dataclass(frozen=True)
class BertConfig:
    """One BERT variant; the names are Hugging Face's."""

    vocab_size: int = 30522
    hidden_size: int = 384
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 1536
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    dropout_rate: float = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    pooler: bool = True  # mean pooling never uses it, but published checkpoints carry it

    @classmethod
    def gte(cls, size: str) -> BertConfig:
        """The published GTE sizes."""
        sizes = {
            "small": cls(),
            "base": cls(hidden_size=768, intermediate_size=3072),
            "large": cls(
                hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
            ),
        }
        if size not in sizes:
            raise UserError(f"GTE {size!r}: the sizes are {', '.join(sizes)}")
        return sizes[size]


class LayerNorm(nn.Module):
    epsilon: float
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],), jnp.float32)
        x = x.astype(jnp.float32)
        x = x - jnp.mean(x, axis=-1, keepdims=True)
        x = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + self.epsilon)
        return (x * scale + bias).astype(self.dtype)


class Attention(nn.Module):
    config: BertConfig
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array, deterministic: bool) -> jax.Array:
        c = self.config
        heads, width = c.num_attention_heads, c.hidden_size

        def project(name: str, h: jax.Array) -> jax.Array:
            init = nn.initializers.normal(c.initializer_range)
            return Linear(width, init, use_bias=True, dtype=self.dtype, name=name)(h)

        q, k, v = (split_heads(project(name, x), heads) for name in ("query", "key", "value"))
        weights = attention_scores(q, k, bias, scale=(width // heads) ** -0.5)
        weights = nn.Dropout(c.dropout_rate)(weights, deterministic=deterministic)
        return project("out", merge_heads(jnp.einsum("bhqk,bhkd->bhqd", weights.astype(self.dtype), v)))


class Layer(nn.Module):
    config: BertConfig
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array, deterministic: bool) -> jax.Array:
        c = self.config
        init = nn.initializers.normal(c.initializer_range)
        drop = nn.Dropout(c.dropout_rate)
        h = Attention(c, self.dtype, name="attention")(x, bias, deterministic)
        x = LayerNorm(c.layer_norm_eps, self.dtype, name="attention_norm")(
            x + drop(h, deterministic=deterministic)
        )
        h = Linear(c.intermediate_size, init, use_bias=True, dtype=self.dtype, name="intermediate")(x)
        h = nn.gelu(h, approximate=False)
        h = Linear(c.hidden_size, init, use_bias=True, dtype=self.dtype, name="output")(h)
        return LayerNorm(c.layer_norm_eps, self.dtype, name="output_norm")(
            x + drop(h, deterministic=deterministic)
        )


class Bert(nn.Module):
    """The encoder E_TM of §3.2."""

    config: BertConfig
    dtype: Dtype = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, ids: jax.Array, mask: jax.Array, deterministic: bool = True) -> jax.Array:
        """Last hidden states [B, S, D] of ids int32 [B, S]; `mask` [B, S] is 1 on real tokens."""
        c = self.config
        init = nn.initializers.normal(c.initializer_range)
        x = Embedding(c.vocab_size, c.hidden_size, init, self.dtype, name="word_embeddings")(ids)
        positions = Embedding(
            c.max_position_embeddings, c.hidden_size, init, self.dtype, name="position_embeddings"
        )
        segments = Embedding(c.type_vocab_size, c.hidden_size, init, self.dtype, name="token_type_embeddings")
        x = x + positions(jnp.arange(ids.shape[1]))[None] + segments(jnp.zeros((1, 1), jnp.int32))
        x = LayerNorm(c.layer_norm_eps, self.dtype, name="embeddings_norm")(x)
        x = nn.Dropout(c.dropout_rate)(x, deterministic=deterministic)
        bias = mask_to_bias(mask)[:, None, None, :]
        layer = nn.remat(Layer, static_argnums=(3,)) if self.remat else Layer
        for i in range(c.num_hidden_layers):
            x = layer(c, self.dtype, name=f"layers_{i}")(x, bias, deterministic)
        if c.pooler:
            # Its output is unused; XLA drops the product and keeps the parameter.
            Linear(c.hidden_size, init, use_bias=True, dtype=self.dtype, name="pooler")(x[:, 0])
        return x


def mean_pool(states_BSD: jax.Array, mask_BS: jax.Array) -> jax.Array:
    """Mean over real tokens in fp32, [B, D]; a row without any gives 0."""
    mask = mask_BS.astype(jnp.float32)[:, :, None]
    total = jnp.sum(states_BSD.astype(jnp.float32) * mask, axis=1)
    return total / jnp.maximum(jnp.sum(mask, axis=1), 1.0)


def normalize(x: jax.Array) -> jax.Array:
    """Rows scaled to unit length; the inner product of two such rows is Eq. 3. Zero rows stay zero."""
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(x), axis=-1, keepdims=True), 1e-24))
