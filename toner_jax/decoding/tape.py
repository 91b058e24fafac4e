"""Tapes, which the automata of constrained decoding run on: host arrays, NumPy alone.

All that an output can be made of stands on a *tape* of pieces: the symbols of the format, the schema's types, and the
text (of a grammar without spans, the types again, as they are spelled after a comma). An automaton's state is the
set of tape positions that may come next. Where types end and the text begins is data: one compiled program serves every
schema whose tapes are as long.

Shapes: B rows (each with its own text), P tape positions, U candidates of a row: the tape's distinct tokens, which the
model scores, padded so that U = P.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np

from toner_jax.tasks.grammar import Grammar
from toner_jax.text.ids import Ids

Array = Any  # np.ndarray on the host, jax.Array on the device
Unit = tuple[int, int]  # positions that are taken one after another: u[0] is the first, u[1] − 1 the last

_NO_UNIT = 1 << 14  # pieces left of a unit at symbols and padding: more than any word or type has


@dataclass(frozen=True)
class TapeLayout:
    """Where symbols (as in `Grammar`) stand on every tape of a grammar, and where its types begin; fixed when it is
    compiled, and the same for every schema."""

    open: Unit
    first: Unit
    empty: Unit
    another: Unit
    last: Unit
    types: int

    @property
    def symbols(self) -> tuple[Unit, ...]:
        return self.open, self.first, self.empty, self.another, self.last


def lay_out(grammar: Grammar) -> TapeLayout:
    """The layout of a grammar's tapes."""
    parts = grammar.open, grammar.first, grammar.empty, grammar.another, grammar.last
    edges = np.cumsum([0, *map(len, parts)]).tolist()
    opening, first, empty, another, last = pairwise(edges)
    return TapeLayout(opening, first, empty, another, last, types=edges[-1])


@functools.lru_cache(maxsize=64)
def type_starts(grammar: Grammar) -> tuple[int, ...]:
    """Where each type of a grammar begins on its tapes, and at last where they end: `Tape.text`."""
    lengths = [len(ids) for ids in grammar.types]
    return tuple((lay_out(grammar).types + np.cumsum([0, *lengths])).tolist())


def type_pieces(grammar: Grammar) -> int:
    """Positions that the types of a grammar take on its tapes."""
    units = grammar.types if grammar.spans else grammar.types + grammar.later_types
    return sum(map(len, units))


class DraftPlan(NamedTuple):
    """What is drafted of an output, planned on the host before it is written; see `toner_jax.decoding.drafts`.

    Attributes:
      start: int32 [B, P], the tape position of the next likely beginning of an entity, at or after each; −1: none.
      ends: bool [B, P], whether an entity that reaches a word's end there likely ends.
      type: int32 [B], the tape position of the likeliest type; −1: none.
    """

    start: Array
    ends: Array
    type: Array


class Tape(NamedTuple):
    """Tapes of B rows, int32 [B, P] unless said otherwise.

    Attributes:
      candidate: the index in `candidates` of the token at each position, −1 where there is none.
      candidates: [B, U] the distinct token ids of the tape, then padding that no position refers to.
      unit_start: bool, the first position of each word and type; unit_end: bool, the last of each, and of each symbol.
      type: which type stands at each position.
      word_end: where the word at each position ends, half-open.
      last_start: [B] where the last word begins, −1 in an empty text.
      text: [B] where the text begins; of a grammar without spans, the types as they are spelled after `another`.
      types: [B] how many there are.
      draft_plan: what is drafted.
    """

    candidate: Array
    candidates: Array
    unit_start: Array
    unit_end: Array
    type: Array
    word_end: Array
    last_start: Array
    text: Array
    types: Array
    draft_plan: DraftPlan


def make_tapes(grammar: Grammar, texts: Sequence[Sequence[Ids]], room: int) -> tuple[Tape, list[np.ndarray]]:
    """Host arrays of a batch of tapes.

    Args:
      texts: the ids of each word of each row; a grammar without spans heeds only how many rows there are.
      room: for the types and a text, in pieces: a program is compiled for each.

    Returns:
      The tapes, with empty draft plans, and for each row which word each piece of its text belongs to.

    Raises:
      ValueError: there are more pieces than there is room for.
    """
    layout, rows = lay_out(grammar), len(texts)
    text = _texts(texts if grammar.spans else [()] * rows)
    longest = type_pieces(grammar) + int(text.pieces.max(initial=0))
    if longest > room:
        raise ValueError(f"{longest} pieces of types and text pass the tape's {room}")
    head, begins = _head(grammar), type_starts(grammar)[-1]
    length = layout.types + room
    token, togo, type_at = (np.full((rows, length), fill, np.int32) for fill in (-1, _NO_UNIT, 0))
    for array, own in zip((token, togo, type_at), head, strict=True):
        array[:, : len(own)] = own
    row, column = text.row, begins + text.column
    token[row, column], togo[row, column] = text.token, text.togo
    word_end, last_start = _words(text, column, (rows, length))

    candidate, candidates = _distinct(token)
    unit_start, unit_end = _find_units(layout, togo)
    tape = Tape(
        candidate=candidate,
        candidates=candidates,
        unit_start=unit_start,
        unit_end=unit_end,
        type=type_at,
        word_end=word_end,
        last_start=last_start,
        text=np.full(rows, begins, np.int32),
        types=np.full(rows, len(grammar.types), np.int32),
        draft_plan=_no_draft_plan(rows, length),
    )
    return tape, np.split(text.owner, np.cumsum(text.pieces)[:-1])


class _Texts(NamedTuple):
    """All pieces of all texts in one line, int32: of each its token, the pieces from it to its word's end, its row, its
    index in the row's text, and the index of its word; whether it is its word's first; and
    [B] how many pieces each row has."""

    token: np.ndarray
    togo: np.ndarray
    row: np.ndarray
    column: np.ndarray
    owner: np.ndarray
    first: np.ndarray
    pieces: np.ndarray


def _texts(texts: Sequence[Sequence[Ids]]) -> _Texts:
    counts = [len(words) for words in texts]
    lengths = np.array([len(ids) for words in texts for ids in words], np.int32)
    word_row = np.repeat(np.arange(len(texts)), counts)
    pieces = np.bincount(word_row, lengths, minlength=len(texts)).astype(np.int64)
    every = np.arange(pieces.sum())
    row = np.repeat(word_row, lengths)
    togo = np.repeat(np.cumsum(lengths), lengths) - every
    return _Texts(
        token=np.fromiter(chain.from_iterable(chain.from_iterable(texts)), np.int32, len(every)),
        togo=togo,
        row=row,
        column=every - starts(pieces)[row],
        owner=np.repeat(np.arange(len(lengths)) - starts(counts)[word_row], lengths),
        first=togo == np.repeat(lengths, lengths),
        pieces=pieces,
    )


def _words(text: _Texts, column: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """`word_end` and `last_start` of tapes of this shape, by the column of each piece of text."""
    row, first = text.row, text.first
    word_end = np.zeros(shape, np.int32)
    word_end[row, column] = column + text.togo
    last_start = np.full(shape[0], -1, np.int32)
    last_start[row[first]] = column[first]  # of each row the last one stays
    return word_end, last_start


@functools.lru_cache(maxsize=64)
def _head(grammar: Grammar) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What stands before the text on all tapes of a grammar, int32 each: tokens; of each the tokens from it to the end
    of its unit, `_NO_UNIT` of symbols; and types."""
    units = grammar.types if grammar.spans else grammar.types + grammar.later_types
    symbols = grammar.open + grammar.first + grammar.empty + grammar.another + grammar.last
    lengths = np.array([len(ids) for ids in units], np.int32)
    type_at = np.arange(len(units), dtype=np.int32) % len(grammar.types)
    nothing = np.zeros(len(symbols), np.int32)
    total = int(lengths.sum())
    return (
        np.array([*symbols, *chain.from_iterable(units)], np.int32),
        np.concatenate([nothing + _NO_UNIT, np.repeat(np.cumsum(lengths), lengths) - np.arange(total)]),
        np.concatenate([nothing, np.repeat(type_at, lengths)]),
    )


def _find_units(layout: TapeLayout, togo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where words and types begin, and where they and the symbols end: bool [B, P] each."""
    in_units = togo < _NO_UNIT
    unit_end = in_units & (togo == 1)
    unit_start = np.zeros_like(unit_end)
    unit_start[:, 1:] = in_units[:, 1:] & (unit_end[:, :-1] | ~in_units[:, :-1])
    for unit in layout.symbols:
        if unit[0] < unit[1]:
            unit_end[:, unit[1] - 1] = True
    return unit_start, unit_end


def _no_draft_plan(rows: int, length: int) -> DraftPlan:
    nothing = np.full((rows, length), -1, np.int32)
    return DraftPlan(nothing, np.ones((rows, length), bool), np.full(rows, -1, np.int32))


def starts(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Where each of some runs begins, one after another."""
    return np.cumsum(lengths) - lengths


def _distinct(token: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of its row's distinct tokens stands at each position (−1: none), and these tokens [B, U]."""
    order = np.argsort(token, axis=1, kind="stable")
    ranked = np.take_along_axis(token, order, axis=1)
    new = np.diff(ranked, axis=1, prepend=-1) != 0
    rank = np.cumsum(new, axis=1) - 1  # −1 where the token is −1: no tape holds that
    candidate = np.empty_like(token)
    np.put_along_axis(candidate, order, rank.astype(np.int32), axis=1)
    # As many candidates as positions: the number of distinct tokens would be a shape of its own each time.
    candidates = np.repeat(np.max(token, axis=1, keepdims=True), token.shape[1], axis=1)
    rows = np.broadcast_to(np.arange(len(token))[:, None], token.shape)
    candidates[rows[new], rank[new]] = ranked[new]
    return candidate, candidates


class Packed(NamedTuple):
    """Tapes as three int32 arrays: [B, 7, P] the fields by position, [B, 4] those by row, [B, U] the candidates.
    Handing over an array takes time, whatever its size."""

    positions: Array
    rows: Array
    candidates: Array


# Where each field of a tape, and of its draft_plan, stands in `Packed`.
_POSITIONS = "candidate", "unit_start", "unit_end", "type", "word_end"
_ROWS = "last_start", "text", "types"
_FLAGS = "unit_start", "unit_end"


def pack(tape: Tape) -> Packed:
    """On the host; `unpack` is its inverse on the device."""
    positions = [getattr(tape, name) for name in _POSITIONS] + [tape.draft_plan.start, tape.draft_plan.ends]
    rows = [getattr(tape, name) for name in _ROWS] + [tape.draft_plan.type]
    return Packed(
        np.stack(positions, axis=1, dtype=np.int32, casting="unsafe"),
        np.stack(rows, axis=1, dtype=np.int32, casting="unsafe"),
        np.asarray(tape.candidates, np.int32),
    )


def unpack(packed: Packed) -> Tape:
    """The tapes of `pack`."""
    *positions, start, ends = (packed.positions[:, i] for i in range(packed.positions.shape[1]))
    *rows, kind = (packed.rows[:, i] for i in range(packed.rows.shape[1]))
    fields = dict(zip((*_POSITIONS, *_ROWS), (*positions, *rows), strict=True))
    fields |= {name: fields[name] != 0 for name in _FLAGS}
    return Tape(candidates=packed.candidates, draft_plan=DraftPlan(start, ends != 0, kind), **fields)
