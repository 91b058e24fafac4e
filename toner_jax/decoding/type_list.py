"""The automaton of `[type, …]`, types of the schema in its order: the type-recognition task (the paper's §3.4).

The tape holds the schema twice: as types that stand after the bracket, glued to it, and as types that follow a comma.

Shapes: B rows, P tape positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from toner_jax.decoding.automaton import (
    AutomatonState,
    first_true,
    initial_state,
    value_at,
    with_symbols,
)
from toner_jax.decoding.tape import Tape, TapeLayout


@dataclass(frozen=True)
class TypeList:
    """An `Automaton`. In its states, at the symbol that ends a type, `last_type` is that type, `start` is 0 and `end`
    the number of its pieces. Nothing is drafted but what is forced."""

    layout: TapeLayout

    def initial(self, tape: Tape) -> AutomatonState:
        return initial_state(self.layout, tape)

    def draft(self, tape: Tape, state: AutomatonState) -> jax.Array:
        return value_at(tape.candidate, first_true(state.allowed))

    def advance(self, tape: Tape, state: AutomatonState, candidate: jax.Array) -> AutomatonState:
        layout = self.layout
        hit_BP = state.allowed & (tape.candidate == candidate[:, None])
        in_type = jnp.any(hit_BP[:, layout.types :], axis=1)
        done_BP = hit_BP & tape.unit_end & (jnp.arange(hit_BP.shape[1]) >= layout.types)
        done = first_true(done_BP)
        may_end = done < hit_BP.shape[1]
        item_ends = hit_BP[:, layout.another[0]] | hit_BP[:, layout.last[0]]
        begins = hit_BP[:, layout.another[1] - 1]
        state = state._replace(
            type=jnp.where(may_end, value_at(tape.type, done), state.type),
            taken=jnp.where(begins, 0, state.taken + in_type),
            boundary=jnp.where(may_end, 0, -1),
            start=jnp.where(item_ends, 0, state.start),
            end=jnp.where(item_ends, state.taken, state.end),
            last_type=jnp.where(item_ends, state.type, state.last_type),
            items=state.items + item_ends,
        )
        return state._replace(allowed=self._allowed(tape, state, hit_BP, begins))

    def _allowed(self, tape: Tape, state: AutomatonState, hit_BP: jax.Array, begins: jax.Array) -> jax.Array:
        """bool [B, P]: the positions after those in `hit`, and the beginnings of the units that may follow them."""
        layout = self.layout
        position_P = jnp.arange(hit_BP.shape[1])
        symbols_P, later_BP = position_P < layout.types, position_P >= tape.text[:, None]
        opened, may_end = hit_BP[:, layout.open[1] - 1], state.boundary >= 0
        goes_on_BP = jnp.pad((hit_BP & ~tape.unit_end)[:, :-1], ((0, 0), (1, 0)))
        begins_BP = tape.unit_start & jnp.where(later_BP, begins[:, None], opened[:, None])
        in_order_BP = tape.type > state.last_type[:, None]
        types_BP = (goes_on_BP | begins_BP) & ~symbols_P & in_order_BP

        # Another type may follow the one that ended where there is one.
        another = may_end & (state.type + 1 < tape.types)
        allowed_BP: jax.Array = types_BP | with_symbols(
            goes_on_BP & symbols_P, (layout.empty, opened), (layout.another, another), (layout.last, may_end)
        )
        return allowed_BP
