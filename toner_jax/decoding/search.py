"""Greedy and beam search, each in one `lax.while_loop`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Step = Callable[[jax.Array, Any], tuple[jax.Array, Any]]


class Begun(NamedTuple):
    """What each row has written already, and goes on from.

    Attributes:
      tokens: int32 [B, L], of which a row has `lengths` int32 [B], at least 1.
      rewind: (cache, tokens of the last step, how many of them each row keeps) → cache.
    """

    tokens: jax.Array
    lengths: jax.Array
    rewind: Callable[[Any, int, jax.Array], Any]


def greedy(
    step: Step,
    cache: Any,
    batch_size: int,
    max_length: int,
    *,
    eos_id: int = 1,
    start_id: int = 0,
    begun: Begun | None = None,
) -> tuple[jax.Array, jax.Array]:
    """The most likely next token, until every row has ended.

    Args:
      step: (tokens int32 [B, Q], cache) → (logits fp32 [B, Q, V], cache).
      cache: any pytree; its shapes do not change.
      max_length: the most tokens a row may write, its end of sequence included.

    Returns:
      The new tokens, int32 [B, max_length], 0 after a row's end, and the log-probability of each, fp32, 0
      there.
    """
    last = jnp.full((batch_size,), start_id, jnp.int32)
    if begun is not None:
        # All but the last token of each row are fed at once; those of longer rows' lengths are taken back.
        fed = jnp.concatenate([last[:, None], begun.tokens[:, :-1]], axis=1)
        _, cache = step(fed, cache)
        cache = begun.rewind(cache, fed.shape[1], begun.lengths)
        last = jnp.take_along_axis(begun.tokens, begun.lengths[:, None] - 1, axis=1)[:, 0]

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
        last,
        jnp.zeros((batch_size, max_length), jnp.int32),
        jnp.zeros((batch_size, max_length), jnp.float32),
        jnp.zeros((batch_size,), bool),
        cache,
    )
    _, _, tokens, scores, _, _ = jax.lax.while_loop(running, advance, state)
    return tokens, scores


class Best(NamedTuple):
    """The best hypothesis of each row.

    Attributes:
      tokens: int32 [B, T], its end of sequence included, 0 after it.
      scores: fp32 [B, T], the log-probability of each token, 0 after the end.
      score: fp32 [B], their sum divided by length ** length_penalty.
      complete: bool [B]; False where a longer limit could have changed the hypothesis.
    """

    tokens: jax.Array
    scores: jax.Array
    score: jax.Array
    complete: jax.Array


class _Beams(NamedTuple):
    """The search after `written` tokens.

    Attributes:
      tokens, scores: [B, N, T] of the N running hypotheses; `total` fp32 [B, N], −∞ for none.
      best: the best ended hypothesis so far; `kept` fp32 [B, N], the scores of the N best, −∞ for none.
      open: bool [B], whether a running hypothesis may still be among the N best.
    """

    written: jax.Array
    tokens: jax.Array
    scores: jax.Array
    total: jax.Array
    best: tuple[jax.Array, jax.Array]
    kept: jax.Array
    open: jax.Array
    cache: Any


def beam(
    step: Step,
    reorder: Callable[[Any, jax.Array], Any],
    cache: Any,
    batch_size: int,
    max_length: int,
    *,
    beams: int,
    length_penalty: float = 1.0,
    eos_id: int = 1,
    start_id: int = 0,
) -> Best:
    """Beam search, by the rules of transformers' with `early_stopping=False`.

    Each step extends the N running hypotheses of a row by its 2 N likeliest tokens in all. Those that end
    among the first N are kept apart, by the sum of log-probabilities divided by length ** `length_penalty`; the
    N likeliest of the others go on. A row is done when its likeliest running hypothesis, at its present
    length, scores no better than the worst of N kept ones. At `max_length` all end.

    Args:
      step: (tokens int32 [B·N, 1], cache) → (logits fp32 [B·N, 1, V], cache); N neighbours are a row's beams.
      reorder: (cache, rows int32 [B·N]) → the cache whose row i is that of rows[i].
      cache: any pytree; its shapes do not change.
      max_length: the most tokens of a hypothesis, its end of sequence included.
      beams: N.
    """
    b, n, t = batch_size, beams, max_length
    row = jnp.arange(b)[:, None]

    def running(state: _Beams) -> jax.Array:
        return (state.written < t) & jnp.any(state.open)

    def advance(state: _Beams) -> _Beams:
        index = state.written
        is_last = index == t - 1
        last = jnp.where(index == 0, start_id, state.tokens[:, :, index - 1])
        logits, cache = step(last.reshape(b * n, 1), state.cache)
        score = jax.nn.log_softmax(logits[:, 0].astype(jnp.float32), axis=-1)
        total = state.total.reshape(b * n, 1) + score
        total, choice = jax.lax.top_k(total.reshape(b, -1), 2 * n)  # [B, 2N], likeliest first
        parent, token = choice // score.shape[-1], (choice % score.shape[-1]).astype(jnp.int32)
        score = score.reshape(b, n, -1)[row, parent, token]
        tokens = state.tokens[row, parent].at[:, :, index].set(token)
        scores = state.scores[row, parent].at[:, :, index].set(score)

        ended = (token == eos_id) | is_last
        candidate = total / (index + 1).astype(jnp.float32) ** length_penalty
        candidate = jnp.where(ended & (jnp.arange(2 * n) < n) & state.open[:, None], candidate, -jnp.inf)
        first = jnp.argmax(candidate, axis=1)
        better = (jnp.max(candidate, axis=1) > state.kept[:, 0])[:, None]
        best = (
            jnp.where(better, tokens[row[:, 0], first], state.best[0]),
            jnp.where(better, scores[row[:, 0], first], state.best[1]),
        )
        kept = jax.lax.top_k(jnp.concatenate([state.kept, candidate], axis=1), n)[0]

        total, going = jax.lax.top_k(jnp.where(ended, -jnp.inf, total), n)
        hopeful = total[:, 0] / (index + 1).astype(jnp.float32) ** length_penalty > kept[:, -1]
        return _Beams(
            index + 1,
            tokens[row, going],
            scores[row, going],
            total,
            best,
            kept,
            state.open & (hopeful | is_last),  # still open when the limit ended them all: not complete
            reorder(cache, (row * n + parent[row, going]).reshape(-1)),
        )

    nothing = jnp.zeros((b, t), jnp.int32), jnp.zeros((b, t), jnp.float32)
    none = jnp.full((b, n), -jnp.inf)
    state = _Beams(
        jnp.zeros((), jnp.int32),
        jnp.zeros((b, n, t), jnp.int32),
        jnp.zeros((b, n, t), jnp.float32),
        none.at[:, 0].set(0.0),  # all begin alike, so all but one are left out of the first step
        nothing,
        none,
        jnp.ones((b,), bool),
        cache,
    )
    state = jax.lax.while_loop(running, advance, state)
    return Best(*state.best, state.kept[:, 0], ~state.open)
