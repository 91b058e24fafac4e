"""BERT (Devlin et al. 2019), the architecture of GTE (Li et al. 2023): post-norm layers, exact GELU,
learned positions. GTE's embedding is the mean of the last states over real tokens, L2-normalised.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from toner_jax.models.bert.config import BertConfig
from toner_jax.models.dropout import Dropout
from toner_jax.models.layers import (
    Dtype,
    Embedding,
    Linear,
    attention_scores,
    mask_to_bias,
    merge_heads,
    split_heads,
)
from toner_jax.models.pooling import mean_pool, normalize
from toner_jax.models.stacks import UNROLLED, Stack, in_a_loop, recomputed
from toner_jax.models.tokens import Tokens, make_tokens


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
    def __call__(self, x: jax.Array, bias: jax.Array, tokens: Tokens, deterministic: bool) -> jax.Array:
        c = self.config
        heads, width = c.num_attention_heads, c.hidden_size

        def project(name: str, h: jax.Array, tensor: Literal["outputs", "inputs"]) -> jax.Array:
            init = nn.initializers.normal(c.initializer_range)
            return Linear(width, init, use_bias=True, dtype=self.dtype, tensor=tensor, name=name)(h)

        q, k, v = (
            split_heads(project(name, x, "outputs"), heads, tokens.unpadding)
            for name in ("query", "key", "value")
        )
        weights = attention_scores(q, k, bias, scale=(width // heads) ** -0.5)
        weights = Dropout(c.dropout_rate)(weights, deterministic, tokens.grid_words)
        h = jnp.einsum("bhqk,bhkd->bhqd", weights.astype(self.dtype), v)
        h = merge_heads(h, tokens.unpadding)
        return project("out", h, "inputs")


class Layer(nn.Module):
    config: BertConfig
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array, tokens: Tokens, deterministic: bool) -> jax.Array:
        c = self.config
        init = nn.initializers.normal(c.initializer_range)
        drop = Dropout(c.dropout_rate)
        h = Attention(c, self.dtype, name="attention")(x, bias, tokens, deterministic)
        x = x + drop(h, deterministic, tokens.words)
        x = LayerNorm(c.layer_norm_eps, self.dtype, name="attention_norm")(x)
        linear = partial(Linear, kernel_init=init, use_bias=True, dtype=self.dtype)
        h = linear(c.intermediate_size, tensor="outputs", name="intermediate")(x)
        h = nn.gelu(h, approximate=False)
        h = linear(c.hidden_size, tensor="inputs", name="output")(h)
        x = x + drop(h, deterministic, tokens.words)
        return LayerNorm(c.layer_norm_eps, self.dtype, name="output_norm")(x)


class Bert(nn.Module):
    """A matcher (`toner_jax.models.encoder.Encoder`)."""

    config: BertConfig
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
        """Last hidden states [B, S, D] of ids int32 [B, S]; `mask` [B, S] is 1 on real tokens. `cells` and `numbers` as
        `toner_jax.models.encoder.Encoder` has them."""
        c = self.config
        draws = not deterministic and c.dropout_rate > 0
        tokens = make_tokens(mask, self.make_rng("dropout") if draws else None, cells, numbers)
        unpadding = tokens.unpadding
        init = nn.initializers.normal(c.initializer_range)
        x = Embedding(c.vocab_size, c.hidden_size, init, self.dtype, name="word_embeddings")(
            unpadding.unpad(ids) if unpadding else ids
        )
        positions = Embedding(
            c.max_position_embeddings, c.hidden_size, init, self.dtype, name="position_embeddings"
        )
        segments = Embedding(c.type_vocab_size, c.hidden_size, init, self.dtype, name="token_type_embeddings")
        of_position = positions(jnp.arange(ids.shape[1]))[None]
        if unpadding:  # taken from the grid, so that its gradient needs no sum by index
            of_position = unpadding.unpad(jnp.broadcast_to(of_position, (*ids.shape, c.hidden_size)))
        x = x + of_position + segments(jnp.zeros((1, 1), jnp.int32))
        x = LayerNorm(c.layer_norm_eps, self.dtype, name="embeddings_norm")(x)
        x = Dropout(c.dropout_rate)(x, deterministic, tokens.words)
        bias = mask_to_bias(mask)[:, None, None, :]
        if self.stack.scan and not self.is_initializing():
            one, given = Layer(c, self.dtype, parent=None), (bias, tokens, deterministic)
            x = in_a_loop(self, one, c.num_hidden_layers, x, given, draws)
        else:
            layer = recomputed(Layer, self.stack, (4,))
            for i in range(c.num_hidden_layers):
                x = layer(c, self.dtype, name=f"layers_{i}")(x, bias, tokens, deterministic)
        if unpadding:
            x = unpadding.pad(x)
        if c.pooler:
            # Its output is unused; XLA drops the product and keeps the parameter.
            Linear(c.hidden_size, init, use_bias=True, dtype=self.dtype, name="pooler")(x[:, 0])
        return x
