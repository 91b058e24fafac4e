"""What may come next in the type-recognition task (§3.4): an automaton that allows only `[type, …]`, types of
the schema in its order.

The tape holds the schema twice: as names that stand after the bracket, glued to it, and as names that follow a
comma. Everything else is as in `toner_jax.decoding.grammar`, whose tapes and states these are.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from toner_jax.decoding import grammar
from toner_jax.decoding.grammar import FAR, Layout, State, Tape, value_at
from toner_jax.text.ids import Ids, WordIds


def make_layout(word_ids: WordIds, names: Sequence[str]) -> Layout:
    """The layout of a schema's tapes, which have `tape_length` positions. A list of types has no symbol before
    its first item."""
    s, end = word_ids.symbols, (word_ids.tokenizer.eos_id,)
    parts = (s.open, (), s.close + end, s.comma, s.close + end)
    return grammar.lay_out(parts, sum(map(len, _glued(word_ids, names))))


def tape_length(word_ids: WordIds, layout: Layout, names: Sequence[str]) -> int:
    """P."""
    return layout.text + sum(map(len, _spaced(word_ids, names)))


def make_tapes(
    word_ids: WordIds, layout: Layout, names: Sequence[str], rows: int, limit: int
) -> tuple[Tape, list[np.ndarray]]:
    """Host arrays of so many tapes, all of one schema, and for each row no words.

    Args:
      limit: the most tokens of an output, its end of sequence included.
    """
    length = tape_length(word_ids, layout, names)
    token = np.full((rows, length), -1, np.int32)
    togo = np.full((rows, length), FAR, np.int32)
    type_at = np.zeros((rows, length), np.int32)
    token[:, : layout.types] = layout.tokens
    grammar.place_units(token, togo, type_at, _glued(word_ids, names), layout.types, layout.text)
    grammar.place_units(token, togo, type_at, _spaced(word_ids, names), layout.text, length)
    slot, choices = grammar.distinct(token)
    nothing, none = np.zeros((rows, length), np.int32), np.zeros(rows, np.int32)
    tape = Tape(
        slot, choices, togo, *grammar.find_units(layout, togo), type_at, nothing, nothing,
        np.full(rows, len(names), np.int32), none, none, none, np.full(rows, limit, np.int32),
        grammar.no_hint(rows, length),
    )  # fmt: skip
    return tape, [np.zeros(0, np.int32)] * rows


def _glued(word_ids: WordIds, names: Sequence[str]) -> list[Ids]:
    return [word_ids.glued(name) for name in names]


def _spaced(word_ids: WordIds, names: Sequence[str]) -> list[Ids]:
    return [word_ids.words(name.split(" ")) for name in names]


def advance(layout: Layout, tape: Tape, state: State, slot: jax.Array) -> State:
    """As `grammar.advance`. At the symbol that ends a type, `last_type` is that type, `start` is 0 and `end`
    the number of its pieces."""
    hit = state.allowed & (tape.slot == slot[:, None])
    in_name = jnp.any(hit[:, layout.types :], axis=1)
    done = hit & tape.unit_end & (jnp.arange(hit.shape[1]) >= layout.types)
    first = grammar.first_true(done)
    ended = first < hit.shape[1]
    ends = hit[:, layout.another[0]] | hit[:, layout.last[0]]
    begins = hit[:, layout.another[1] - 1]
    state = state._replace(
        type=jnp.where(ended, value_at(tape.type, first), state.type),
        taken=jnp.where(begins, 0, state.taken + in_name),
        boundary=jnp.where(ended, 0, -1),
        start=jnp.where(ends, 0, state.start),
        end=jnp.where(ends, state.taken, state.end),
        last_type=jnp.where(ends, state.type, state.last_type),
        left=state.left - 1,
        items=state.items + ends,
    )
    return state._replace(allowed=_allowed(layout, tape, state, hit, begins))


def _allowed(layout: Layout, tape: Tape, state: State, hit: jax.Array, begins: jax.Array) -> jax.Array:
    position = jnp.arange(hit.shape[1])
    symbols, later = position < layout.types, position >= layout.text
    opened, ended = hit[:, layout.open[1] - 1], state.boundary >= 0
    shifted = jnp.pad((hit & ~tape.unit_end)[:, :-1], ((0, 0), (1, 0)))
    starts = tape.unit_start & jnp.where(later, begins[:, None], opened[:, None])
    in_order = tape.type > state.last_type[:, None]
    fits = tape.togo + layout.closing <= state.left[:, None]
    names = (shifted | starts) & ~symbols & in_order & fits

    # Another type may follow the one that ended where there is one, and room to write it.
    follows = tape.unit_start & later & (tape.type > state.type[:, None])
    shortest = jnp.min(jnp.where(follows, tape.togo, FAR), axis=1)
    comma = layout.another[1] - layout.another[0]
    another = ended & (shortest + comma + layout.closing <= state.left)
    return names | grammar.with_symbols(
        shifted & symbols, (layout.empty, opened), (layout.another, another), (layout.last, ended)
    )
