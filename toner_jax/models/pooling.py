"""Sentence vectors from token states."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def mean_pool(states_BSD: jax.Array, mask_BS: jax.Array) -> jax.Array:
    """Mean over real tokens in fp32, [B, D]; a row without any gives 0."""
    mask = mask_BS.astype(jnp.float32)[:, :, None]
    total = jnp.sum(states_BSD.astype(jnp.float32) * mask, axis=1)
    return total / jnp.maximum(jnp.sum(mask, axis=1), 1.0)


def normalize(x: jax.Array) -> jax.Array:
    """Rows scaled to unit length; the inner product of two such rows is Eq. 3. Zero rows stay zero."""
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(x), axis=-1, keepdims=True), 1e-24))
