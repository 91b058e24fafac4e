"""Greedy and beam search over the whole vocabulary, each in one `lax.while_loop`.

Shapes: B rows, N beams of a row, T tokens of an output, L tokens of the longest forced prefix, V the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from toner_jax.models.decoder import DecoderCache, EncodedSource, Seq2SeqDecoder


@dataclass(frozen=True)
class SearchOptions:
    """What a compiled program is made for.

    Attributes:
      max_length: T, the most tokens that are written, the end of sequence included.
      eos_id: the end of sequence; `start_id`: what the decoder is fed first.
      beams: N; 1 is greedy.
      length_penalty: beams are compared by log-probability / tokens ** this.
    """

    max_length: int
    eos_id: int = 1
    start_id: int = 0
    beams: int = 1
    length_penalty: float = 1.0


class ForcedPrefix(NamedTuple):
    """What each row has written already, and goes on from.

    Attributes:
      tokens: int32 [B, L], padded at the end; lengths: int32 [B], how many of them each row has, at least 1.
    """

    tokens: jax.Array
    lengths: jax.Array


class _Greedy(NamedTuple):
    """The search after `written` tokens.

    Attributes:
      written: int32 [].
      last: int32 [B], the last token of each row.
      tokens: int32 [B, T]; `scores` fp32 [B, T].
      finished: bool [B].
    """

    written: jax.Array
    last: jax.Array
    tokens: jax.Array
    scores: jax.Array
    finished: jax.Array
    cache: DecoderCache


def greedy(
    decoder: Seq2SeqDecoder,
    source: EncodedSource,
    options: SearchOptions,
    calibration_temperature: jax.Array | float = 1.0,
    prefix: ForcedPrefix | None = None,
) -> tuple[jax.Array, jax.Array]:
    """The most likely next token, until every row has ended.

    Args:
      calibration_temperature: divides the logits behind the scores.

    Returns:
      The tokens, without the prefix, int32 [B, T], 0 after a row's end, and the log-probability of each, fp32, 0
      there.
    """
    rows, t = _rows(source), options.max_length
    cache = decoder.init_cache(rows, t + (0 if prefix is None else prefix.tokens.shape[1]))
    last = jnp.full((rows,), options.start_id, jnp.int32)
    if prefix is not None:
        cache, last = _feed(decoder, source, cache, prefix, last)

    def running(state: _Greedy) -> jax.Array:
        return (state.written < t) & ~jnp.all(state.finished)

    def advance(state: _Greedy) -> _Greedy:
        logits_B1V, cache = decoder.step(state.last[:, None], source, state.cache)
        logits_BV = (logits_B1V / calibration_temperature)[:, 0]
        best = jnp.where(state.finished, 0, jnp.argmax(logits_BV, axis=-1).astype(jnp.int32))
        score = jnp.max(logits_BV, axis=-1) - jax.nn.logsumexp(logits_BV, axis=-1)
        return _Greedy(
            state.written + 1,
            best,
            state.tokens.at[:, state.written].set(best),
            state.scores.at[:, state.written].set(jnp.where(state.finished, 0.0, score)),
            state.finished | (best == options.eos_id),
            cache,
        )

    nothing = jnp.zeros((rows, t), jnp.int32), jnp.zeros((rows, t), jnp.float32)
    state = _Greedy(jnp.zeros((), jnp.int32), last, *nothing, jnp.zeros((rows,), bool), cache)
    state = jax.lax.while_loop(running, advance, state)
    return state.tokens, state.scores


def _feed(
    decoder: Seq2SeqDecoder,
    source: EncodedSource,
    cache: DecoderCache,
    prefix: ForcedPrefix,
    start: jax.Array,
) -> tuple[DecoderCache, jax.Array]:
    """Prefills the forced prefix: the KV cache after all but its last token, and that token int32 [B]. All rows are fed
    L tokens in one step; those past a row's own length are rewound."""
    fed_BL = jnp.concatenate([start[:, None], prefix.tokens[:, :-1]], axis=1)
    _, cache = decoder.step(fed_BL, source, cache)
    cache = decoder.rewind(cache, fed_BL.shape[1], prefix.lengths)
    return cache, jnp.take_along_axis(prefix.tokens, prefix.lengths[:, None] - 1, axis=1)[:, 0]


def _rows(source: Any) -> int:
    """B: every leaf of an encoded source begins with it."""
    rows: int = jax.tree.leaves(source)[0].shape[0]
    return rows


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
      written: int32 [].
      tokens, scores: int32 and fp32 [B, N, T] of the N running hypotheses.
      total: fp32 [B, N], the sums of their scores, −∞ for none.
      best: tokens and scores [B, T] of the best ended hypothesis so far.
      ended: fp32 [B, N], the scores of the N best ended hypotheses, −∞ for none.
      open: bool [B], whether a running hypothesis may still be among the N best.
      cache: of B·N rows; N neighbours are a row's beams.
    """

    written: jax.Array
    tokens: jax.Array
    scores: jax.Array
    total: jax.Array
    best: tuple[jax.Array, jax.Array]
    ended: jax.Array
    open: jax.Array
    cache: DecoderCache


def beam(
    decoder: Seq2SeqDecoder,
    source: EncodedSource,
    options: SearchOptions,
    calibration_temperature: jax.Array | float = 1.0,
) -> Best:
    """Beam search, by the rules of transformers' with `early_stopping=False`.

    Each step extends the N running hypotheses of a row by its 2 N likeliest tokens in all. Those that end
    among the first N are set apart, by the sum of log-probabilities divided by length ** `length_penalty`; the
    N likeliest of the others go on. A row is done when its likeliest running hypothesis, at its present
    length, scores no better than the worst of N ended ones. At `max_length` all end.

    Args:
      calibration_temperature: divides the logits behind the scores.
    """
    rows, n, t = _rows(source), options.beams, options.max_length
    source = jax.tree.map(lambda leaf: jnp.repeat(leaf, n, axis=0), source)
    nothing = jnp.zeros((rows, t), jnp.int32), jnp.zeros((rows, t), jnp.float32)
    none = jnp.full((rows, n), -jnp.inf)
    state = _Beams(
        jnp.zeros((), jnp.int32),
        jnp.zeros((rows, n, t), jnp.int32),
        jnp.zeros((rows, n, t), jnp.float32),
        none.at[:, 0].set(0.0),  # all begin alike, so all but one are left out of the first step
        nothing,
        none,
        jnp.ones((rows,), bool),
        decoder.init_cache(rows * n, t),
    )

    def running(state: _Beams) -> jax.Array:
        return (state.written < t) & jnp.any(state.open)

    def advance(state: _Beams) -> _Beams:
        last = jnp.where(state.written == 0, options.start_id, state.tokens[:, :, state.written - 1])
        logits, cache = decoder.step(last.reshape(rows * n, 1), source, state.cache)
        return _extend(
            decoder, options, state._replace(cache=cache), (logits / calibration_temperature)[:, 0]
        )

    state = jax.lax.while_loop(running, advance, state)
    return Best(*state.best, state.ended[:, 0], ~state.open)


def _extend(decoder: Seq2SeqDecoder, options: SearchOptions, state: _Beams, logits: jax.Array) -> _Beams:
    """The search a token later, by the logits [B·N, V] of what follows each hypothesis."""
    b, n, _ = state.tokens.shape
    row, index = jnp.arange(b)[:, None], state.written
    is_last = index == options.max_length - 1
    score = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    total = state.total.reshape(b * n, 1) + score
    total, choice = jax.lax.top_k(total.reshape(b, -1), 2 * n)  # [B, 2N], likeliest first
    parent, token = choice // score.shape[-1], (choice % score.shape[-1]).astype(jnp.int32)
    score = score.reshape(b, n, -1)[row, parent, token]
    tokens = state.tokens[row, parent].at[:, :, index].set(token)
    scores = state.scores[row, parent].at[:, :, index].set(score)

    # Hypotheses that end here, compared with those that ended before.
    ends = (token == options.eos_id) | is_last
    length = (index + 1).astype(jnp.float32) ** options.length_penalty
    candidate = total / length
    candidate = jnp.where(ends & (jnp.arange(2 * n) < n) & state.open[:, None], candidate, -jnp.inf)
    first = jnp.argmax(candidate, axis=1)
    better = (jnp.max(candidate, axis=1) > state.ended[:, 0])[:, None]
    best = (
        jnp.where(better, tokens[row[:, 0], first], state.best[0]),
        jnp.where(better, scores[row[:, 0], first], state.best[1]),
    )
    ended = jax.lax.top_k(jnp.concatenate([state.ended, candidate], axis=1), n)[0]

    # The likeliest of the others go on.
    total, going = jax.lax.top_k(jnp.where(ends, -jnp.inf, total), n)
    hopeful = total[:, 0] / length > ended[:, -1]
    return _Beams(
        index + 1,
        tokens[row, going],
        scores[row, going],
        total,
        best,
        ended,
        state.open & (hopeful | is_last),  # still open when the limit ended them all: not complete
        decoder.reorder(state.cache, (row * n + parent[row, going]).reshape(-1)),
    )
