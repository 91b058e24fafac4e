"""Greedy decoding under the grammar, several tokens a pass.

A pass feeds a block of Q tokens: the last one decided, and Q − 1 that are drafted. The model scores what may
follow each of them; drafts are kept as long as each is what greedy decoding would have chosen, and the
choice after the last kept one comes for free. So the output is that of one token a pass, wherever the two
best scores differ by more than rounding, and whatever the format forces costs nothing.

Rows that end are replaced by waiting ones, so that the B rows at work stay full until the queue is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from toner_jax.decoding import grammar
from toner_jax.decoding.drafts import propose
from toner_jax.decoding.grammar import Layout, State, Tape, value_at


class Model(NamedTuple):
    """All that decoding knows of a model.

    Attributes:
      step: (tokens [B, Q], what was read of the sources, cache) → (scores fp32 [B, Q, U] of each row's
        choices, cache).
      rewind: (cache, tokens of the last step, how many of them each row keeps) → cache.
      reset: (cache, rows) → the cache with those rows as before their first token; row B is none.
    """

    step: Callable[[jax.Array, Any, Any], tuple[jax.Array, Any]]
    rewind: Callable[[Any, int, jax.Array], Any]
    reset: Callable[[Any, jax.Array], Any]


class Decoded(NamedTuple):
    """Outputs of N rows of at most T tokens.

    Attributes:
      tokens: int32 [N, T], the end of sequence included, 0 after it.
      scores: fp32 [N, T], the log-probability of each among the tokens that the grammar allowed.
      ending: fp32 [N, T], where a span ends the log-probability that it does, whichever symbol follows; 0
        elsewhere.
      spans: int32 [N, T, 3]: at the token that ends an item its span's tape positions (half-open) and its
        type; −1 elsewhere.
      complete: bool [N]; False where the cache had no room for as many passes as the row needed.
      passes: how often the model was called.
    """

    tokens: jax.Array
    scores: jax.Array
    ending: jax.Array
    spans: jax.Array
    complete: jax.Array
    passes: jax.Array


class _Working(NamedTuple):
    """The B rows at work.

    Attributes:
      row: int32 [B], their places in the queue; N for none.
      source, tape: their rows of the queue's.
      token: int32 [B], the last one decided.
      written: int32 [B], tokens so far; `age`: passes so far.
    """

    row: jax.Array
    source: Any
    tape: Tape
    state: State
    token: jax.Array
    written: jax.Array
    age: jax.Array


def decode(
    model: Model,
    source: Any,
    cache: Any,
    tape: Tape,
    layout: Layout,
    count: jax.Array,
    *,
    slots: int,
    length: int,
    block: int,
    working: int,
    start_id: int = 0,
) -> Decoded:
    """Decodes a queue of N rows.

    Args:
      source: any pytree whose leaves begin with N.
      count: int32, how many rows of the queue there are; those after them stay unwritten, at no cost.
      cache: of `working` rows, with `slots` slots; a row may take slots // block passes.
      length: T; no tape's limit may pass it.
      block: Q.
      working: B, at most N.

    Raises:
      ValueError: slots that are no whole number of blocks.
    """
    if slots % block:
        raise ValueError(f"{slots} slots are no whole number of blocks of {block}")
    n = tape.slot.shape[0]
    out = Decoded(
        jnp.zeros((n, length), jnp.int32),
        jnp.zeros((n, length), jnp.float32),
        jnp.zeros((n, length), jnp.float32),
        jnp.full((n, length, 3), -1, jnp.int32),
        jnp.zeros((n,), bool),
        jnp.zeros((), jnp.int32),
    )
    first = jax.tree.map(lambda leaf: leaf[:working], (source, tape))
    rows = jnp.arange(working)
    work = _begin(jnp.where(rows < count, rows, n), first[0], first[1], layout, start_id)

    def running(carry):
        work, waiting, _, _ = carry
        return jnp.any(work.row < n) | (waiting < count)

    def one_pass(carry):
        work, waiting, cache, out = carry
        work, cache, out = _pass(model, layout, block, slots, work, cache, out)
        if working < n:
            work, waiting, cache = _refill(model, work, waiting, count, cache, source, tape, layout, start_id)
        return work, waiting, cache, out

    carry = (work, jnp.asarray(working, jnp.int32), cache, out)
    return jax.lax.while_loop(running, one_pass, carry)[-1]


def _begin(row: jax.Array, source: Any, tape: Tape, layout: Layout, start_id: int) -> _Working:
    zero = jnp.zeros(row.shape, jnp.int32)
    return _Working(row, source, tape, grammar.initial(tape, layout), zero + start_id, zero, zero)


def _pass(
    model: Model, layout: Layout, block: int, slots: int, work: _Working, cache: Any, out: Decoded
) -> tuple[_Working, Any, Decoded]:
    tape, n = work.tape, out.tokens.shape[0]
    states, drafts = [work.state], []
    for _ in range(block - 1):
        drafts.append(propose(layout, tape, states[-1]))
        states.append(grammar.advance(layout, tape, states[-1], drafts[-1]))
    draft = jnp.stack([*drafts, jnp.full_like(work.token, -2)], axis=1)  # none after the last
    fed = jnp.take_along_axis(tape.choices, jnp.maximum(draft[:, :-1], 0), axis=1)
    scores, cache = model.step(jnp.concatenate([work.token[:, None], fed], axis=1), work.source, cache)

    stacked: State = jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=1), *states)
    scores, total = _normalized(scores, tape, stacked.allowed)
    chosen = jnp.argmax(scores, axis=-1).astype(jnp.int32)  # [B, Q]
    going = jnp.any(stacked.allowed, axis=-1)
    kept = jnp.cumprod((chosen == draft) & going, axis=1)
    last = jnp.sum(kept, axis=1)  # the place in the block of the first choice that is no draft
    emitted = last + value_at(going, last)
    before = jax.tree.map(lambda leaf: value_at(leaf, last), stacked)
    state = grammar.advance(layout, tape, before, value_at(chosen, last))

    # What each place of the block left behind: the drafts' states, and the new one at its end.
    places = jnp.arange(block)
    after = [jnp.roll(v, -1, axis=1) for v in (stacked.items, stacked.start, stacked.end, stacked.last_type)]
    now = (state.items, state.start, state.end, state.last_type)
    items, *span = (
        jnp.where(places == last[:, None], new[:, None], old) for old, new in zip(after, now, strict=True)
    )
    ends = items > stacked.items
    score = jnp.take_along_axis(scores, chosen[..., None], axis=-1)[..., 0] - total
    ending = jnp.where(ends, _end_score(scores, tape, layout) - total, 0.0)
    row = jnp.where(places < emitted[:, None], work.row[:, None], n)  # rows past the last are not written
    column = work.written[:, None] + places
    tokens = jnp.take_along_axis(tape.choices, chosen, axis=1)
    spans = jnp.where(ends[..., None], jnp.stack(span, axis=-1), -1)
    done = ~jnp.any(state.allowed, axis=1)
    lost = ~done & ((work.age + 2) * block > slots)
    out = Decoded(
        out.tokens.at[row, column].set(tokens, mode="drop"),
        out.scores.at[row, column].set(score, mode="drop"),
        out.ending.at[row, column].set(ending, mode="drop"),
        out.spans.at[row, column].set(spans, mode="drop"),
        out.complete.at[jnp.where(done, work.row, n)].set(True, mode="drop"),
        out.passes + 1,
    )
    work = work._replace(
        row=jnp.where(done | lost, n, work.row),
        state=state,
        token=value_at(tokens, last),
        written=work.written + emitted,
        age=work.age + 1,
    )
    return work, model.rewind(cache, block, last + 1), out


def _normalized(scores: jax.Array, tape: Tape, allowed: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Scores [B, Q, U] with −∞ where nothing allows the token, and the logarithm [B, Q] of their sum."""
    b, q, u = scores.shape
    rows = jnp.arange(b)[:, None, None]
    slot = jnp.where(allowed, tape.slot[:, None, :], u)
    may = jnp.zeros((b, q, u), bool).at[rows, jnp.arange(q)[:, None], slot].set(True, mode="drop")
    scores = jnp.where(may, scores.astype(jnp.float32), -jnp.inf)
    return scores, jax.nn.logsumexp(scores, axis=-1)


def _end_score(scores: jax.Array, tape: Tape, layout: Layout) -> jax.Array:
    """The log of the unnormalised probability [B, Q] that a span ends, by either symbol."""
    another, last = tape.slot[:, layout.another[0]], tape.slot[:, layout.last[0]]

    def of(slot: jax.Array) -> jax.Array:
        return jnp.take_along_axis(scores, slot[:, None, None], axis=-1)[..., 0]

    return jnp.where((another == last)[:, None], of(last), jnp.logaddexp(of(another), of(last)))


def _refill(
    model: Model,
    work: _Working,
    waiting: jax.Array,
    count: jax.Array,
    cache: Any,
    source: Any,
    tape: Tape,
    layout: Layout,
    start_id: int,
) -> tuple[_Working, jax.Array, Any]:
    """Puts waiting rows in the places of some that have ended: a few each pass, as copying takes time."""
    n, b = tape.slot.shape[0], work.row.shape[0]
    few = max(1, b // 8)
    free = jnp.nonzero(work.row >= n, size=few, fill_value=b)[0]
    take = waiting + jnp.arange(few)
    take = jnp.where((free < b) & (take < count), take, n)
    place = jnp.where(take < n, free, b)
    new = jax.tree.map(lambda leaf: jnp.take(leaf, take, axis=0, mode="clip"), (source, tape))
    fresh = _begin(take, new[0], new[1], layout, start_id)
    work = jax.tree.map(lambda old, new: old.at[place].set(new, mode="drop"), work, fresh)
    return work, waiting + jnp.sum(take < n), model.reset(cache, place)
