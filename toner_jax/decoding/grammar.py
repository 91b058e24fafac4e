"""What may come next: an automaton that allows only `[(type, span), …]` over one text.

All that an output can be made of stands on a *tape* of pieces: the symbols of the format, the schema's type
names, each with its comma, and the text. The automaton's state is the set of tape positions that may come
next (several, where the same piece stands in several places); taking a token moves those that hold it.
So every output parses, every type is of the schema, and every span is a run of whole words of the text.

Items come in order of appearance: by start, longer spans first, then in the schema's order. So none comes
twice, and there are only so many. Where a string occurs more than once the first occurrence in order is
taken, which leaves the most room for what follows. An item may begin only if it can be ended, and the output
closed, within the length limit.

Arrays are written for a batch: B rows (each with its own text and schema), P tape positions, U distinct
tokens of a tape. Host arrays are made by `make_tapes`; the rest runs on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from toner_jax.text.ids import Ids, WordIds

Array = Any  # jax.Array on the device, np.ndarray on the host

_FAR = 1 << 14  # more pieces than any output has


@dataclass(frozen=True)
class Layout:
    """Where the symbols stand on every tape, and how many tokens they take: static, by tokenizer.

    A unit is a run of positions taken one after another. `(begin, end)` are half-open.
    """

    open: tuple[int, int]  # "["
    first: tuple[int, int]  # "(" after "["
    empty: tuple[int, int]  # "]" and the end of sequence, after "["
    another: tuple[int, int]  # ")," and the next "("
    last: tuple[int, int]  # ")", "]" and the end of sequence
    types: int  # where the type names begin
    text: int  # where the text begins
    tokens: Ids  # of the symbols, in order

    @property
    def symbols(self) -> tuple[tuple[int, int], ...]:
        return self.open, self.first, self.empty, self.another, self.last

    @property
    def closing(self) -> int:
        """Tokens that end an output after its last entity."""
        return self.last[1] - self.last[0]


class Tape(NamedTuple):
    """Tapes of B rows. Texts are int32 [B, P] unless said otherwise; scalars are [B].

    Attributes:
      slot: which of the row's `choices` stands at each position, −1 where there is none.
      choices: [B, U] the distinct tokens of the tape, padded by repeating the largest.
      togo: tokens from each position to the end of its unit: its word, its type with the comma.
      unit_start, unit_end: bool, the first and last position of each word, type and symbol.
      type: which type stands at each position.
      shortest: over the words from each position on, the fewest pieces of one.
      word_end: where the word at each position ends, half-open.
      types: how many types the row's schema has.
      shortest_type, longest_type: tokens of its shortest and longest type, with the comma.
      last_start: where the last word begins, −1 in an empty text.
      limit: the most tokens of an output, its end of sequence included.
      hint: what a draft guesses, see `toner_jax.decoding.drafts`.
    """

    slot: Array
    choices: Array
    togo: Array
    unit_start: Array
    unit_end: Array
    type: Array
    shortest: Array
    word_end: Array
    types: Array
    shortest_type: Array
    longest_type: Array
    last_start: Array
    limit: Array
    hint: Hint


class Hint(NamedTuple):
    """Guesses about an output, made before it is written.

    Attributes:
      start: [B, P] the tape position of the next likely beginning of an entity, at or after each; −1: none.
      ends: bool [B, P] whether an entity that reaches a word's end there likely ends.
      type: [B] the tape position of the likeliest type.
    """

    start: Array
    ends: Array
    type: Array


class State(NamedTuple):
    """Where each of B rows stands.

    Attributes:
      allowed: bool [B, P], the tape positions that may come next; none after the end.
      type: the current item's type.
      taken: pieces of the current span taken so far.
      boundary: where the current span would end if it ended here (half-open), −1 if it may not.
      start, end, last_type: the place of the last item (tape positions), −1 before the first.
      left: tokens that the output may still have.
      items: how many items are complete.
    """

    allowed: jax.Array
    type: jax.Array
    taken: jax.Array
    boundary: jax.Array
    start: jax.Array
    end: jax.Array
    last_type: jax.Array
    left: jax.Array
    items: jax.Array


def make_layout(word_ids: WordIds, types: int) -> Layout:
    """The layout of tapes whose schemas need at most `types` positions for their names."""
    s, eos = word_ids.symbols, (word_ids.tokenizer.eos_id,)
    parts = (s.open, s.first_item, s.close + eos, s.item_end + s.next_item, s.last_end + s.close + eos)
    edges = np.cumsum([0, *(len(p) for p in parts)]).tolist()
    opening, first, empty, another, last = pairwise(edges)
    return Layout(
        opening, first, empty, another, last,
        types=edges[-1], text=edges[-1] + types, tokens=sum(parts, ()),
    )  # fmt: skip


def type_ids(word_ids: WordIds, name: str) -> Ids:
    """A type's pieces in an item, its comma included."""
    return word_ids.glued(name) + word_ids.symbols.comma


def make_tapes(
    word_ids: WordIds,
    layout: Layout,
    texts: Sequence[Sequence[str]],
    schemas: Sequence[Sequence[str]],
    length: int,
    limit: int,
) -> tuple[Tape, list[np.ndarray]]:
    """Host arrays of a batch of tapes.

    Args:
      texts: the words of each row; `schemas`, its type names in order.
      length: P.
      limit: the most tokens of an output, its end of sequence included.

    Returns:
      The tapes, with empty hints, and for each row which word each piece of the text belongs to.

    Raises:
      ValueError: a text or a schema takes more positions than there are.
    """
    b = len(texts)
    token = np.full((b, length), -1, np.int32)
    togo = np.full((b, length), _FAR, np.int32)
    shortest = np.full((b, length), _FAR, np.int32)
    word_end = np.zeros((b, length), np.int32)
    unit_start, unit_end = np.zeros((b, length), bool), np.zeros((b, length), bool)
    type_at = np.zeros((b, length), np.int32)
    types, shortest_type, longest_type = (np.zeros(b, np.int32) for _ in range(3))
    last_start = np.full(b, -1, np.int32)
    begin = layout.text
    token[:, : layout.types] = layout.tokens
    memo: dict[tuple[str, ...], tuple[np.ndarray, ...]] = {}
    places: list[np.ndarray] = []
    for row, (words, names) in enumerate(zip(texts, schemas, strict=True)):
        key = tuple(names)
        if key not in memo:
            memo[key] = _units([type_ids(word_ids, name) for name in key])
        ids, owner, left = memo[key]
        if layout.types + len(ids) > begin:
            raise ValueError(f"{len(ids)} pieces of type names pass the layout's {begin - layout.types}")
        at = slice(layout.types, layout.types + len(ids))
        token[row, at], type_at[row, at], togo[row, at] = ids, owner, left
        types[row] = len(names)
        lengths = left[np.diff(owner, prepend=-1) != 0]
        shortest_type[row], longest_type[row] = lengths.min(), lengths.max()
        ids, owner, left = _units([word_ids.word(w) for w in words])
        if begin + len(ids) > length:
            raise ValueError(f"{len(ids)} pieces of text pass the tape's {length - begin}")
        at = slice(begin, begin + len(ids))
        token[row, at], togo[row, at] = ids, left
        places.append(owner)
        if len(ids):
            starts = np.flatnonzero(np.diff(owner, prepend=-1))
            last_start[row] = begin + starts[-1]
            whole = np.where(np.diff(owner, prepend=-1) != 0, left, _FAR)
            shortest[row, at] = np.minimum.accumulate(whole[::-1])[::-1]
            word_end[row, at] = np.arange(begin, begin + len(ids)) + left
    in_units = togo < _FAR
    unit_end[:] = in_units & (togo == 1)
    unit_start[:, 1:] = in_units[:, 1:] & (unit_end[:, :-1] | ~in_units[:, :-1])
    unit_start[:, begin] = in_units[:, begin]
    for unit in layout.symbols:
        unit_end[:, unit[1] - 1] = True
    slot, choices = _distinct(token)
    empty = np.full(b, -1, np.int32)
    tape = Tape(
        slot, choices, togo, unit_start, unit_end, type_at, shortest, word_end, types, shortest_type,
        longest_type, last_start, np.full(b, limit, np.int32),
        Hint(np.full((b, length), -1, np.int32), np.ones((b, length), bool), empty),
    )  # fmt: skip
    return tape, places


def _units(units: Sequence[Ids]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids in a row, which unit each belongs to, and how many of its unit are left, itself included."""
    lengths = np.array([len(u) for u in units], np.int32)
    owner = np.repeat(np.arange(len(units), dtype=np.int32), lengths)
    ends = np.cumsum(lengths)
    left = ends[owner] - np.arange(len(owner)) if len(owner) else np.zeros(0, np.int64)
    ids = np.fromiter((i for u in units for i in u), np.int32, len(owner))
    return ids, owner, left.astype(np.int32)


def _distinct(token: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row's distinct tokens [B, U], and which of them stands at each position (−1: none)."""
    order = np.argsort(token, axis=1, kind="stable")
    ranked = np.take_along_axis(token, order, axis=1)
    new = np.diff(ranked, axis=1, prepend=-1) != 0
    rank = np.cumsum(new, axis=1) - 1  # −1 where the token is −1: no tape holds that
    slot = np.empty_like(token)
    np.put_along_axis(slot, order, rank.astype(np.int32), axis=1)
    # As many columns as positions: the number of distinct tokens would be a shape of its own each time.
    choices = np.repeat(np.max(token, axis=1, keepdims=True), token.shape[1], axis=1)
    rows = np.broadcast_to(np.arange(len(token))[:, None], token.shape)
    choices[rows[new], rank[new]] = ranked[new]
    return slot, choices


def initial(tape: Tape, layout: Layout) -> State:
    """The state before the first token."""
    b, p = tape.slot.shape
    nothing = jnp.full((b,), -1, jnp.int32)
    zero = jnp.zeros((b,), jnp.int32)
    allowed = jnp.zeros((b, p), bool).at[:, layout.open[0]].set(True)
    return State(allowed, zero, zero, nothing, nothing, nothing, nothing, tape.limit, zero)


def advance(layout: Layout, tape: Tape, state: State, slot: jax.Array) -> State:
    """The state after each row took the token in `slot` int32 [B] of its choices; a token that is not
    allowed, and any token after the end, leaves nothing allowed."""
    hit = state.allowed & (tape.slot == slot[:, None])
    in_symbols = jnp.any(hit[:, : layout.types], axis=1)
    # A symbol of the format wins over a word that goes on with the same piece.
    hit = hit & ~(in_symbols[:, None] & (jnp.arange(hit.shape[1]) >= layout.types))
    left = state.left - 1
    hit_types, hit_text = hit[:, layout.types : layout.text], hit[:, layout.text :]
    in_text = jnp.any(hit_text, axis=1)
    # The end of a type begins a span; the end of a word may end it.
    type_done = hit_types & tape.unit_end[:, layout.types : layout.text]
    span_begins = jnp.any(type_done, axis=1)
    kind = value_at(tape.type[:, layout.types : layout.text], jnp.argmax(type_done, axis=1))
    kind = jnp.where(span_begins, kind, state.type)
    taken = jnp.where(span_begins, 0, state.taken + in_text)
    word_done = hit_text & tape.unit_end[:, layout.text :]
    boundary = jnp.where(jnp.any(word_done, axis=1), layout.text + jnp.argmax(word_done, axis=1) + 1, -1)
    ends = hit[:, layout.another[0]] | hit[:, layout.last[0]]
    state = _after_item(state, ends)._replace(
        type=kind,
        taken=taken,
        boundary=boundary.astype(jnp.int32),
        left=left,
        items=state.items + ends,
    )
    item_begins = hit[:, layout.first[1] - 1] | hit[:, layout.another[1] - 1]
    return state._replace(allowed=_allowed(layout, tape, state, hit, span_begins, item_begins))


def _allowed(
    layout: Layout, tape: Tape, state: State, hit: jax.Array, span_begins: jax.Array, item_begins: jax.Array
) -> jax.Array:
    """The positions after those in `hit`, and the beginnings of the units that may follow them."""
    position = jnp.arange(hit.shape[1])
    text = position >= layout.text
    # The words of a text follow one another; types and symbols do not.
    shifted = jnp.pad((hit & ~(tape.unit_end & ~text))[:, :-1], ((0, 0), (1, 0)))
    starts = tape.unit_start & jnp.where(text, span_begins[:, None], item_begins[:, None])
    room = state.left[:, None]

    # What may come next in the text, by the order of items: later than the last one, or inside it.
    first = position - state.taken[:, None]
    later_type = (state.type > state.last_type)[:, None]
    not_past = tape.word_end < state.end[:, None] + later_type
    in_order = (first > state.start[:, None]) | ((first == state.start[:, None]) & not_past)
    fits = tape.togo + layout.closing <= room
    words = (shifted | starts) & text & in_order & fits

    # A type needs a span that may follow it.
    later, inside, same = _shortest_spans(layout, tape, state)
    span = jnp.minimum(later, inside)[:, None]
    span = jnp.where(tape.type > state.last_type[:, None], jnp.minimum(span, same[:, None]), span)
    names = (shifted | starts) & (position >= layout.types) & ~text
    names &= tape.togo + span + layout.closing <= room

    # Symbols: after "[", and after a word as if the item ended there.
    ended = state.boundary >= 0
    after = _after_item(state, ended)
    opened = hit[:, layout.open[1] - 1]
    item = _shortest_item(layout, tape, after) + layout.closing
    first_fits = item + (layout.first[1] - layout.first[0]) <= state.left
    another_fits = item + (layout.another[1] - layout.another[0]) <= state.left
    symbols = shifted & (position < layout.types)
    symbols = symbols.at[:, layout.first[0]].set(opened & first_fits)
    symbols = symbols.at[:, layout.empty[0]].set(opened)
    symbols = symbols.at[:, layout.another[0]].set(ended & another_fits)
    symbols = symbols.at[:, layout.last[0]].set(ended)
    return symbols | names | words


def _after_item(state: State, ends: jax.Array) -> State:
    """The state whose last item is the current one, where `ends`, with its span up to the boundary."""
    return state._replace(
        start=jnp.where(ends, state.boundary - state.taken, state.start),
        end=jnp.where(ends, state.boundary, state.end),
        last_type=jnp.where(ends, state.type, state.last_type),
    )


def _shortest_item(layout: Layout, tape: Tape, state: State) -> jax.Array:
    """Tokens [B], type and span, that are enough for some item after the last one; `_FAR` and more where
    there can be none."""
    later, inside, same = _shortest_spans(layout, tape, state)
    same = jnp.where(state.last_type + 1 < tape.types, same, _FAR)
    return jnp.minimum(tape.shortest_type + jnp.minimum(later, inside), tape.longest_type + same)


def _shortest_spans(layout: Layout, tape: Tape, state: State) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The fewest pieces [B] of a span that may follow the last item: one that begins later; one that begins
    there and is shorter; the same or a shorter one with a later type. `_FAR` where there is none."""
    # Before the first item, `start` is −1 and everything is later.
    begin = jnp.maximum(state.start + 1, layout.text)
    later = jnp.where(tape.last_start > state.start, value_at(tape.shortest, begin), _FAR)
    same = jnp.where(state.start >= 0, value_at(tape.togo, state.start), _FAR)
    inside = jnp.where(value_at(tape.word_end, state.start) < state.end, same, _FAR)
    return later, inside, same


def value_at(values: jax.Array, place: jax.Array) -> jax.Array:
    """values[b, place[b]] of [B, P, …], for places int32 [B]; those outside take the nearest."""
    place = jnp.clip(place, 0, values.shape[1] - 1).reshape(-1, *(1,) * (values.ndim - 1))
    return jnp.take_along_axis(values, place, axis=1)[:, 0]
