"""T5 and Flan-T5 (Raffel et al. 2020; the v1.1 variant with a gated GELU and an untied output layer).

What differs from other transformers: no 1/√d in attention, RMS norms without bias before each sublayer,
learned biases over bucketed relative distances, shared by all layers of a stack, instead of positions.
Pad, decoder start and the padding of targets are id 0; the end of sequence is id 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from toner_jax.errors import UserError
from toner_jax.models.layers import (
    MASKED,
    Dtype,
    Embedding,
    Linear,
    RMSNorm,
    attention_scores,
    mask_to_bias,
    merge_heads,
    split_heads,
)

Cache = dict[str, Any]


@dataclass(frozen=True)
class T5Config:
    """One T5 variant; the names are Hugging Face's where theirs are clear."""

    vocab_size: int = 32128
    d_model: int = 512
    d_kv: int = 64
    d_ff: int = 1024
    num_layers: int = 8
    num_decoder_layers: int = 8
    num_heads: int = 6
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    dropout_rate: float = 0.1
    layer_norm_epsilon: float = 1e-6
    gated_gelu: bool = True
    tie_embeddings: bool = False
    init: str = "t5"  # of random weights: "t5", or "copy" (toner_jax.models.copy_init)

    @classmethod
    def flan(cls, size: str) -> T5Config:
        """The published Flan-T5 sizes."""
        sizes = {
            "small": cls(),
            "base": cls(d_model=768, d_ff=2048, num_layers=12, num_decoder_layers=12, num_heads=12),
            "large": cls(d_model=1024, d_ff=2816, num_layers=24, num_decoder_layers=24, num_heads=16),
            "xl": cls(d_model=2048, d_ff=5120, num_layers=24, num_decoder_layers=24, num_heads=32),
            "xxl": cls(d_model=4096, d_ff=10240, num_layers=24, num_decoder_layers=24, num_heads=64),
        }
        if size not in sizes:
            raise UserError(f"Flan-T5 {size!r}: the sizes are {', '.join(sizes)}")
        return sizes[size]


def relative_buckets(
    queries: int, keys: int, *, bidirectional: bool, num_buckets: int, max_distance: int
) -> np.ndarray:
    """Bucket of each (query, key) distance, int32 [Q, K]: exact up to half the buckets of a direction,
    then logarithmic up to `max_distance`."""
    distance = np.arange(keys)[None, :] - np.arange(queries)[:, None]
    bucket = np.zeros_like(distance)
    if bidirectional:
        num_buckets //= 2
        bucket += (distance > 0) * num_buckets
        distance = np.abs(distance)
    else:
        distance = np.maximum(-distance, 0)
    exact = num_buckets // 2
    # fp32, as the reference computes it: in fp64 a few distances fall on the other side of a bucket.
    ratio = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact))
    scale = np.float32(np.log(max_distance / exact))
    far = exact + (ratio / scale * np.float32(num_buckets - exact)).astype(np.int32)
    return (bucket + np.where(distance < exact, distance, np.minimum(far, num_buckets - 1))).astype(np.int32)


class RelativeBias(nn.Module):
    """Attention bias [1, H, Q, K] by relative distance."""

    config: T5Config
    bidirectional: bool

    @nn.compact
    def __call__(self, queries: int, keys: int) -> jax.Array:
        c = self.config
        shape = (c.relative_attention_num_buckets, c.num_heads)
        table = self.param("embedding", nn.initializers.normal(c.d_model**-0.5), shape, jnp.float32)
        buckets = relative_buckets(
            queries,
            keys,
            bidirectional=self.bidirectional,
            num_buckets=c.relative_attention_num_buckets,
            max_distance=c.relative_attention_max_distance,
        )
        return jnp.take(table, buckets, axis=0).transpose(2, 0, 1)[None]


class Attention(nn.Module):
    """Multi-head attention. Keys and values are projected apart from their use, so that decoding can
    keep them."""

    config: T5Config
    dtype: Dtype

    def setup(self) -> None:
        c = self.config
        inner = c.num_heads * c.d_kv
        normal = nn.initializers.normal
        self.query = Linear(inner, normal((c.d_model * c.d_kv) ** -0.5), dtype=self.dtype)
        self.key = Linear(inner, normal(c.d_model**-0.5), dtype=self.dtype)
        self.value = Linear(inner, normal(c.d_model**-0.5), dtype=self.dtype)
        self.out = Linear(c.d_model, normal(inner**-0.5), dtype=self.dtype)
        self.dropout = nn.Dropout(c.dropout_rate)

    def keys_values(self, x_BKD: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = self.config.num_heads
        return split_heads(self.key(x_BKD), h), split_heads(self.value(x_BKD), h)

    def __call__(
        self, x_BQD: jax.Array, keys_values: tuple[jax.Array, jax.Array], bias: jax.Array, deterministic: bool
    ) -> jax.Array:
        q = split_heads(self.query(x_BQD), self.config.num_heads)
        k, v = keys_values
        weights = self.dropout(attention_scores(q, k, bias), deterministic=deterministic)
        return self.out(merge_heads(jnp.einsum("bhqk,bhkd->bhqd", weights.astype(self.dtype), v)))


class FeedForward(nn.Module):
    config: T5Config
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, deterministic: bool) -> jax.Array:
        c = self.config
        normal = nn.initializers.normal
        if c.gated_gelu:
            gate = Linear(c.d_ff, normal(c.d_model**-0.5), dtype=self.dtype, name="wi_0")(x)
            up = Linear(c.d_ff, normal(c.d_model**-0.5), dtype=self.dtype, name="wi_1")(x)
            h = nn.gelu(gate, approximate=True) * up
        else:
            h = nn.relu(Linear(c.d_ff, normal(c.d_model**-0.5), dtype=self.dtype, name="wi")(x))
        h = nn.Dropout(c.dropout_rate)(h, deterministic=deterministic)
        return Linear(c.d_model, normal(c.d_ff**-0.5), dtype=self.dtype, name="wo")(h)


class EncoderLayer(nn.Module):
    config: T5Config
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array, deterministic: bool) -> jax.Array:
        c = self.config
        drop = nn.Dropout(c.dropout_rate)
        h = RMSNorm(c.layer_norm_epsilon, self.dtype, name="self_attention_norm")(x)
        attention = Attention(c, self.dtype, name="self_attention")
        x = x + drop(attention(h, attention.keys_values(h), bias, deterministic), deterministic=deterministic)
        h = RMSNorm(c.layer_norm_epsilon, self.dtype, name="feed_forward_norm")(x)
        h = FeedForward(c, self.dtype, name="feed_forward")(h, deterministic)
        return x + drop(h, deterministic=deterministic)


class DecoderLayer(nn.Module):
    config: T5Config
    dtype: Dtype

    def setup(self) -> None:
        c = self.config
        self.self_attention_norm = RMSNorm(c.layer_norm_epsilon, self.dtype)
        self.self_attention = Attention(c, self.dtype)
        self.cross_attention_norm = RMSNorm(c.layer_norm_epsilon, self.dtype)
        self.cross_attention = Attention(c, self.dtype)
        self.feed_forward_norm = RMSNorm(c.layer_norm_epsilon, self.dtype)
        self.feed_forward = FeedForward(c, self.dtype)
        self.drop = nn.Dropout(c.dropout_rate)

    def __call__(
        self, x: jax.Array, encoded: jax.Array, bias: jax.Array, cross_bias: jax.Array, deterministic: bool
    ) -> jax.Array:
        h = self.self_attention_norm(x)
        x = x + self.drop(
            self.self_attention(h, self.self_attention.keys_values(h), bias, deterministic),
            deterministic=deterministic,
        )
        return self._rest(x, self.cross_attention.keys_values(encoded), cross_bias, deterministic)

    def step(self, x: jax.Array, cache: Cache, index: jax.Array, bias: jax.Array, cross_bias: jax.Array):
        """Positions `index` … of x [B, Q, D] against and into the cached keys and values."""
        h = self.self_attention_norm(x)
        k, v = self.self_attention.keys_values(h)
        cache = dict(
            cache,
            key=jax.lax.dynamic_update_slice_in_dim(cache["key"], k, index, axis=2),
            value=jax.lax.dynamic_update_slice_in_dim(cache["value"], v, index, axis=2),
        )
        x = x + self.self_attention(h, (cache["key"], cache["value"]), bias, True)
        return self._rest(x, (cache["cross_key"], cache["cross_value"]), cross_bias, True), cache

    def _rest(
        self, x: jax.Array, cross: tuple[jax.Array, jax.Array], cross_bias: jax.Array, deterministic: bool
    ) -> jax.Array:
        h = self.cross_attention(self.cross_attention_norm(x), cross, cross_bias, deterministic)
        x = x + self.drop(h, deterministic=deterministic)
        h = self.feed_forward(self.feed_forward_norm(x), deterministic)
        return x + self.drop(h, deterministic=deterministic)


class Encoder(nn.Module):
    config: T5Config
    dtype: Dtype
    remat: bool

    @nn.compact
    def __call__(self, x: jax.Array, mask_BS: jax.Array, deterministic: bool) -> jax.Array:
        c = self.config
        length = x.shape[1]
        position = RelativeBias(c, bidirectional=True, name="relative_attention_bias")(length, length)
        bias = position + mask_to_bias(mask_BS)[:, None, None, :]
        layer = nn.remat(EncoderLayer, static_argnums=(3,)) if self.remat else EncoderLayer
        x = nn.Dropout(c.dropout_rate)(x, deterministic=deterministic)
        for i in range(c.num_layers):
            x = layer(c, self.dtype, name=f"layers_{i}")(x, bias, deterministic)
        x = RMSNorm(c.layer_norm_epsilon, self.dtype, name="final_norm")(x)
        return nn.Dropout(c.dropout_rate)(x, deterministic=deterministic)


class Decoder(nn.Module):
    config: T5Config
    dtype: Dtype
    remat: bool

    def setup(self) -> None:
        c = self.config
        layer = nn.remat(DecoderLayer, static_argnums=(5,)) if self.remat else DecoderLayer
        self.layers = [layer(c, self.dtype) for _ in range(c.num_decoder_layers)]
        self.relative_attention_bias = RelativeBias(c, bidirectional=False)
        self.final_norm = RMSNorm(c.layer_norm_epsilon, self.dtype)
        self.drop = nn.Dropout(c.dropout_rate)

    def __call__(
        self, x: jax.Array, encoded: jax.Array, source_mask_BS: jax.Array, deterministic: bool
    ) -> jax.Array:
        length = x.shape[1]
        causal = np.where(np.tril(np.ones((length, length), bool)), 0.0, MASKED).astype(np.float32)
        bias = self.relative_attention_bias(length, length) + causal
        cross_bias = mask_to_bias(source_mask_BS)[:, None, None, :]
        x = self.drop(x, deterministic=deterministic)
        for layer in self.layers:
            x = layer(x, encoded, bias, cross_bias, deterministic)
        return self.drop(self.final_norm(x), deterministic=deterministic)

    def start(self, encoded: jax.Array, source_mask_BS: jax.Array, length: int) -> Cache:
        """Empty self-attention caches for `length` positions; cross-attention keys and values, once."""
        c = self.config
        shape = (encoded.shape[0], c.num_heads, length, c.d_kv)
        layers = {}
        for i, layer in enumerate(self.layers):
            k, v = layer.cross_attention.keys_values(encoded)
            layers[f"layers_{i}"] = {
                "key": jnp.zeros(shape, self.dtype),
                "value": jnp.zeros(shape, self.dtype),
                "cross_key": k,
                "cross_value": v,
            }
        return {
            "index": jnp.zeros((), jnp.int32),
            "position_bias": self.relative_attention_bias(length, length),
            "cross_bias": mask_to_bias(source_mask_BS)[:, None, None, :],
            "layers": layers,
        }

    def step(self, x_BQD: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
        """The next Q positions; keys after each position are masked."""
        index, queries = cache["index"], x_BQD.shape[1]
        bias = jax.lax.dynamic_slice_in_dim(cache["position_bias"], index, queries, axis=2)
        later = jnp.arange(bias.shape[-1])[None, :] > index + jnp.arange(queries)[:, None]
        bias = jnp.where(later, MASKED, bias)
        x, layers = x_BQD, {}
        for i, layer in enumerate(self.layers):
            name = f"layers_{i}"
            x, layers[name] = layer.step(x, cache["layers"][name], index, bias, cache["cross_bias"])
        return self.final_norm(x), dict(cache, index=index + queries, layers=layers)


class T5(nn.Module):
    """The encoder-decoder; `encode`, `decode`, `start` and `step` are its methods for `apply`."""

    config: T5Config
    dtype: Dtype = jnp.float32
    remat: bool = False

    def setup(self) -> None:
        c = self.config
        self.shared = Embedding(c.vocab_size, c.d_model, nn.initializers.normal(1.0), self.dtype)
        self.encoder = Encoder(c, self.dtype, self.remat)
        self.decoder = Decoder(c, self.dtype, self.remat)
        if not c.tie_embeddings:
            init = nn.initializers.normal(c.d_model**-0.5)
            self.lm_head = Linear(c.vocab_size, init, dtype=self.dtype, out_dtype=jnp.float32)

    def __call__(
        self, source: jax.Array, source_mask: jax.Array, target_in: jax.Array, deterministic: bool = True
    ) -> jax.Array:
        """Logits fp32 [B, T, V] of source ids [B, S] and right-shifted target ids [B, T]."""
        encoded = self.encode(source, source_mask, deterministic)
        return self.decode(encoded, source_mask, target_in, deterministic)

    def encode(self, source: jax.Array, source_mask: jax.Array, deterministic: bool = True) -> jax.Array:
        """States [B, S, D] of ids int32 [B, S]; `source_mask` [B, S] is 1 on real tokens."""
        return self.encoder(self.shared(source), source_mask, deterministic)

    def decode(
        self,
        encoded: jax.Array,
        source_mask: jax.Array,
        target_in: jax.Array,
        deterministic: bool = True,
    ) -> jax.Array:
        """Logits fp32 [B, T, V], all positions at once."""
        x = self.decoder(self.shared(target_in), encoded, source_mask, deterministic)
        return self.logits(x)

    def start(self, encoded: jax.Array, source_mask: jax.Array, length: int) -> Cache:
        """The cache of a decoder that will see at most `length` positions: a plain pytree."""
        return self.decoder.start(encoded, source_mask, length)

    def step(self, tokens: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
        """(tokens int32 [B, Q], cache) → (logits fp32 [B, Q, V], cache)."""
        x, cache = self.decoder.step(self.shared(tokens), cache)
        return self.logits(x), cache

    def logits(self, x: jax.Array) -> jax.Array:
        if self.config.tie_embeddings:
            return self.shared.attend(x * self.config.d_model**-0.5)
        return self.lm_head(x)


def shift_right(target: jax.Array) -> jax.Array:
    """Decoder inputs of targets [B, T]: the start id 0, then all but the last."""
    return jnp.pad(target[:, :-1], ((0, 0), (1, 0)))
