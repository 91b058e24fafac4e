"""Targets: written, read back whatever they contain, and never a reason to raise."""

from collections import Counter

import pytest

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.schema import Entity, make_sentence
from toner_jax.text.align import SourceIndex
from toner_jax.text.linearize import linearize, parse, sentence_items

TYPES = ("person", "organization", "cell_type", "work of art")


def read(text, words=None):
    """What `parse` finds, as plain values."""
    source = None if words is None else SourceIndex(words.split(" "))
    parsed = parse(text, TYPES, source)
    assert len(parsed.ranges) == len(parsed.items)
    for (a, b), (name, _) in zip(parsed.ranges, parsed.items, strict=True):
        assert (text[a], text[b - 1]) == ("(", ")")
        assert name in " ".join(text[a:b].split())
    return list(parsed.items), dict(parsed.dropped)


# Writing.


def test_linearize():
    assert linearize([]) == "[]"
    assert linearize([("person", "Al")]) == "[(person, Al)]"
    assert (
        linearize([("cell_type", "T cells"), ("person", "Bo (a)")])
        == "[(cell_type, T cells), (person, Bo (a))]"
    )


def test_items_stand_in_order_of_appearance_one_per_mention():
    schema = BUILTIN["jnlpba"]
    sentence = make_sentence(
        "s",
        ["IL-2", "gene", "and", "IL-2", "in", "T", "cells"],
        [Entity(5, 7, "cell_type"), Entity(3, 4, "protein"), Entity(0, 1, "protein"), Entity(0, 2, "dna")],
        schema,
    )
    assert sentence_items(sentence) == (
        ("dna", "IL-2 gene"),
        ("protein", "IL-2"),
        ("protein", "IL-2"),
        ("cell_type", "T cells"),
    )


# Reading what was written in the exact format.


@pytest.mark.parametrize(
    ("words", "entities"),
    [
        ("Al met Bo", ["Al", "Bo"]),
        ("Al met Al", ["Al", "Al"]),
        ("Smith ( Bo ) sang", ["Smith ( Bo )", "Bo"]),
        ("Smith (Bo) sang", ["Smith (Bo)", "(Bo)"]),
        ("the ( ) )", ["( )", ")", ") )", "("]),
        ("the () )) )", ["()", "))", ") )", ")) )"]),
        ("a ) ] b )] c ]", [") ]", ")]", "]", "b )] c ]", "a )"]),
        ("[ a ] [b]", ["[", "[ a ]", "[b]", "]"]),
        ("Yes , No , Maybe,", ["Yes , No , Maybe,", ",", ", No", "No ,"]),
        ("\"Bo\" 'Al' “ Jo ” `` x ''", ['"Bo"', "'Al'", "“ Jo ”", "`` x ''"]),
        ("foo ), (person, bar", ["foo ), (person, bar", "foo", "bar", "), (person,"]),
        ("foo), (person, bar", ["foo), (person, bar", "foo),", "(person, bar"]),
        ("foo), (ship, bar foo", ["foo), (ship, bar", "foo"]),  # no type of the schema's
        ("x),(person,y x y", ["x),(person,y", "x"]),  # nearly the format, but for its spaces
        ("x),(person, y x", ["x),(person, y", "x"]),
        ("x)] y x", ["x)] y", "x)]", "x"]),
        ("(person, Al) [(person, Al)]", ["(person, Al)", "[(person, Al)]", "(person,"]),
        ("Al \u2047 Bo", ["Al \u2047", "\u2047 Bo"]),
        ("\ud800 a\udfffb", ["\ud800", "a\udfffb"]),
    ],
)
@pytest.mark.parametrize("name", ["person", "work of art"])
def test_entities_of_any_characters_survive(words, entities, name):
    for chosen in (*([e] for e in entities), entities, entities[::-1]):
        items = [(name, e) for e in chosen]
        assert read(linearize(items), words) == (items, {})


@pytest.mark.parametrize(
    "entities",
    [
        ["Smith ( Bo )", "Bo"],
        ["Smith (Bo)", ")", "))", "()"],
        ["a ) ]", "]", "[", "b )] c ]", ") )"],
        ["Yes , No , Maybe,", ","],
        ['"Bo"', "'Al'"],
        ["foo ), (person, bar"],
    ],
)
def test_most_of_them_survive_without_the_source_too(entities):
    items = [("person", e) for e in entities]
    assert read(linearize(items)) == (items, {})


def test_without_the_source_a_glued_boundary_ends_the_item():
    assert read("[(person, foo), (person, bar)]") == ([("person", "foo"), ("person", "bar")], {})
    assert read("[(person, foo), (ship, bar)]") == ([("person", "foo")], {"unknown_type": 1})
    assert read("[(person, foo)] bar)]") == ([("person", "foo")], {"malformed": 1})


def test_a_text_with_two_exact_readings_reads_as_more_items():
    text = linearize([("person", "Al), (person, Bo")])
    assert read(text, "Al), (person, Bo") == ([("person", "Al), (person, Bo")], {})
    assert read(text, "Al Al), (person, Bo") == ([("person", "Al"), ("person", "Bo")], {})


def test_ten_thousand_words_and_a_thousand_items():
    words = [f"w{i % 5000}" for i in range(10_000)]
    items = [("person", " ".join(words[i : i + 3])) for i in range(0, 10_000, 10)]
    parsed = parse(linearize(items), TYPES, SourceIndex(words))
    assert parsed.items == tuple(items)
    assert not parsed.dropped


def test_an_entity_of_ten_thousand_words():
    words = [w for i in range(2500) for w in (f"a{i}", ")", f"b{i})]"[: -1 if i % 99 else None], f"(c{i}")]
    words[5000:5002] = ["x),", "(person,", "y)]"]
    items = [("person", " ".join(words)), ("person", "y)]")]
    assert parse(linearize(items), TYPES, SourceIndex(words)).items == tuple(items)


def test_ten_thousand_items_that_the_text_does_not_have():
    text = "[" + "(person, Zoe ), (oops), (ship, (a), " * 3333 + "(person, Al)]"
    parsed = parse(text, TYPES, SourceIndex(["Al", "(person,", "Zoe"] * 300))
    assert parsed.items[-1] == ("person", "Al")
    assert parsed.dropped == Counter(unknown_type=3333, malformed=3333)


# Reading what a model may write.


@pytest.mark.parametrize(
    ("text", "items", "dropped"),
    [
        ("", [], {}),
        ("  \n ", [], {}),
        ("[]", [], {}),
        (" [ ] ", [], {}),
        ("[", [], {}),
        ("none", [], {"malformed": 1}),
        ("(person, Al)", [], {"malformed": 1}),
        ("]", [], {"malformed": 1}),
        ("[person]", [], {"malformed": 1}),
        ("[(person)]", [], {"malformed": 1}),
        ("[(person, )]", [], {"malformed": 1}),
        ("[(person,)]", [], {"malformed": 1}),
        ("[(, Al)]", [], {"unknown_type": 1}),
        ("[(ship, Al)]", [], {"unknown_type": 1}),
        ("[(ship, Al), (person, Bo)]", [("person", "Bo")], {"unknown_type": 1}),
        ("[(person, Bo), (ship, Al)]", [("person", "Bo")], {"unknown_type": 1}),
        ("[(Person, Al)]", [], {"unknown_type": 1}),
        ("[(person, Al), (oops), (person, Bo)]", [("person", "Al"), ("person", "Bo")], {"malformed": 1}),
        ("[oops, (person, Al), (person, Bo)]", [("person", "Bo")], {"malformed": 1}),
        ("[(person, Al)] and more", [("person", "Al")], {"malformed": 1}),
        ("[] and more", [], {"malformed": 1}),
        # The output ended inside an item.
        ("[(person, Al), (person, B", [("person", "Al")], {"truncated": 1}),
        ("[(person, Al), (per", [("person", "Al")], {"truncated": 1}),
        ("[(person, Al), (", [("person", "Al")], {"truncated": 1}),
        ("[(person, Al), (ship, B", [("person", "Al")], {"truncated": 1}),
        ("[(person, Al), (person, Bo)", [("person", "Al")], {"truncated": 1}),
        ("[(person, Al", [], {"truncated": 1}),
        ("[(person", [], {"truncated": 1}),
        # Stray or missing white space.
        ("[( person , Al )]", [("person", "Al")], {}),
        ("  [(person,Al),(person,  Bo) ]  ", [("person", "Al"), ("person", "Bo")], {}),
        ("[(person,\nAl ) , (work  of art, Bo)]", [("person", "Al"), ("work of art", "Bo")], {}),
        ("[(person, Al), ]", [("person", "Al")], {}),
        # Entities that the text does not have are for `align` to drop.
        ("[(person, Zoe), (person, Bo)]", [("person", "Zoe"), ("person", "Bo")], {}),
        ("[(person, Zoe (x), (person, Bo)]", [("person", "Zoe (x"), ("person", "Bo")], {}),
        (
            "[(person, Zoe), (ship, x), (person, Bo)]",
            [("person", "Zoe"), ("person", "Bo")],
            {"unknown_type": 1},
        ),
    ],
)
def test_what_models_write(text, items, dropped):
    assert read(text, "Al met Bo , they say") == (items, dropped)


def test_an_unfit_item_costs_no_other():
    words = "Al (a), (ship, b) met Bo ), (person, Cy"
    good = [("person", "Al (a), (ship, b)"), ("person", "Bo ), (person, Cy"), ("person", "Cy")]
    text = linearize([good[0], ("person", "Zoe"), good[1], ("ship", "Al"), good[2]])
    assert read(text, words) == ([good[0], ("person", "Zoe"), good[1], good[2]], {"unknown_type": 1})


def test_an_entity_may_differ_in_white_space_from_the_words():
    assert read("[(person, U.S.), (person, Al)]", "U.S . and Al") == (
        [("person", "U.S."), ("person", "Al")],
        {},
    )
