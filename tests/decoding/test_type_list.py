"""The automaton of the type-recognition task against all outputs there are."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chunks import word_ids

from toner_jax.decoding.compile import compile_grammar
from toner_jax.decoding.tape import make_tapes
from toner_jax.tasks.grammar import type_list

EOS = 1
SCHEMAS = [
    ("cell",),
    ("cell", "cell_type"),  # a common beginning
    ("gene", "cell line", "cell", "cell line type"),  # several words
]


def outputs(ids, names: tuple[str, ...]) -> set[tuple[int, ...]]:
    """Every list of types in the schema's order."""
    chosen = itertools.chain.from_iterable(itertools.combinations(names, n) for n in range(len(names) + 1))
    return {(*ids.type_list(c), EOS) for c in chosen}


@pytest.mark.parametrize("names", SCHEMAS, ids=str)
def test_allowed_are_the_next_tokens_of_all_lists(names):
    ids = word_ids()
    grammar = type_list(ids, names)
    automaton = compile_grammar(grammar)
    tape = jax.tree.map(jnp.asarray, make_tapes(grammar, [()], 40)[0])
    advance = jax.jit(automaton.advance)
    every = outputs(ids, names)
    seen: set[tuple[int, ...]] = set()

    def walk(prefix: tuple[int, ...], state) -> None:
        found = np.unique(np.asarray(tape.candidate)[0][np.asarray(state.allowed)[0]])
        allowed = {int(tape.candidates[0, c]): int(c) for c in found}
        assert set(allowed) == {o[len(prefix)] for o in every if o[: len(prefix)] == prefix and o != prefix}
        if prefix[-1:] == (EOS,):
            seen.add(prefix)
            return
        if allowed:
            assert int(automaton.draft(tape, state)[0]) in allowed.values()
        for token, candidate in allowed.items():
            walk((*prefix, token), advance(tape, state, jnp.array([candidate])))

    walk((), automaton.initial(tape))
    assert seen == every


def test_the_state_tells_which_type_ended_and_how_long_it_was():
    ids, names = word_ids(), ("gene", "cell line")
    grammar = type_list(ids, names)
    automaton = compile_grammar(grammar)
    tape = jax.tree.map(jnp.asarray, make_tapes(grammar, [()], 40)[0])
    state, ends = automaton.initial(tape), []
    for token in (*ids.type_list(names), EOS):
        candidate = int(np.flatnonzero(np.asarray(tape.candidates)[0] == token)[0])
        before, state = int(state.items[0]), automaton.advance(tape, state, jnp.array([candidate]))
        if int(state.items[0]) > before:
            ends.append((int(state.last_type[0]), int(state.start[0]), int(state.end[0])))
    pieces = [len(ids.glued("gene")), len(ids.words(["cell", "line"]))]
    assert ends == [(0, 0, pieces[0]), (1, 0, pieces[1])]
