"""The automaton of `[(type, span), …]`: the NER task, and the list that an explained output begins with.

Every output parses, every type is of the schema, and every span is a run of whole words of the text. Items come in
order of appearance: by start, longer spans first, then in the schema's order. So none comes twice, and there are only
so many. Where a string occurs more than once the first occurrence in order is taken, which leaves the most room for
what follows. An item may begin only if there is a span for it.

Of a `flat` grammar spans do not overlap: an item begins at or after the end of the last one.

Shapes: B rows, P tape positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from toner_jax.decoding import drafts
from toner_jax.decoding.automaton import (
    AutomatonState,
    first_true,
    initial_state,
    value_at,
    with_symbols,
)
from toner_jax.decoding.tape import Tape, TapeLayout


@dataclass(frozen=True)
class EntityList:
    """An `Automaton`; `flat`: spans do not overlap."""

    layout: TapeLayout
    flat: bool = False

    def initial(self, tape: Tape) -> AutomatonState:
        return initial_state(self.layout, tape)

    def draft(self, tape: Tape, state: AutomatonState) -> jax.Array:
        return drafts.likely_next(self.layout, tape, state)

    def advance(self, tape: Tape, state: AutomatonState, candidate: jax.Array) -> AutomatonState:
        layout = self.layout
        hit_BP = state.allowed & (tape.candidate == candidate[:, None])
        position_P = jnp.arange(hit_BP.shape[1])
        in_symbols = jnp.any(hit_BP[:, : layout.types], axis=1)
        in_text = jnp.any(hit_BP & (position_P >= tape.text[:, None]), axis=1)
        # A symbol of the format wins over a word that goes on with the same piece.
        hit_BP = hit_BP & ((position_P < layout.types) | ~in_symbols[:, None])
        in_text = in_text & ~in_symbols
        # The end of a type begins a span; the end of a word may end it. Types and words are never taken at once.
        done_BP = hit_BP & tape.unit_end & (position_P >= layout.types)
        done = first_true(done_BP)
        span_begins = done < tape.text
        word_done = ~span_begins & (done < hit_BP.shape[1])
        item_ends = hit_BP[:, layout.another[0]] | hit_BP[:, layout.last[0]]
        state = _after_item(state, item_ends)._replace(
            type=jnp.where(span_begins, value_at(tape.type, done), state.type),
            taken=jnp.where(span_begins, 0, state.taken + in_text),
            boundary=jnp.where(word_done, done + 1, -1),
            items=state.items + item_ends,
        )
        return state._replace(allowed=self._allowed(tape, state, hit_BP, span_begins))

    def _allowed(
        self, tape: Tape, state: AutomatonState, hit_BP: jax.Array, span_begins: jax.Array
    ) -> jax.Array:
        """bool [B, P]: the positions after those in `hit`, and the beginnings of the units that may follow them."""
        layout = self.layout
        position_P = jnp.arange(hit_BP.shape[1])
        text_BP = position_P >= tape.text[:, None]
        # The words of a text follow one another; types and symbols do not.
        goes_on_BP = jnp.pad((hit_BP & ~(tape.unit_end & ~text_BP))[:, :-1], ((0, 0), (1, 0)))
        item_begins = hit_BP[:, layout.first[1] - 1] | hit_BP[:, layout.another[1] - 1]
        begins_BP = tape.unit_start & jnp.where(text_BP, span_begins[:, None], item_begins[:, None])

        # A word: if the span would keep the order of items. After the last one there is nothing.
        words_BP = (goes_on_BP | begins_BP) & text_BP & self._in_order(tape, state) & (tape.candidate >= 0)

        # A type, and a symbol before an item, may come only if some span may still follow: after the current item
        # where that may end here, else after the last one.
        may_end = state.boundary >= 0
        after = _after_item(state, may_end)
        of_any_type, of_later_types = self._spans_left(tape, after)
        types_BP = (goes_on_BP | begins_BP) & (position_P >= layout.types) & ~text_BP
        types_BP &= of_any_type[:, None] | (of_later_types[:, None] & (tape.type > state.last_type[:, None]))

        item_left = of_any_type | (of_later_types & (after.last_type + 1 < tape.types))
        opened = hit_BP[:, layout.open[1] - 1]
        symbols_BP = with_symbols(
            goes_on_BP & (position_P < layout.types),
            (layout.first, opened & item_left),
            (layout.empty, opened),
            (layout.another, may_end & item_left),
            (layout.last, may_end),
        )
        allowed_BP: jax.Array = symbols_BP | types_BP | words_BP
        return allowed_BP

    def _in_order(self, tape: Tape, state: AutomatonState) -> jax.Array:
        """bool [B, P]: whether the current span may take the piece at a position: it starts later than the last item's,
        or where that does and is shorter, or as long with a later type; of `flat`, at or after that one's end."""
        start_BP = jnp.arange(tape.type.shape[1]) - state.taken[:, None]
        if self.flat:
            return start_BP >= state.end[:, None]
        later_type = (state.type > state.last_type)[:, None]
        not_past_BP = tape.word_end < state.end[:, None] + later_type
        later_BP = start_BP > state.start[:, None]
        in_order_BP: jax.Array = later_BP | ((start_BP == state.start[:, None]) & not_past_BP)
        return in_order_BP

    def _spans_left(self, tape: Tape, state: AutomatonState) -> tuple[jax.Array, jax.Array]:
        """Whether some span may follow the last item, bool [B]: whatever its type, where one begins later, or there and
        is shorter; with a later type, where the same one may."""
        # Before the first item, `start` and `end` are −1 and everything is later; in an empty text, nothing.
        last_taken = jnp.maximum(state.end - 1, -1) if self.flat else state.start
        later = tape.last_start > last_taken
        if self.flat:
            return later, jnp.zeros_like(later)
        inside = (state.start >= 0) & (value_at(tape.word_end, state.start) < state.end)
        return later | inside, state.start >= 0


def _after_item(state: AutomatonState, ends: jax.Array) -> AutomatonState:
    """The state whose last item is the current one, where `ends` bool [B], with its span up to the boundary."""
    return state._replace(
        start=jnp.where(ends, state.boundary - state.taken, state.start),
        end=jnp.where(ends, state.boundary, state.end),
        last_type=jnp.where(ends, state.type, state.last_type),
    )
