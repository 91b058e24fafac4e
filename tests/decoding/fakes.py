"""Decoders that are tables of scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp


@dataclass(frozen=True, eq=False)
class StepDecoder:
    """A decoder of one step function.

    Attributes:
      next: (tokens [B, Q], cache) → (logits [B, Q, V], cache).
      cache: what a cache is before the first token.
      retake: (cache, tokens that the last step took, how many of them each row keeps) → cache.
    """

    next: Callable[[jax.Array, Any], tuple[jax.Array, Any]]
    cache: Any
    retake: Callable[[Any, int, jax.Array], Any] | None = None
    width: int = 1

    def encode(self, ids, candidates=None):
        return ids

    def init_cache(self, rows, slots):
        return self.cache

    def step(self, tokens, source, cache):
        return self.next(tokens, cache)

    def rewind(self, cache, taken, accepted):
        return self.retake(cache, taken, accepted)

    def reset(self, cache, rows):
        raise NotImplementedError

    def reorder(self, cache, rows):
        return jnp.take(cache, rows, axis=0)


def sources(rows: int) -> jax.Array:
    """Encoded sources of so many rows, in which such a decoder sees nothing."""
    return jnp.zeros((rows, 1), jnp.int32)
