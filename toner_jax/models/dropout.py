"""Dropout whose masks belong to tokens, not to where an array holds them.

Whether a feature of a token is dropped depends on the key, the token's row and position, and the feature alone. So the
masks are the same for rows with padding and without, and however a mesh splits them.

Threefry draws two words for each token, once a step, and two for each layer that drops; a mixing function makes of
them a word for each feature, in the very kernel that uses it, for a tenth of what drawing it would cost. Its steps are
one to one, so that among the features of a token no word occurs twice.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.extend.random import threefry2x32_p

Words = tuple[jax.Array, jax.Array]  # uint32, of tokens

_THREEFRY = "threefry2x32"
_POSITION_BITS = 16  # of a token's number: 65,536 positions, and as many rows
# 2^32 / golden ratio, and the constants of Chris Wellons' `lowbias32`, found by a search for the least bias.
_STRIDE, _FIRST, _SECOND = np.uint32(0x9E3779B9), np.uint32(0x7FEB352D), np.uint32(0x846CA68B)


def draw_words(key: jax.Array, numbers_B: jax.Array, length: int) -> Words | None:
    """Two words for each token of a batch, [B, S]; None for a key of another generator than threefry.

    Args:
      numbers_B: int, what tells the rows apart, below 2^16.
      length: S, at most 2^16.
    """
    if jax.random.key_impl(key) != _THREEFRY:
        return None
    rows = numbers_B.astype(jnp.uint32)[:, None] << _POSITION_BITS
    first, second = jax.random.key_data(key)
    tokens = rows | jnp.arange(length, dtype=jnp.uint32)
    a, b = threefry2x32_p.bind(first, second, tokens, jnp.zeros_like(tokens))
    return a, b


def mixed(words: Words, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Random words of a layer's key, uint32 of a shape [B, S, D], or [B, H, S, K] of heads, for tokens [B, S]."""
    features = jnp.arange(shape[-1], dtype=jnp.uint32)
    if of_heads := len(shape) == 4:
        features += shape[-1] * jnp.arange(shape[1], dtype=jnp.uint32)[:, None, None]
    first, second = jax.random.key_data(key)
    a, b = words[0] ^ first, words[1] ^ second
    a, b = (w[:, None, :, None] if of_heads else w[..., None] for w in (a, b))
    x = a + _STRIDE * features
    x = (x ^ x >> 16) * _FIRST
    x = (x ^ x >> 15) * _SECOND
    x = x ^ b
    x = (x ^ x >> 16) * _FIRST
    x = (x ^ x >> 15) * _SECOND
    mixed_words: jax.Array = x ^ x >> 16
    return mixed_words


class Dropout(nn.Module):
    """Sets a share `rate` of features to 0, and divides the others by 1 − `rate`."""

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, deterministic: bool, words: Words | None = None) -> jax.Array:
        """`x` with features dropped, unless `deterministic`.

        Args:
          x: [B, S, D] of tokens [B, S], or [B, H, Q, K] of the attention of H heads by tokens [B, Q].
          words: of these tokens, as of `draw_words`; None draws a mask for the array as it lies.
        """
        if deterministic or self.rate == 0:
            return x
        key, share = self.make_rng("dropout"), 1 - self.rate
        if words is None:
            kept = jax.random.bernoulli(key, share, x.shape)
        else:
            kept = mixed(words, key, x.shape) < np.uint32(round(share * 2**32))
        return jnp.where(kept, x / share, jnp.zeros_like(x))
