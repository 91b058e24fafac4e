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


ROOM = 20  # one for all texts, so that one program serves them


def word_pieces(ids: WordIds, words: tuple[str, ...]) -> list[tuple[int, ...]]:
    return [ids.word(w) for w in words]


class Walker:
    """One text's automaton, a token at a time."""

    def __init__(
        self, ids: WordIds, words: tuple[str, ...], types: tuple[str, ...], limit: int, flat: bool = False
    ):
        grammar = entity_list(ids, types, flat=flat)
        made, self.word_index = tape.make_tapes(grammar, [word_pieces(ids, words)], ROOM, limit)
        self.grammar, self.automaton = grammar, compile_grammar(grammar)
        self.layout = self.automaton.layout
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
@pytest.mark.parametrize("limit", [40, 14, 9, 3])
@pytest.mark.parametrize("flat", [False, True], ids=["", "flat"])
def test_allowed_are_the_next_tokens_of_all_outputs(words, limit, flat):
    """With room for any number of items exactly those; where room ends, none that is not."""
    ids = word_ids()
    walker = Walker(ids, words, TYPES, limit, flat)
    every = outputs(ids, words, TYPES, limit, flat)
    following: dict[tuple[int, ...], set[int]] = {}
    for output in every:
        for k in range(len(output)):
            following.setdefault(output[:k], set()).add(output[k])
    budget = 250

    def walk(prefix: tuple[int, ...], state: AutomatonState) -> None:
        nonlocal budget
        budget -= 1
        allowed = walker.tokens(state)
        expected = following.get(prefix, set())
        assert set(allowed) <= expected
        if limit == 40 and len(prefix) < 20:
            assert set(allowed) == expected
        if prefix and prefix[-1] == EOS:
            assert not allowed
            return
        assert allowed  # never stuck
        for token, candidate in allowed.items():
            if budget > 0:
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


@pytest.mark.parametrize("words", [t for t in TEXTS if t], ids=" ".join)
def test_a_limit_leaves_some_entity_wherever_one_fits(words):
    """The least limit at which an output with an item fits is the least at which the automaton allows one."""
    ids = word_ids()
    shortest = min(
        len(o) for o in outputs(ids, words[:1], TYPES, 60) | outputs(ids, words[1:], TYPES, 60) if len(o) > 3
    )
    for limit in (shortest - 1, shortest):
        walker = Walker(ids, words, TYPES, limit)
        opened = walker.take(walker.start, walker.tokens(walker.start)[ids.symbols.open[0]])
        assert (ids.symbols.first_item[0] in walker.tokens(opened)) == (limit >= shortest)


def read(walker: Walker, ids: WordIds, choose) -> tuple[list[int], list[tuple[int, int, int]]]:
    """One output, with the items that the state reports."""
    state, tokens, items = walker.start, [], []
    while allowed := walker.tokens(state):
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
    limit=st.integers(3, 40),
    flat=st.booleans(),
    data=st.data(),
)
def test_any_path_ends_in_an_output_whose_items_are_as_reported(words, limit, flat, data):
    ids = word_ids()
    walker = Walker(ids, words, TYPES, limit, flat)
    tokens, items = read(walker, ids, lambda allowed: data.draw(st.sampled_from(allowed)))
    assert len(tokens) <= limit
    assert tokens[-1] == EOS
    begin = walker.layout.text
    spans = [
        (int(walker.word_index[0][a - begin]), int(walker.word_index[0][b - 1 - begin]) + 1, t)
        for a, b, t in items
    ]
    written = ids.items([(TYPES[t], words[a:b]) for a, b, t in spans])
    assert tuple(tokens[:-1]) == written
    order = [(a, -b, t) for a, b, t in spans]
    assert order == sorted(set(order))
    if flat:
        assert all(b <= c for (_, b, _), (c, _, _) in itertools.pairwise(spans))


def test_words_that_the_tokenizer_cannot_see_are_passed_over():
    ids = word_ids()
    ids._words["\u200b"] = ()
    for words in (("\u200b",), ("a", "\u200b", "b"), ("\u200b", "b")):
        walker = Walker(ids, words, ("cell",), 30)
        seen = [w for w in words if w != "\u200b"]
        for choice in itertools.product((0, -1), repeat=2):
            pick = itertools.cycle(choice)
            tokens, items = read(walker, ids, lambda allowed, pick=pick: allowed[next(pick)])
            assert tokens[-1] == EOS
            for a, b, _ in items:
                first, last = (
                    walker.word_index[0][a - walker.layout.text],
                    walker.word_index[0][b - 1 - walker.layout.text],
                )
                assert words[first] in seen
                assert words[last] in seen
