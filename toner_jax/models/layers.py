"""Building blocks that the architectures share.

Shapes: B batch, S source, T target, Q/K query and key positions, D width, H heads, V vocabulary.
Parameters are fp32 and cast to `dtype` where used; norms and softmax are computed in fp32.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

Dtype = Any
Initializer = nn.initializers.Initializer

# Added to masked attention scores: finite, so that a fully masked row stays finite, and far below
# any real score in fp32, where the softmax is computed.
MASKED = -1e9


class Linear(nn.Module):
    """y = x·W (+ b) with x [..., in]. Rows are flattened first: XLA's CPU gradient of a 3-D by 2-D
    product is half as fast as that of two matrices."""

    features: int
    kernel_init: Initializer
    use_bias: bool = False
    dtype: Dtype = jnp.float32
    out_dtype: Dtype | None = None  # of the sums; None for `dtype`

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), jnp.float32)
        rows = x.astype(self.dtype).reshape(-1, x.shape[-1])
        y = jnp.dot(rows, kernel.astype(self.dtype), preferred_element_type=self.out_dtype or self.dtype)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
            y = y + bias.astype(self.dtype)
        return y.reshape(*x.shape[:-1], self.features)


class RMSNorm(nn.Module):
    """T5's layer norm: no mean, no bias."""

    epsilon: float
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        x = x.astype(jnp.float32)
        x = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + self.epsilon)
        return (x * scale).astype(self.dtype)


class Embedding(nn.Module):
    """Rows of a [V, D] table."""

    vocab_size: int
    features: int
    embedding_init: Initializer
    dtype: Dtype = jnp.float32

    def setup(self) -> None:
        self.embedding = self.param(
            "embedding", self.embedding_init, (self.vocab_size, self.features), jnp.float32
        )

    def __call__(self, ids: jax.Array) -> jax.Array:
        return jnp.take(self.embedding, ids, axis=0).astype(self.dtype)

    def attend(self, x: jax.Array) -> jax.Array:
        """x [..., D] against every row, in fp32: the logits of a tied output layer."""
        rows = x.reshape(-1, x.shape[-1]).astype(jnp.float32)
        return (rows @ self.embedding.T).reshape(*x.shape[:-1], self.vocab_size)


def split_heads(x_BSD: jax.Array, heads: int) -> jax.Array:
    """[B, S, H·Dh] → [B, H, S, Dh]; heads before positions is the layout matrix products want."""
    b, s, d = x_BSD.shape
    return x_BSD.reshape(b, s, heads, d // heads).transpose(0, 2, 1, 3)


def merge_heads(x_BHSD: jax.Array) -> jax.Array:
    """[B, H, S, Dh] → [B, S, H·Dh]."""
    b, h, s, d = x_BHSD.shape
    return x_BHSD.transpose(0, 2, 1, 3).reshape(b, s, h * d)


def attention_scores(
    q_BHQD: jax.Array, k: jax.Array, bias: jax.Array, scale: float = 1.0, *, keys_transposed: bool = False
) -> jax.Array:
    """softmax(scale·q·kᵀ + bias) in fp32; `bias` broadcasts to [B, H, Q, K] and carries the mask.

    Keys are [B, H, K, Dh], or [B, H, Dh, K] when transposed: with few queries, as in decoding, twice as fast on CPU.
    """
    product = "bhqd,bhdk->bhqk" if keys_transposed else "bhqd,bhkd->bhqk"
    logits = jnp.einsum(product, q_BHQD, k).astype(jnp.float32)
    return jax.nn.softmax(logits * scale + bias, axis=-1)


def mask_to_bias(mask: jax.Array) -> jax.Array:
    """True/1 = may be attended to → 0, else MASKED; fp32, same shape."""
    return jnp.where(mask.astype(bool), 0.0, MASKED).astype(jnp.float32)
