"""Greedy search in one `lax.while_loop`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Step = Callable[[jax.Array, Any], tuple[jax.Array, Any]]


def greedy(
    step: Step, cache: Any, batch_size: int, max_length: int, *, eos_id: int = 1, start_id: int = 0
) -> tuple[jax.Array, jax.Array]:
    """The most likely next token, until every row has ended.

    Args:
      step: (tokens int32 [B, 1], cache) → (logits fp32 [B, 1, V], cache).
      cache: any pytree; its shapes do not change.
      max_length: the most tokens a row may have, its end of sequence included.

    Returns:
      Tokens int32 [B, max_length], 0 after a row's end, and the log-probability of each, fp32, 0 there.
    """

    def running(state):
        index, _, _, _, done, _ = state
        return (index < max_length) & ~jnp.all(done)

    def advance(state):
        index, last, tokens, scores, done, cache = state
        logits, cache = step(last[:, None], cache)
        logits = logits[:, 0]
        best = jnp.where(done, 0, jnp.argmax(logits, axis=-1).astype(jnp.int32))
        score = jnp.max(logits, axis=-1) - jax.nn.logsumexp(logits, axis=-1)
        tokens = tokens.at[:, index].set(best)
        scores = scores.at[:, index].set(jnp.where(done, 0.0, score))
        return index + 1, best, tokens, scores, done | (best == eos_id), cache

    state = (
        jnp.zeros((), jnp.int32),
        jnp.full((batch_size,), start_id, jnp.int32),
        jnp.zeros((batch_size, max_length), jnp.int32),
        jnp.zeros((batch_size, max_length), jnp.float32),
        jnp.zeros((batch_size,), bool),
        cache,
    )
    _, _, tokens, scores, _, _ = jax.lax.while_loop(running, advance, state)
    return tokens, scores
