"""Guesses of what comes next, so that one pass of the model can verify several tokens.

A draft never changes the output, only how many passes it takes: what the grammar forces is certain, the
rest is guessed from the shape of the words (names are capitalised, symbols have digits) and from T′.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from toner_jax.decoding.grammar import Hint, Layout, State, Tape, first_true, starts, value_at


def make_hints(
    layout: Layout,
    tape: Tape,
    places: Sequence[np.ndarray],
    texts: Sequence[Sequence[str]],
    schemas: Sequence[Sequence[str]],
    matched: Sequence[Sequence[str] | None],
) -> Tape:
    """The tapes with hints: of the first of T′, of the schema's first type where there is none (`matched` is None).
    `places` and the rest as for `make_tapes`."""
    b, p = tape.slot.shape
    counts, pieces = [len(words) for words in texts], np.array([len(owner) for owner in places])
    row, owner = np.repeat(np.arange(b), pieces), np.concatenate(places)
    column = layout.text + np.arange(len(owner)) - starts(pieces)[row]
    shaped = np.array([_looks_like_a_name(w, i == 0) for words in texts for i, w in enumerate(words)], bool)
    likely = shaped[starts(counts)[row] + owner]
    same_row = np.diff(row, append=-1) == 0  # as the next piece
    begins = likely & tape.unit_start[row, column]
    start, ends = np.full((b, p), p, np.int32), np.ones((b, p), bool)
    start[row[begins], column[begins]] = column[begins]
    start = np.minimum.accumulate(start[:, ::-1], axis=1)[:, ::-1]
    ends[row, column] = ~(np.append(likely[1:], False) & same_row)  # read at a word's last piece
    known: dict[tuple[tuple[str, ...], str], int] = {}
    kind = np.full(b, -1, np.int32)
    for r, (names, types) in enumerate(zip(schemas, matched, strict=True)):
        likeliest = names[:1] if types is None else types[:1]
        if likeliest:
            key = tuple(names), likeliest[0]
            if key not in known:
                known[key] = _type_position(layout, tape, r, names.index(likeliest[0]))
            kind[r] = known[key]
    return tape._replace(hint=Hint(np.where(start < p, start, -1), ends, kind))


def _type_position(layout: Layout, tape: Tape, row: int, type: int) -> int:
    """Where one of a row's types begins."""
    at = slice(layout.types, layout.text)
    return layout.types + int(np.argmax((tape.type[row, at] == type) & tape.unit_start[row, at]))


@functools.lru_cache(maxsize=1 << 16)
def _looks_like_a_name(word: str, begins: bool) -> bool:
    """Whether a word looks like part of an entity; the first word's capital says nothing."""
    if any(c.isdigit() for c in word):
        return True
    return any(c.isupper() for c in (word[1:] if begins else word))


def propose(layout: Layout, tape: Tape, state: State) -> jax.Array:
    """For each row the choice int32 [B] that likely comes next: one of those allowed, if any is."""
    allowed, hint = state.allowed, tape.hint
    # What is forced, and a word that goes on: the first that is allowed.
    guess = first_true(allowed)
    reached = jnp.maximum(state.boundary, jnp.maximum(state.end, layout.text))
    likely = jnp.where(reached < allowed.shape[1], value_at(hint.start, reached), -1)
    places = jnp.stack([state.boundary, hint.type, likely], axis=1)
    may = jnp.take_along_axis(allowed, jnp.clip(places, 0, allowed.shape[1] - 1), axis=1)
    more = (likely >= 0) & (hint.type >= 0)
    stop = jnp.where(more & allowed[:, layout.another[0]], layout.another[0], layout.last[0])
    goes_on = may[:, 0] & ~value_at(hint.ends, state.boundary - 1)
    guess = jnp.where(state.boundary >= 0, jnp.where(goes_on, state.boundary, stop), guess)
    opening = jnp.where(more & allowed[:, layout.first[0]], layout.first[0], layout.empty[0])
    guess = jnp.where(allowed[:, layout.empty[0]], opening, guess)
    guess = jnp.where((hint.type >= 0) & may[:, 1], hint.type, guess)
    guess = jnp.where((likely >= 0) & (state.taken == 0) & may[:, 2], likely, guess)
    return value_at(tape.slot, guess)
