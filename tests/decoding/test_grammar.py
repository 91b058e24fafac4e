"""The automaton against all outputs there are, written down one by one."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chunks import word_ids
from hypothesis import given, settings
from hypothesis import strategies as st

from toner_jax.decoding import grammar
from toner_jax.text.ids import WordIds

EOS = 1


def outputs(ids: WordIds, words: tuple[str, ...], types: tuple[str, ...], limit: int) -> set[tuple[int, ...]]:
    """Every output of at most `limit` tokens: items by start, longer spans first, then by type, none twice."""
    n = len(words)
    places = [(a, -b, t) for a in range(n) for b in range(a + 1, n + 1) for t in range(len(types))]
    places.sort()
    found: set[tuple[int, ...]] = set()

    def extend(first: int, items: list[tuple[str, tuple[str, ...]]]) -> None:
        output = (*ids.items(items), EOS) if items else (*ids.symbols.open, *ids.symbols.close, EOS)
        if items and len(output) > limit:
            return
        found.add(output)
        for k in range(first, len(places)):
            a, b, t = places[k]
            extend(k + 1, [*items, (types[t], words[a:-b])])

    extend(0, [])
    return {o for o in found if len(o) <= limit}


class Walker:
    """One text's automaton, a token at a time."""

    def __init__(self, ids: WordIds, words: tuple[str, ...], types: tuple[str, ...], limit: int):
        names = sum(len(grammar.type_ids(ids, name)) for name in types)
        self.layout = grammar.make_layout(ids, names)
        length = self.layout.text + 20  # one for all texts, so that one program serves them
        tape, self.places = grammar.make_tapes(ids, self.layout, [words], [types], length, limit)
        self.tape = jax.tree.map(jnp.asarray, tape)
        self.start = grammar.initial(self.tape, self.layout)

    def tokens(self, state: grammar.State) -> dict[int, int]:
        """Token → its slot, of those allowed."""
        slots = np.unique(np.asarray(self.tape.slot)[0][np.asarray(state.allowed)[0]])
        return {int(self.tape.choices[0, s]): int(s) for s in slots}

    def take(self, state: grammar.State, slot: int) -> grammar.State:
        return _advance(self.layout, self.tape, state, jnp.array([slot]))


_advance = jax.jit(grammar.advance, static_argnums=0)

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
def test_allowed_are_the_next_tokens_of_all_outputs(words, limit):
    """With room for any number of items exactly those; where room ends, none that is not."""
    ids = word_ids()
    walker = Walker(ids, words, TYPES, limit)
    every = outputs(ids, words, TYPES, limit)
    following: dict[tuple[int, ...], set[int]] = {}
    for output in every:
        for k in range(len(output)):
            following.setdefault(output[:k], set()).add(output[k])
    budget = 250

    def walk(prefix: tuple[int, ...], state: grammar.State) -> None:
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
        for token, slot in allowed.items():
            if budget > 0:
                walk((*prefix, token), walker.take(state, slot))

    walk((), walker.start)


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
    data=st.data(),
)
def test_any_path_ends_in_an_output_whose_items_are_as_reported(words, limit, data):
    ids = word_ids()
    walker = Walker(ids, words, TYPES, limit)
    tokens, items = read(walker, ids, lambda allowed: data.draw(st.sampled_from(allowed)))
    assert len(tokens) <= limit
    assert tokens[-1] == EOS
    begin = walker.layout.text
    spans = [
        (int(walker.places[0][a - begin]), int(walker.places[0][b - 1 - begin]) + 1, t) for a, b, t in items
    ]
    written = ids.items([(TYPES[t], words[a:b]) for a, b, t in spans])
    assert tuple(tokens[:-1]) == written
    order = [(a, -b, t) for a, b, t in spans]
    assert order == sorted(set(order))


def test_rows_of_a_batch_have_their_own_texts_and_schemas():
    ids = word_ids()
    rows = [(("Ab", "cd"), ("cell", "cell_type")), (("x",), ("gene",)), ((), ("gene", "cell", "virus"))]
    names = max(sum(len(grammar.type_ids(ids, n)) for n in types) for _, types in rows)
    layout = grammar.make_layout(ids, names)
    length = layout.text + 6
    texts, schemas = [r[0] for r in rows], [r[1] for r in rows]
    together, _ = grammar.make_tapes(ids, layout, texts, schemas, length, 30)
    for i, (words, types) in enumerate(rows):
        alone, _ = grammar.make_tapes(ids, layout, [words], [types], length, 30)
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_array_equal(a[i], b[0])


def test_what_does_not_fit_is_refused():
    ids = word_ids()
    layout = grammar.make_layout(ids, 2)
    with pytest.raises(ValueError, match="pieces of type names"):
        grammar.make_tapes(ids, layout, [()], [TYPES], 40, 30)
    layout = grammar.make_layout(ids, 12)
    with pytest.raises(ValueError, match="pieces of text"):
        grammar.make_tapes(ids, layout, [("abcdef",) * 9], [TYPES], layout.text + 5, 30)


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
                    walker.places[0][a - walker.layout.text],
                    walker.places[0][b - 1 - walker.layout.text],
                )
                assert words[first] in seen
                assert words[last] in seen


def test_packing_loses_nothing():
    ids = word_ids()
    layout = grammar.make_layout(ids, sum(len(grammar.type_ids(ids, n)) for n in TYPES))
    tape, _ = grammar.make_tapes(ids, layout, TEXTS, [TYPES] * len(TEXTS), layout.text + 20, 30)
    back = grammar.unpack(grammar.pack(tape))
    for (path, old), new in zip(
        jax.tree_util.tree_leaves_with_path(tape), jax.tree.leaves(back), strict=True
    ):
        assert old.dtype == new.dtype, path
        np.testing.assert_array_equal(old, new, err_msg=str(path))
