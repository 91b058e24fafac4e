"""Greedy decoding under the grammar, several tokens a pass.

A pass feeds a block of Q tokens: the last one decided, and Q − 1 that are drafted. The model scores what may
follow each of them; drafts are kept as long as each is what greedy decoding would have chosen, and the
choice after the last kept one comes for free. So the output is that of one token a pass, wherever the two
best scores differ by more than rounding, and whatever the format forces costs nothing.

Rows that end are replaced by waiting ones, so that the B rows at work stay full until the queue is empty.
Sources are read a few at a time, when their turn comes: what was read of them is kept for the rows at work and
the next few only, however long the queue.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from toner_jax.decoding.grammar import State, Tape, first_true, value_at

_LEAST = -1e30


class Rules(Protocol):
    """A form of output: what may come next, and what likely does."""

    @property
    def ends(self) -> tuple[int, int]:
        """The tape positions of the symbols that end an item: where another follows, and where none does."""

    def initial(self, tape: Tape) -> State:
        """The state before the first token."""

    def advance(self, tape: Tape, state: State, slot: jax.Array) -> State:
        """The state after each row took the token in `slot` int32 [B] of its choices; a token that is not
        allowed, and any token after the end, leaves nothing allowed."""

    def propose(self, tape: Tape, state: State) -> jax.Array:
        """For each row the choice int32 [B] that likely comes next: one of those allowed, if any is."""


class Model(NamedTuple):
    """All that decoding knows of a model.

    Attributes:
      read: (sources [F, …], their tapes' choices [F, U]) → any pytree whose leaves begin with F: what `step`
        needs of them.
      step: (tokens [B, Q], what was read of the sources, cache) → (scores fp32 [B, Q, U] of each row's
        choices, cache).
      rewind: (cache, tokens of the last step, how many of them each row keeps) → cache.
      reset: (cache, rows) → the cache with those rows as before their first token; row B is none.
    """

    read: Callable[[Any, jax.Array], Any]
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


class _Written(NamedTuple):
    """What is written so far, in few arrays, as each takes time to write to.

    Attributes:
      tokens: int32 [N, T, 6]: the token, the bits of its score and of its ending, and its span.
      complete, passes: as in `Decoded`.
    """

    tokens: jax.Array
    complete: jax.Array
    passes: jax.Array

    def decoded(self) -> Decoded:
        score, ending = jax.lax.bitcast_convert_type(self.tokens[..., 1:3], jnp.float32).transpose(2, 0, 1)
        return Decoded(self.tokens[..., 0], score, ending, self.tokens[..., 3:], self.complete, self.passes)


class _Working(NamedTuple):
    """The B rows at work.

    Attributes:
      row: int32 [B], their places in the queue; N for none.
      read: what was read of their sources; `tape`: their rows of the queue's.
      token: int32 [B], the last one decided.
      written: int32 [B], tokens so far; `age`: passes so far.
    """

    row: jax.Array
    read: Any
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
    rules: Rules,
    count: jax.Array,
    *,
    slots: int,
    length: int,
    block: int,
    working: int,
    chunk: int = 0,
    start_id: int = 0,
) -> Decoded:
    """Decodes a queue of N rows.

    Args:
      source: any pytree whose leaves begin with N.
      cache: of `working` rows, with `slots` slots; a row may take slots // block passes.
      count: int32, how many rows of the queue there are; those after them stay unwritten, at no cost.
      length: T; no tape's limit may pass it.
      block: Q.
      working: B, at most N. Where B is N all rows are read at once, and none is replaced.
      chunk: F, of which N is a multiple (0: B).

    Raises:
      ValueError: slots that are no whole number of blocks, or a queue that is none of chunks.
    """
    n, chunk = tape.slot.shape[0], chunk or working
    if slots % block:
        raise ValueError(f"{slots} slots are no whole number of blocks of {block}")
    if working < n and n % chunk:
        raise ValueError(f"{n} rows are no whole number of chunks of {chunk}")
    nothing = jnp.array([0, 0, 0, -1, -1, -1], jnp.int32)
    out = _Written(
        jnp.broadcast_to(nothing, (n, length, len(nothing))),
        jnp.zeros((n,), bool),
        jnp.zeros((), jnp.int32),
    )

    one_pass = functools.partial(_pass, model, rules, block, slots)
    if working == n:
        return _decode_all(model, rules, one_pass, source, tape, count, cache, out, start_id).decoded()
    return _decode_queue(
        model, rules, one_pass, source, tape, count, cache, out, start_id, working, chunk
    ).decoded()


_Pass = Callable[[_Working, Any, _Written], tuple[_Working, Any, _Written]]


def _decode_all(
    model: Model,
    rules: Rules,
    one_pass: _Pass,
    source: Any,
    tape: Tape,
    count: jax.Array,
    cache: Any,
    out: _Written,
    start_id: int,
) -> _Written:
    """Every row at once."""
    n = tape.slot.shape[0]
    rows = jnp.arange(n)
    ready = model.read(source, tape.choices), tape
    work = _begin(jnp.where(rows < count, rows, n), ready, rules, start_id)

    def going(carry):
        return jnp.any(carry[0].row < n)

    return jax.lax.while_loop(going, lambda carry: one_pass(*carry), (work, cache, out))[-1]


def _decode_queue(
    model: Model,
    rules: Rules,
    one_pass: _Pass,
    source: Any,
    tape: Tape,
    count: jax.Array,
    cache: Any,
    out: _Written,
    start_id: int,
    working: int,
    chunk: int,
) -> _Written:
    """`working` rows at a time: a chunk is read, decoding goes on until all its rows are at work, and so on."""
    n = tape.slot.shape[0]

    def read(first: jax.Array) -> tuple[Any, Tape]:
        sources, tapes = jax.tree.map(
            lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, chunk), (source, tape)
        )
        return model.read(sources, tapes.choices), tapes

    def decode_chunk(carry):
        first, work, cache, out = carry
        ready, end = read(first), jnp.minimum(first + chunk, count)

        def fillable(carry):
            waiting, work, _ = carry
            return (waiting < end) & jnp.any(work.row >= n)

        def fill(carry):
            waiting, work, cache = carry
            return _fill(model, rules, work, waiting, first, end, cache, ready, n, start_id)

        def going(carry):
            waiting, work, _, _ = carry
            return (waiting < end) | ((end == count) & jnp.any(work.row < n))

        def decode_on(carry):
            waiting, work, cache, out = carry
            waiting, work, cache = jax.lax.while_loop(fillable, fill, (waiting, work, cache))
            return waiting, *one_pass(work, cache, out)

        _, work, cache, out = jax.lax.while_loop(going, decode_on, (first, work, cache, out))
        return first + chunk, work, cache, out

    # What the rows at work hold before they are filled does not matter: they stand for none.
    begin = jnp.zeros((), jnp.int32)
    like = jax.eval_shape(read, begin)
    empty = jax.tree.map(lambda leaf: jnp.zeros((working, *leaf.shape[1:]), leaf.dtype), like)
    work = _begin(jnp.full((working,), n), empty, rules, start_id)
    return jax.lax.while_loop(lambda carry: carry[0] < count, decode_chunk, (begin, work, cache, out))[-1]


def _begin(row: jax.Array, ready: tuple[Any, Tape], rules: Rules, start_id: int) -> _Working:
    read, tape = ready
    zero = jnp.zeros(row.shape, jnp.int32)
    return _Working(row, read, tape, rules.initial(tape), zero + start_id, zero, zero)


def _pass(
    model: Model, rules: Rules, block: int, slots: int, work: _Working, cache: Any, out: _Written
) -> tuple[_Working, Any, _Written]:
    tape, n = work.tape, out.tokens.shape[0]

    def propose(state: State, _: None) -> tuple[State, tuple[jax.Array, jax.Array, jax.Array]]:
        guess = rules.propose(tape, state)
        return rules.advance(tape, state, guess), (state.allowed, _numbers(state), guess)

    # On CPU a loop is as fast as its steps one after another, and compiles sooner.
    unroll = jax.default_backend() != "cpu"
    end, (allowed, numbers, drafts) = jax.lax.scan(propose, work.state, None, length=block - 1, unroll=unroll)
    drafts = drafts.T  # [B, Q − 1]
    allowed = jnp.concatenate([allowed, end.allowed[None]]).swapaxes(0, 1)  # [B, Q, P]
    numbers = jnp.concatenate([numbers, _numbers(end)[None]]).swapaxes(0, 1)
    stacked = _state(allowed, numbers)
    draft = jnp.pad(drafts, ((0, 0), (0, 1)), constant_values=-2)  # none after the last
    fed = jnp.take_along_axis(tape.choices, drafts, axis=1)
    scores, cache = model.step(jnp.concatenate([work.token[:, None], fed], axis=1), work.read, cache)

    scores, top, total = _normalized(scores, tape, stacked.allowed)
    chosen = first_true(scores == top[..., None])  # the best; one is, whatever the scores
    going = jnp.any(stacked.allowed, axis=-1)
    kept = jnp.cumprod((chosen == draft) & going, axis=1)
    last = jnp.sum(kept, axis=1)  # the place in the block of the first choice that is no draft
    emitted = last + value_at(going, last)
    before = _state(value_at(allowed, last), value_at(numbers, last))
    state = rules.advance(tape, before, value_at(chosen, last))

    # What each place of the block left behind: the drafts' states, and the new one at its end.
    places = jnp.arange(block)
    at_end = places == last[:, None]
    items, *span = (
        jnp.where(at_end, new[:, None], jnp.roll(old, -1, axis=1))
        for old, new in (
            (stacked.items, state.items),
            (stacked.start, state.start),
            (stacked.end, state.end),
            (stacked.last_type, state.last_type),
        )
    )
    ends = items > stacked.items
    ending = jnp.where(ends, _end_score(scores, tape, rules) - total, 0.0)
    row = jnp.where(places < emitted[:, None], work.row[:, None], n)  # rows past the last are not written
    tokens = jnp.take_along_axis(tape.choices, chosen, axis=1)
    written = (tokens, _bits(top - total), _bits(ending), *(jnp.where(ends, s, -1) for s in span))
    done = ~jnp.any(state.allowed, axis=1)
    lost = ~done & ((work.age + 2) * block > slots)
    column = work.written[:, None] + places
    out = _Written(
        out.tokens.at[row, column].set(jnp.stack(written, axis=-1), mode="drop"),
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


_NUMBERS = tuple(name for name in State._fields if name != "allowed")


def _numbers(state: State) -> jax.Array:
    """All of a state [B, …] but what is allowed, int32 [B, 8]."""
    return jnp.stack([getattr(state, name) for name in _NUMBERS], axis=-1)


def _state(allowed: jax.Array, numbers: jax.Array) -> State:
    """The inverse of `_numbers`."""
    return State(allowed=allowed, **{name: numbers[..., i] for i, name in enumerate(_NUMBERS)})


def _normalized(scores: jax.Array, tape: Tape, allowed: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Scores [B, Q, U] with −∞ where nothing allows the token; the largest [B, Q] of each; and the logarithm
    [B, Q] of the sum of their exponentials."""
    b, q, u = scores.shape
    rows = jnp.arange(b)[:, None, None]
    slot = jnp.where(allowed, tape.slot[:, None, :], u)
    may = jnp.zeros((b, q, u), bool).at[rows, jnp.arange(q)[:, None], slot].set(True, mode="drop")
    # What is no number is the least of all, so that even then something allowed is chosen.
    scores = jnp.where(jnp.isnan(scores), _LEAST, scores.astype(jnp.float32))
    scores = jnp.where(may, scores, -jnp.inf)
    top = jnp.max(scores, axis=-1)
    above = jnp.where(may, jnp.exp(scores - top[..., None]), 0.0)
    return scores, top, top + jnp.log(jnp.sum(above, axis=-1))


def _bits(values: jax.Array) -> jax.Array:
    """fp32 as the int32 of the same bits."""
    return jax.lax.bitcast_convert_type(values, jnp.int32)


def _end_score(scores: jax.Array, tape: Tape, rules: Rules) -> jax.Array:
    """The log of the unnormalised probability [B, Q] that an item ends, by either symbol."""
    another, last = (tape.slot[:, position] for position in rules.ends)

    def of(slot: jax.Array) -> jax.Array:
        return jnp.take_along_axis(scores, slot[:, None, None], axis=-1)[..., 0]

    return jnp.where((another == last)[:, None], of(last), jnp.logaddexp(of(another), of(last)))


def _fill(
    model: Model,
    rules: Rules,
    work: _Working,
    waiting: jax.Array,
    first: jax.Array,
    end: jax.Array,
    cache: Any,
    ready: tuple[Any, Tape],
    n: int,
    start_id: int,
) -> tuple[jax.Array, _Working, Any]:
    """Puts rows that wait, from `waiting` up to `end`, in the places of some that have ended: a few at a time,
    as copying takes time. `ready` is what was read of rows `first` …"""
    b = work.row.shape[0]
    few = max(1, b // 8)
    free = jnp.nonzero(work.row >= n, size=few, fill_value=b)[0]
    take = waiting + jnp.arange(few)
    usable = (free < b) & (take < end)
    place = jnp.where(usable, free, b)
    new = jax.tree.map(lambda leaf: jnp.take(leaf, take - first, axis=0, mode="clip"), ready)
    fresh = _begin(take, new, rules, start_id)
    work = jax.tree.map(lambda old, new: old.at[place].set(new, mode="drop"), work, fresh)
    return waiting + jnp.sum(usable), work, model.reset(cache, place)
