"""Compiles a `Grammar` into the automaton of constrained decoding."""

from __future__ import annotations

from toner_jax.decoding.automaton import Automaton
from toner_jax.decoding.entity_list import EntityList
from toner_jax.decoding.tape import lay_out
from toner_jax.decoding.type_list import TypeList
from toner_jax.tasks.grammar import Grammar


def compile_grammar(grammar: Grammar) -> Automaton:
    """The automaton of a grammar, over the tapes that `make_tapes` makes of it.

    Raises:
      ValueError: types with a span that are spelled in another way after the first item.
    """
    if not grammar.spans:
        return TypeList(lay_out(grammar))
    if grammar.types != grammar.later_types:
        raise ValueError("a type with a span is spelled the same in every item")
    return EntityList(lay_out(grammar), grammar.flat)
