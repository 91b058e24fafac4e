"""Guesses of what comes next, so that one pass of the model can verify several tokens.

A draft never changes the output, only how many passes it takes: what the grammar forces is certain, the
rest is guessed from the shape of the words (names are capitalised, symbols have digits) and from T′.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from toner_jax.decoding.grammar import Hint, Layout, State, Tape, value_at


def make_hints(
    layout: Layout,
    tape: Tape,
    places: Sequence[np.ndarray],
    texts: Sequence[Sequence[str]],
    schemas: Sequence[Sequence[str]],
    matched: Sequence[Sequence[str] | None],
) -> Tape:
    """The tapes with hints. `places` and the rest as for `make_tapes`; `matched` is T′ of each row
    (None without type matching)."""
    b, p = tape.slot.shape
    start, ends = np.full((b, p), -1, np.int32), np.ones((b, p), bool)
    kind = np.full(b, -1, np.int32)
    firsts: dict[tuple[str, ...], np.ndarray] = {}
    for row, (owner, words, names) in enumerate(zip(places, texts, schemas, strict=True)):
        key = tuple(names)
        if key not in firsts:
            at = slice(layout.types, layout.text)
            firsts[key] = layout.types + np.flatnonzero(np.asarray(tape.unit_start)[row, at])
        likely_types = names[:1] if matched[row] is None else matched[row]
        if likely_types:
            kind[row] = firsts[key][names.index(likely_types[0])]
        if not len(owner):
            continue
        shaped = np.array([_looks_like_a_name(w, i == 0) for i, w in enumerate(words)])
        likely = shaped[owner]
        first = np.diff(owner, prepend=-1) != 0
        begins = likely & first
        index = np.where(begins, np.arange(len(owner)), p)
        following = np.minimum.accumulate(index[::-1])[::-1]
        at = slice(layout.text, layout.text + len(owner))
        start[row, at] = np.where(following < p, layout.text + following, -1)
        ends[row, at] = ~np.append(likely[1:], False)  # read at a word's last piece: the next one's word
    return tape._replace(hint=Hint(start, ends, kind))


def _looks_like_a_name(word: str, begins: bool) -> bool:
    """Whether a word looks like part of an entity; the first word's capital says nothing."""
    if any(c.isdigit() for c in word):
        return True
    return any(c.isupper() for c in (word[1:] if begins else word))


def propose(layout: Layout, tape: Tape, state: State) -> jax.Array:
    """For each row the choice int32 [B] that likely comes next: one of those allowed, if any is."""
    allowed, hint = state.allowed, tape.hint
    guess = jnp.argmax(allowed, axis=1)  # what is forced, and a word that goes on
    reached = jnp.maximum(state.boundary, jnp.maximum(state.end, layout.text))
    likely = jnp.where(reached < allowed.shape[1], value_at(hint.start, reached), -1)
    more = (likely >= 0) & (hint.type >= 0)
    ended = state.boundary >= 0
    stop = jnp.where(more & allowed[:, layout.another[0]], layout.another[0], layout.last[0])
    goes_on = value_at(allowed, state.boundary) & ~value_at(hint.ends, state.boundary - 1)
    guess = jnp.where(ended, jnp.where(goes_on, state.boundary, stop), guess)
    opened = allowed[:, layout.empty[0]]
    guess = jnp.where(
        opened, jnp.where(more & allowed[:, layout.first[0]], layout.first[0], layout.empty[0]), guess
    )
    guess = jnp.where((hint.type >= 0) & value_at(allowed, hint.type), hint.type, guess)
    begins = (likely >= 0) & (state.taken == 0) & value_at(allowed, likely)
    guess = jnp.where(begins, likely, guess)
    return value_at(tape.slot, guess)
