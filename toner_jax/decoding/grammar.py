"""What may come next: an automaton that allows only `[(type, span), …]` over one text.

All that an output can be made of stands on a *tape* of pieces: the symbols of the format, the schema's type
names, each with its comma, and the text. The automaton's state is the set of tape positions that may come
next (several, where the same piece stands in several places); taking a token moves those that hold it.
So every output parses, every type is of the schema, and every span is a run of whole words of the text.

Items come in order of appearance: by start, longer spans first, then in the schema's order. So none comes
twice, and there are only so many. Where a string occurs more than once the first occurrence in order is
taken, which leaves the most room for what follows. An item may begin only if it can be ended, and the output
closed, within the length limit.

`toner_jax.decoding.type_list` is the automaton of the type-recognition task, over the same kind of tape.

Arrays are written for a batch: B rows (each with its own text and schema), P tape positions, U distinct
tokens of a tape. Host arrays are made by `make_tapes`; the rest runs on the device.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from toner_jax.text.ids import Ids, WordIds

Array = Any  # jax.Array on the device, np.ndarray on the host

FAR = 1 << 14  # more pieces than any output has


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


def make_layout(word_ids: WordIds, types: int, head: Ids = (), tail: Ids | None = None) -> Layout:
    """The layout of tapes whose schemas need at most `types` positions for their names.

    Args:
      head: what an output begins with, before its list.
      tail: what follows the list; the end of sequence by default.
    """
    s, end = word_ids.symbols, (word_ids.tokenizer.eos_id,) if tail is None else tail
    return lay_out(
        (head + s.open, s.first_item, s.close + end, s.item_end + s.next_item, s.last_end + s.close + end),
        types,
    )


def lay_out(parts: Sequence[Ids], types: int) -> Layout:
    """A layout of the five symbols and so many positions for types."""
    edges = np.cumsum([0, *(len(p) for p in parts)]).tolist()
    opening, first, empty, another, last = pairwise(edges)
    return Layout(
        opening, first, empty, another, last,
        types=edges[-1], text=edges[-1] + types, tokens=tuple(chain.from_iterable(parts)),
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
    b, begin = len(texts), layout.text
    token = np.full((b, length), -1, np.int32)
    togo = np.full((b, length), FAR, np.int32)
    type_at = np.zeros((b, length), np.int32)
    sizes = np.zeros((b, 3), np.int32)
    for names, rows in _alike(schemas):
        head = _schema_head(word_ids, layout, names)
        token[rows, :begin], togo[rows, :begin], type_at[rows, :begin], sizes[rows] = head

    # All pieces of all texts in one line: the words' lengths, and of each piece its row, word and place.
    words = [[word_ids.word(w) for w in text] for text in texts]
    counts = [len(w) for w in words]
    lengths = np.array([len(ids) for row in words for ids in row], np.int32)
    row = np.repeat(np.arange(b), counts)
    pieces = np.bincount(row, lengths, minlength=b).astype(np.int64)
    if begin + pieces.max(initial=0) > length:
        raise ValueError(f"{pieces.max()} pieces of text pass the tape's {length - begin}")
    every = np.arange(pieces.sum())
    row, owner = np.repeat(row, lengths), np.repeat(np.arange(len(lengths)) - starts(counts)[row], lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - every
    column = begin + every - starts(pieces)[row]
    token[row, column] = np.fromiter(chain.from_iterable(chain.from_iterable(words)), np.int32, len(every))
    togo[row, column] = left
    word_end = np.zeros((b, length), np.int32)
    word_end[row, column] = column + left
    first = left == np.repeat(lengths, lengths)
    last_start = np.full(b, -1, np.int32)
    last_start[row[first]] = column[first]  # of each row the last one stays
    shortest = np.full((b, length), FAR, np.int32)
    shortest[row[first], column[first]] = left[first]
    shortest = np.ascontiguousarray(np.minimum.accumulate(shortest[:, ::-1], axis=1)[:, ::-1])

    unit_start, unit_end = find_units(layout, togo)
    slot, choices = distinct(token)
    tape = Tape(
        slot, choices, togo, unit_start, unit_end, type_at, shortest, word_end, sizes[:, 0], sizes[:, 1], sizes[:, 2],
        last_start, np.full(b, limit, np.int32), no_hint(b, length),
    )  # fmt: skip
    return tape, np.split(owner, np.cumsum(pieces)[:-1])


@functools.lru_cache(maxsize=64)
def _schema_head(
    word_ids: WordIds, layout: Layout, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int, int]]:
    """A tape up to its text: tokens, tokens to go and types [text] each, and the sizes of the schema: how many
    types, and the tokens of the shortest and the longest."""
    shape = (1, layout.text)
    token, togo, type_at = (
        np.full(shape, -1, np.int32),
        np.full(shape, FAR, np.int32),
        np.zeros(shape, np.int32),
    )
    token[:, : layout.types] = layout.tokens
    units = [type_ids(word_ids, name) for name in names]
    place_units(token, togo, type_at, units, layout.types, layout.text)
    lengths = [len(u) for u in units]
    return token[0], togo[0], type_at[0], (len(names), min(lengths), max(lengths))


def _alike(schemas: Sequence[Sequence[str]]) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """Each distinct schema, and its rows."""
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, names in enumerate(schemas):
        rows.setdefault(tuple(names), []).append(row)
    for names, own in rows.items():
        yield names, np.array(own)


def place_units(
    token: np.ndarray,
    togo: np.ndarray,
    type_at: np.ndarray,
    units: Sequence[Ids],
    begin: int,
    end: int,
) -> None:
    """Writes the pieces of types from position `begin` of all rows on.

    Raises:
      ValueError: they pass `end`.
    """
    lengths = np.array([len(u) for u in units], np.int32)
    total = int(lengths.sum())
    if begin + total > end:
        raise ValueError(f"{total} pieces of type names pass the layout's {end - begin}")
    at = slice(begin, begin + total)
    token[:, at] = np.fromiter(chain.from_iterable(units), np.int32, total)
    togo[:, at] = np.repeat(np.cumsum(lengths), lengths) - np.arange(total)
    type_at[:, at] = np.repeat(np.arange(len(units)), lengths)


def find_units(layout: Layout, togo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where words and types begin, and where they and the symbols end: bool [B, P] each."""
    in_units = togo < FAR
    unit_end = in_units & (togo == 1)
    unit_start = np.zeros_like(unit_end)
    unit_start[:, 1:] = in_units[:, 1:] & (unit_end[:, :-1] | ~in_units[:, :-1])
    for unit in layout.symbols:
        if unit[0] < unit[1]:
            unit_end[:, unit[1] - 1] = True
    return unit_start, unit_end


def no_hint(rows: int, length: int) -> Hint:
    nothing = np.full((rows, length), -1, np.int32)
    return Hint(nothing, np.ones((rows, length), bool), np.full(rows, -1, np.int32))


def starts(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Where each of some runs begins, one after another."""
    return np.cumsum(lengths) - lengths


def distinct(token: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


class Packed(NamedTuple):
    """A tape as few arrays, int32: [B, n, P] what it says of each position, [B, n] of each row, and the choices.
    Handing over an array takes time, whatever its size."""

    positions: Array
    rows: Array
    choices: Array


# Where each field of a tape, and of its hint, stands in `Packed`.
_POSITIONS = "slot", "togo", "unit_start", "unit_end", "type", "shortest", "word_end"
_ROWS = "types", "shortest_type", "longest_type", "last_start", "limit"
_FLAGS = "unit_start", "unit_end"


def pack(tape: Tape) -> Packed:
    """On the host; `unpack` is its inverse on the device."""
    positions = [getattr(tape, name) for name in _POSITIONS] + [tape.hint.start, tape.hint.ends]
    rows = [getattr(tape, name) for name in _ROWS] + [tape.hint.type]
    return Packed(
        np.stack(positions, axis=1, dtype=np.int32, casting="unsafe"),
        np.stack(rows, axis=1, dtype=np.int32, casting="unsafe"),
        np.asarray(tape.choices, np.int32),
    )


def unpack(packed: Packed) -> Tape:
    """The tape of `pack`."""
    *positions, start, ends = (packed.positions[:, i] for i in range(packed.positions.shape[1]))
    *rows, kind = (packed.rows[:, i] for i in range(packed.rows.shape[1]))
    fields = dict(zip((*_POSITIONS, *_ROWS), (*positions, *rows), strict=True))
    fields |= {name: fields[name] != 0 for name in _FLAGS}
    return Tape(choices=packed.choices, hint=Hint(start, ends != 0, kind), **fields)


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
    # Each reduction and each look-up is a kernel of its own, so there are few of them.
    hit = state.allowed & (tape.slot == slot[:, None])
    position = jnp.arange(hit.shape[1])
    in_symbols, in_text = jnp.any(hit[:, : layout.types], axis=1), jnp.any(hit[:, layout.text :], axis=1)
    # A symbol of the format wins over a word that goes on with the same piece.
    hit = hit & ((position < layout.types) | ~in_symbols[:, None])
    in_text = in_text & ~in_symbols
    # The end of a type begins a span; the end of a word may end it. Types and words are never taken at once.
    done = hit & tape.unit_end & (position >= layout.types)
    first = first_true(done)
    span_begins = first < layout.text
    word_done = ~span_begins & (first < hit.shape[1])
    ends = hit[:, layout.another[0]] | hit[:, layout.last[0]]
    state = _after_item(state, ends)._replace(
        type=jnp.where(span_begins, value_at(tape.type, first), state.type),
        taken=jnp.where(span_begins, 0, state.taken + in_text),
        boundary=jnp.where(word_done, first + 1, -1),
        left=state.left - 1,
        items=state.items + ends,
    )
    return state._replace(allowed=_allowed(layout, tape, state, hit, span_begins))


def _allowed(layout: Layout, tape: Tape, state: State, hit: jax.Array, span_begins: jax.Array) -> jax.Array:
    """The positions after those in `hit`, and the beginnings of the units that may follow them."""
    position = jnp.arange(hit.shape[1])
    text = position >= layout.text
    # The words of a text follow one another; types and symbols do not.
    shifted = jnp.pad((hit & ~(tape.unit_end & ~text))[:, :-1], ((0, 0), (1, 0)))
    item_begins = hit[:, layout.first[1] - 1] | hit[:, layout.another[1] - 1]
    starts = tape.unit_start & jnp.where(text, span_begins[:, None], item_begins[:, None])
    room = state.left[:, None]

    # What may come next in the text, by the order of items: later than the last one, or inside it.
    first = position - state.taken[:, None]
    later_type = (state.type > state.last_type)[:, None]
    not_past = tape.word_end < state.end[:, None] + later_type
    in_order = (first > state.start[:, None]) | ((first == state.start[:, None]) & not_past)
    fits = tape.togo + layout.closing <= room
    words = (shifted | starts) & text & in_order & fits

    # A type needs a span that may follow it; so does a symbol before an item. After a word the item may end
    # there; elsewhere `after` is the state itself.
    ended = state.boundary >= 0
    after = _after_item(state, ended)
    later, inside, same = _shortest_spans(layout, tape, after)
    span = jnp.minimum(later, inside)[:, None]
    span = jnp.where(tape.type > state.last_type[:, None], jnp.minimum(span, same[:, None]), span)
    names = (shifted | starts) & (position >= layout.types) & ~text
    names &= tape.togo + span + layout.closing <= room

    # Tokens, type and span, that are enough for some item; `FAR` and more where there can be none.
    same = jnp.where(after.last_type + 1 < tape.types, same, FAR)
    item = jnp.minimum(tape.shortest_type + jnp.minimum(later, inside), tape.longest_type + same)
    spare = state.left - item - layout.closing
    opened = hit[:, layout.open[1] - 1]
    symbols = with_symbols(
        shifted & (position < layout.types),
        (layout.first, opened & (spare >= layout.first[1] - layout.first[0])),
        (layout.empty, opened),
        (layout.another, ended & (spare >= layout.another[1] - layout.another[0])),
        (layout.last, ended),
    )
    return symbols | names | words


def with_symbols(allowed: jax.Array, *symbols: tuple[tuple[int, int], jax.Array]) -> jax.Array:
    """Positions [B, P], with the beginning of each symbol as its rows [B] say."""
    position = jnp.arange(allowed.shape[1])
    for (begin, _), may in symbols:
        allowed = jnp.where(position == begin, may[:, None], allowed)
    return allowed


def _after_item(state: State, ends: jax.Array) -> State:
    """The state whose last item is the current one, where `ends`, with its span up to the boundary."""
    return state._replace(
        start=jnp.where(ends, state.boundary - state.taken, state.start),
        end=jnp.where(ends, state.boundary, state.end),
        last_type=jnp.where(ends, state.type, state.last_type),
    )


def _shortest_spans(layout: Layout, tape: Tape, state: State) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The fewest pieces [B] of a span that may follow the last item: one that begins later; one that begins
    there and is shorter; the same or a shorter one with a later type. `FAR` where there is none."""
    # Before the first item, `start` is −1 and everything is later.
    begin = jnp.maximum(state.start + 1, layout.text)
    later = jnp.where(tape.last_start > state.start, value_at(tape.shortest, begin), FAR)
    same = jnp.where(state.start >= 0, value_at(tape.togo, state.start), FAR)
    inside = jnp.where(state.start + same < state.end, same, FAR)
    return later, inside, same


def first_true(mask: jax.Array) -> jax.Array:
    """The place int32 of the first True on the last axis, its length where there is none: as `argmax`, which is
    slow on CPU."""
    size = mask.shape[-1]
    return jnp.min(jnp.where(mask, jnp.arange(size, dtype=jnp.int32), size), axis=-1)


def value_at(values: jax.Array, place: jax.Array) -> jax.Array:
    """values[b, place[b]] of [B, P, …], for places int32 [B]; those outside take the nearest."""
    place = jnp.clip(place, 0, values.shape[1] - 1).reshape(-1, *(1,) * (values.ndim - 1))
    return jnp.take_along_axis(values, place, axis=1)[:, 0]
