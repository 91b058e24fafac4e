"""Strings back to spans: literal tables, properties, and what the format itself loses on real data."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import SHARED, needs_shared, read, schema_of

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.schema import Entity
from toner_jax.text.align import SourceIndex, align
from toner_jax.text.ids import WordIds
from toner_jax.text.linearize import parse
from toner_jax.text.tokenizers import load_sentencepiece


def find(words, string):
    return SourceIndex(words.split(" ")).find(string)


def spans(words, *strings):
    """Where items of one type end up, and what is dropped."""
    entities, dropped = align([("t", s) for s in strings], SourceIndex(words.split(" ")))
    return [e and (e.start, e.end) for e in entities], dict(dropped)


@pytest.mark.parametrize(
    ("words", "string", "expected"),
    [
        ("Al met Bo", "Bo", [(2, 3)]),
        ("Al met Bo", "met Bo", [(1, 3)]),
        ("Al met Bo", " met  Bo\n", [(1, 3)]),
        ("Al met Al", "Al", [(0, 1), (2, 3)]),
        ("a a a", "a a", [(0, 2), (1, 3)]),
        # Only whole words.
        ("Albert met Al", "Al", [(2, 3)]),
        ("Albert met", "Al", []),
        ("Albert met", "bert", []),
        ("Albert met", "bert met", []),
        ("Al met", "al", []),
        # White space may differ where nothing else fits.
        ("the U.S . army", "U.S.", [(1, 3)]),
        ("the U.S. army", "U.S .", [(1, 2)]),
        ("U.S . or U.S.", "U.S.", [(3, 4)]),
        ("U.S . or U.S.", "U.S .", [(0, 2)]),
        ("ab c a bc", "a b c", [(0, 2), (2, 4)]),
        # What a tokenizer cannot see, and what it spells with a space.
        ("a  b", "a b", [(0, 3)]),
        (" a ", "a", [(1, 2)]),
        ("", "a", []),
        ("", "", []),
        ("a", "", []),
        ("a", " ", []),
        # Brackets, quotes, commas, unknown characters, surrogates.
        ("a ) , ( b", ") , (", [(1, 4)]),
        ("a), (person, b", "a), (person, b", [(0, 3)]),
        ('" a "', '" a "', [(0, 3)]),
        ("⁇a ⁇ x⁇", "⁇", [(1, 2)]),
        ("\ud800 a", "\ud800", [(0, 1)]),
    ],
)
def test_find(words, string, expected):
    assert find(words, string) == expected


def test_find_among_no_words():
    assert SourceIndex([]).find("a") == []
    assert SourceIndex([" ", ""]).find("") == []


def test_a_word_of_several_strings_is_one_word():
    index = SourceIndex(["a b", "c"])  # the surface of `a\u200bb`
    assert index.find("a b") == [(0, 1)]
    assert index.find("a b c") == [(0, 2)]
    assert index.find("b c") == []


def test_match_tells_whether_white_space_agrees():
    index = SourceIndex(["U.S", ".", "army"])
    assert index.match("U.S .") == ([(0, 2)], True)
    assert index.match("U.S.") == ([(0, 2)], False)
    assert index.match("navy") == ([], False)


def test_holds_what_any_found_string_begins_with():
    index = SourceIndex(["U.S", ".", "army"])
    assert index.holds("S . ar")
    assert not index.holds("S . a.")


@pytest.mark.parametrize(
    ("words", "strings", "expected", "dropped"),
    [
        ("Al met Bo", [], [], {}),
        ("Al met Bo", ["Al", "Bo"], [(0, 1), (2, 3)], {}),
        # Repeated mentions, in order.
        ("Al met Al", ["Al", "Al"], [(0, 1), (2, 3)], {}),
        ("Al met Bo and Al", ["Bo", "Al"], [(2, 3), (4, 5)], {}),
        ("Al met Bo and Al", ["Al", "Bo"], [(0, 1), (2, 3)], {}),
        ("Al , Bo , Al , Bo", ["Al", "Bo", "Bo"], [(0, 1), (2, 3), (6, 7)], {}),
        ("Al , Bo , Al , Bo", ["Bo", "Al", "Bo"], [(2, 3), (4, 5), (6, 7)], {}),
        # Once too often.
        ("Al met Bo", ["Al", "Al"], [(0, 1), None], {"duplicate": 1}),
        ("Al met Al", ["Al"] * 4, [(0, 1), (2, 3), None, None], {"duplicate": 2}),
        # Not there.
        ("Al met Bo", ["Zoe", "Bo"], [None, (2, 3)], {"not_in_text": 1}),
        ("Al met Bo", ["", "Al met", "et"], [None, (0, 2), None], {"not_in_text": 2}),
        # Out of order: nothing is lost.
        ("Al met Bo", ["Bo", "Al"], [(2, 3), (0, 1)], {}),
        ("Al met Bo and Cy", ["Bo", "Al", "Cy"], [(2, 3), (0, 1), (4, 5)], {}),
        # Nested mentions follow the one they stand in.
        ("IL-2 gene", ["IL-2 gene", "IL-2"], [(0, 2), (0, 1)], {}),
        ("IL-2 receptor gene", ["IL-2 receptor gene", "IL-2 receptor", "IL-2"], [(0, 3), (0, 2), (0, 1)], {}),
        # With room elsewhere, a string is not taken out of an earlier item.
        ("IL-2 gene and IL-2", ["IL-2 gene", "IL-2"], [(0, 2), (3, 4)], {}),
        ("T cells or B cells or cells", ["T cells", "B cells", "cells"], [(0, 2), (3, 5), (6, 7)], {}),
        # Unless the items after it say so: `gene X` comes after `IL-2`, so `IL-2` is the first.
        (
            "IL-2 gene and gene X of IL-2",
            ["IL-2 gene", "IL-2", "gene X"],
            [(0, 2), (0, 1), (3, 5)],
            {},
        ),
        # Of two mentions of one place in the order, the longer is written first: so `a` is the later one.
        ("a b c a b", ["b c", "a", "a b"], [(1, 3), (0, 1), (3, 5)], {}),
        ("x a y a b", ["x", "a", "a b"], [(0, 1), (1, 2), (3, 5)], {}),
        # An item that is out of order does not mislead the others.
        ("Al , Bo , Al , Cy", ["Bo", "Al", "Cy", "Bo"], [(2, 3), (4, 5), (6, 7), None], {"duplicate": 1}),
        ("Cy , Al , Bo , Al", ["Al", "Bo", "Al", "Cy"], [(2, 3), (4, 5), (6, 7), (0, 1)], {}),
    ],
)
def test_align(words, strings, expected, dropped):
    assert spans(words, *strings) == (expected, dropped)


def test_types_share_an_occurrence_only_where_there_is_no_other():
    source = SourceIndex(["Lima", "beat", "Lima", "."])
    items = [("city", "Lima"), ("team", "Lima"), ("person", "Lima")]
    assert align(items, source) == (
        [Entity(0, 1, "city"), Entity(2, 3, "team"), Entity(2, 3, "person")],
        Counter(),
    )
    # Another team to come can only be the second, which leaves the first one for this one.
    assert align([*items, ("team", "Lima")], source) == (
        [Entity(0, 1, "city"), Entity(0, 1, "team"), Entity(2, 3, "person"), Entity(2, 3, "team")],
        Counter(),
    )


def test_words_without_a_piece_lie_inside_a_span_but_not_at_its_ends():
    index = SourceIndex(["", "a", "", "b", ""])
    assert index.find("a b") == [(1, 4)]


def test_a_thousand_mentions_among_ten_thousand_words():
    words = ["a", "b", "c", "d", "e"] * 2000
    strings = ["b c", "a"] * 500
    entities, dropped = align([("t", s) for s in strings], SourceIndex(words))
    assert not dropped
    # Each `a` is the next one, and the items stay in order.
    assert [(e.start, e.end) for e in entities[:4]] == [(1, 3), (5, 6), (6, 8), (10, 11)]
    assert (entities[-1].start, entities[-1].end) == (2500, 2501)


ANY = st.characters(exclude_categories=())
WORD = st.one_of(st.text(ANY, max_size=4), st.sampled_from(["a", "b", "ab", "⁇", "", " ", "\u200b"]))


@given(
    st.lists(WORD, max_size=8),
    st.lists(st.tuples(st.sampled_from("tu"), st.text(ANY, max_size=6)), max_size=5),
)
@settings(max_examples=300, deadline=None)
def test_neither_find_nor_align_ever_raises(words, items):
    source = SourceIndex(words)
    runs = [("t", " ".join(words[i : i + 2])) for i in range(len(words))]
    entities, dropped = align([*items, *runs], source)
    assert len(entities) == len(items) + len(runs)
    assert entities.count(None) == dropped.total()
    assert dropped.keys() <= {"not_in_text", "duplicate"}


@given(st.lists(WORD, max_size=8), st.data())
@settings(max_examples=300, deadline=None)
def test_the_words_of_every_found_span_spell_the_string(words, data):
    run = st.integers(0, max(len(words) - 1, 0)).map(lambda i: " ".join(words[i : i + 3]))
    string = data.draw(st.one_of(run, st.text(ANY, max_size=4)))

    def packed(text):
        return "".join(text.split())

    source = SourceIndex(words)
    found = source.find(string)
    assert found == sorted(set(found))
    for a, b in found:
        assert packed("".join(words[a:b])) == packed(string) != ""
        assert words[a].split()
        assert words[b - 1].split()
    # A run of words is always found, at its own place among others.
    for i in range(len(words)):
        for j in range(i + 1, len(words) + 1):
            if words[i].split() and words[j - 1].split():
                assert (i, j) in source.find(" ".join(words[i:j]))


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=10), st.data())
@settings(max_examples=400, deadline=None)
def test_no_span_is_used_twice_and_items_stay_in_order_where_they_can(words, data):
    spans_of_words = st.tuples(st.integers(0, len(words) - 1), st.integers(1, 3))
    drawn = data.draw(st.lists(st.tuples(spans_of_words, st.sampled_from("tu")), max_size=6))
    gold = sorted(
        {Entity(i, min(i + n, len(words)), name) for (i, n), name in drawn},
        key=lambda e: (e.start, -e.end, e.type),
    )
    items = [(e.type, " ".join(words[e.start : e.end])) for e in gold]
    entities, dropped = align(items, SourceIndex(words))
    # Gold's own spans are one way to place all items in order, so there is one.
    assert not dropped
    assert len(set(entities)) == len(gold)
    places = [(e.start, -e.end) for e in entities]
    assert places == sorted(places)


def ceiling(folder, file):
    """Gold entities, and those that keep their spans when written and read back."""
    t5 = WordIds(load_sentencepiece(folder / "t5_vocab", "hf"))
    sentences, _ = read(folder, file)
    t5.prepare(w for s in sentences for w in s.words)
    total = right = 0
    for s in sentences:
        source = SourceIndex([t5.surface(w) for w in s.words])
        text, _ = t5.spell(t5.items([(e.type, s.words[e.start : e.end]) for e in s.entities]))
        parsed = parse(text, BUILTIN[schema_of(file)].names, source)
        aligned, dropped = align(parsed.items, source)
        assert not parsed.dropped, (file, s.id)
        assert not dropped, (file, s.id)
        total += len(s.entities)
        right += len(set(s.entities) & set(aligned))
    return total, right


def test_alignment_ceiling_of_our_own(own):
    """Lost is the `p21` of which an earlier one is no entity."""
    expected = {
        "wnut17/wnut17train.conll": (19, 19),
        "wnut17/emerging.test.annotated": (10, 10),
        "jnlpba/Genia4EReval1.iob2": (14, 14),
        "genia_nested/genia.dev.iob2": (37, 36),
    }
    assert {file: ceiling(own, file) for file in expected} == expected


# With the i-th mention of a string at its i-th occurrence it would be 1968, 836, 1071, 8544, 4282 and 5429.
@pytest.mark.slow
@needs_shared
def test_alignment_ceiling_of_published_data():
    expected = {
        "wnut17/wnut17train.conll": (1975, 1973),
        "wnut17/emerging.dev.conll": (836, 836),
        "wnut17/emerging.test.annotated": (1079, 1079),
        "jnlpba/Genia4EReval1.iob2": (8662, 8650),
        "genia_nested/genia.dev.iob2": (4337, 4331),
        "genia_nested/genia.test.iob2": (5474, 5466),
    }
    assert {file: ceiling(SHARED, file) for file in expected} == expected
