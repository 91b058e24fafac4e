"""The automaton against all outputs there are, written down one by one."""

from __future__ import annotations

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chunks import word_ids
from hypothesis import given, settings
from hypothesis import strategies as st

from toner_jax.decoding import tape
from toner_jax.decoding.automaton import AutomatonState
from toner_jax.decoding.compile import compile_grammar
from toner_jax.tasks.grammar import Grammar, entity_list
from toner_jax.text.ids import WordIds

EOS = 1


def outputs(
    ids: WordIds, words: tuple[str, ...], types: tuple[str, ...], limit: int, flat: bool = False
) -> set[tuple[int, ...]]:
    """Every output of at most `limit` tokens: items by start, longer spans first, then by type, none twice; where they
    are flat, each begins where the last one has ended."""
    n = len(words)
    places = [(a, -b, t) for a in range(n) for b in range(a + 1, n + 1) for t in range(len(types))]
    places.sort()
    found: set[tuple[int, ...]] = set()

    def extend(first: int, end: int, items: list[tuple[str, tuple[str, ...]]]) -> None:
        output = (*ids.items(items), EOS) if items else (*ids.symbols.open, *ids.symbols.close, EOS)
        if items and len(output) > limit:
            return
        found.add(output)
        for k in range(first, len(places)):
            a, b, t = places[k]
            if a >= end or not flat:
                extend(k + 1, -b, [*items, (types[t], words[a:-b])])

    extend(0, 0, [])
    return {o for o in found if len(o) <= limit}


ROOM = 60  # one for all schemas and texts, so that one program serves them


def word_pieces(ids: WordIds, words: tuple[str, ...]) -> list[tuple[int, ...]]:
    return [ids.word(w) for w in words]


class Walker:
    """One text's automaton, a token at a time."""

    def __init__(self, ids: WordIds, words: tuple[str, ...], types: tuple[str, ...], flat: bool = False):
        grammar = entity_list(ids, types, flat=flat)
        made, self.word_index = tape.make_tapes(grammar, [word_pieces(ids, words)], ROOM)
        self.grammar, self.automaton = grammar, compile_grammar(grammar)
        self.layout, self.text = self.automaton.layout, tape.type_starts(grammar)[-1]
        self.tape = jax.tree.map(jnp.asarray, made)
        self.start = self.automaton.initial(self.tape)

    def tokens(self, state: AutomatonState) -> dict[int, int]:
        """Token → its candidate, of those allowed."""
        found = np.unique(np.asarray(self.tape.candidate)[0][np.asarray(state.allowed)[0]])
        return {int(self.tape.candidates[0, c]): int(c) for c in found}

    def take(self, state: AutomatonState, candidate: int) -> AutomatonState:
        return _advance(self.grammar, self.tape, state, jnp.array([candidate]))


@functools.partial(jax.jit, static_argnums=0)
def _advance(grammar: Grammar, tape, state, candidate):
    return compile_grammar(grammar).advance(tape, state, candidate)


TYPES = ("cell", "cell_type")
TEXTS = [
    (),
    ("Ab",),
    ("Ab", "cd"),
    ("abc", "abcd"),  # a common first piece
    ("Ab", "Ab"),
    ("Ab", "cd", "Ab"),
    ("ab", "abcdef", "ab"),
    ("cell", "),", "("),  # the format's own characters as words
]


@pytest.mark.parametrize("words", TEXTS, ids=" ".join)
@pytest.mark.parametrize("flat", [False, True], ids=["", "flat"])
def test_allowed_are_the_next_tokens_of_all_outputs(words, flat):
    """Exactly those, as far as all outputs were written down: whatever begins with 20 tokens can end within 40."""
    ids = word_ids()
    walker = Walker(ids, words, TYPES, flat)
    every = outputs(ids, words, TYPES, 40, flat)
    following: dict[tuple[int, ...], set[int]] = {}
    for output in every:
        for k in range(len(output)):
            following.setdefault(output[:k], set()).add(output[k])
    budget = 250

    def walk(prefix: tuple[int, ...], state: AutomatonState) -> None:
        nonlocal budget
        budget -= 1
        allowed = walker.tokens(state)
        if len(prefix) < 20:
            assert set(allowed) == following.get(prefix, set())
        if prefix and prefix[-1] == EOS:
            assert not allowed
            return
        assert allowed  # never stuck
        for token, candidate in allowed.items():
            if budget > 0 and len(prefix) < 40:
                walk((*prefix, token), walker.take(state, candidate))

    walk((), walker.start)


def test_flat_outputs_are_fewer():
    """Else the oracle would not tell them apart."""
    ids = word_ids()
    every, flat = (outputs(ids, ("Ab", "cd"), TYPES, 40, f) for f in (False, True))
    assert flat < every
    assert (*ids.items([("cell", ("Ab", "cd"))]), EOS) in flat
    assert (*ids.items([("cell", ("Ab",)), ("cell_type", ("cd",))]), EOS) in flat
    assert (*ids.items([("cell", ("Ab", "cd")), ("cell", ("cd",))]), EOS) in every - flat
    assert (*ids.items([("cell", ("Ab",)), ("cell_type", ("Ab",))]), EOS) in every - flat


def read(walker: Walker, ids: WordIds, choose, budget: int) -> tuple[list[int], list[tuple[int, int, int]]]:
    """One output, at most so many tokens of it, with the items that the state reports."""
    state, tokens, items = walker.start, [], []
    while (allowed := walker.tokens(state)) and len(tokens) < budget:
        token = choose(sorted(allowed))
        before, state = state, walker.take(state, allowed[token])
        tokens.append(token)
        if int(state.items[0]) > int(before.items[0]):
            items.append((int(state.start[0]), int(state.end[0]), int(state.last_type[0])))
    return tokens, items


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(st.sampled_from(["Ab", "abc", "abcd", "x", "),", "(", "cell", ","]), max_size=5).map(
        tuple
    ),
    budget=st.integers(1, 60),
    flat=st.booleans(),
    data=st.data(),
)
def test_of_any_path_cut_anywhere_the_items_are_as_reported(words, budget, flat, data):
    ids = word_ids()
    walker = Walker(ids, words, TYPES, flat)
    tokens, items = read(walker, ids, lambda allowed: data.draw(st.sampled_from(allowed)), budget)
    begin = walker.text
    spans = [
        (int(walker.word_index[0][a - begin]), int(walker.word_index[0][b - 1 - begin]) + 1, t)
        for a, b, t in items
    ]
    written = ids.items([(TYPES[t], words[a:b]) for a, b, t in spans])
    if tokens[-1] == EOS:
        assert tuple(tokens[:-1]) == written
    else:  # the items, and after them no whole one
        assert len(tokens) == budget
        whole = len(written) - len(ids.symbols.last_end + ids.symbols.close) if items else 0
        assert tuple(tokens[:whole]) == written[:whole]
        assert len(tokens) - whole < len(ids.items([(max(TYPES, key=len), words)])) + 2
    order = [(a, -b, t) for a, b, t in spans]
    assert order == sorted(set(order))
    if flat:
        assert all(b <= c for (_, b, _), (c, _, _) in itertools.pairwise(spans))


def test_words_that_the_tokenizer_cannot_see_are_passed_over(monkeypatch):
    ids = word_ids()
    monkeypatch.setattr(ids, "word", lambda word, own=ids.word: () if word == "\u200b" else own(word))
    for words in (("\u200b",), ("a", "\u200b", "b"), ("\u200b", "b")):
        walker = Walker(ids, words, ("cell",))
        seen = [w for w in words if w != "\u200b"]
        for choice in itertools.product((0, -1), repeat=2):
            pick = itertools.cycle(choice)
            tokens, items = read(walker, ids, lambda allowed, pick=pick: allowed[next(pick)], 60)
            assert tokens[-1] == EOS
            for a, b, _ in items:
                first, last = (
                    walker.word_index[0][a - walker.text],
                    walker.word_index[0][b - 1 - walker.text],
                )
                assert words[first] in seen
                assert words[last] in seen
