"""The forms of output that decoding knows: each an automaton, and what it likely writes next."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from toner_jax.decoding import drafts, grammar, type_list
from toner_jax.decoding.grammar import Layout, State, Tape, first_true, value_at


@dataclass(frozen=True)
class _Form:
    layout: Layout

    @property
    def ends(self) -> tuple[int, int]:
        return self.layout.another[0], self.layout.last[0]

    def initial(self, tape: Tape) -> State:
        return grammar.initial(tape, self.layout)


class EntityList(_Form):
    """`[(type, span), …]`: the NER task, and the list that an explained output begins with."""

    def advance(self, tape: Tape, state: State, slot: jax.Array) -> State:
        return grammar.advance(self.layout, tape, state, slot)

    def propose(self, tape: Tape, state: State) -> jax.Array:
        return drafts.propose(self.layout, tape, state)


class TypeList(_Form):
    """`[type, …]`: the type-recognition task. Nothing is guessed but what is forced."""

    def advance(self, tape: Tape, state: State, slot: jax.Array) -> State:
        return type_list.advance(self.layout, tape, state, slot)

    def propose(self, tape: Tape, state: State) -> jax.Array:
        return value_at(tape.slot, first_true(state.allowed))
