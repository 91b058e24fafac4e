"""Targets: written, read back whatever they contain, and never a reason to raise."""

from collections import Counter

import pytest
from conftest import SHARED, needs_shared
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.schema import Entity, make_sentence
from toner_jax.text.align import SourceIndex, align
from toner_jax.text.ids import WordIds
from toner_jax.text.linearize import Parsed, linearize, parse, parse_types, sentence_items
from toner_jax.text.tokenizers import load_sentencepiece

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


@pytest.mark.parametrize(
    ("text", "names", "dropped"),
    [
        ("", [], {}),
        ("[]", [], {}),
        ("[ ]", [], {}),
        ("[person]", ["person"], {}),
        (" [person,  work of  art] ", ["person", "work of art"], {}),
        ("[person, ship]", ["person"], {"unknown_type": 1}),
        ("[person, person]", ["person"], {"duplicate": 1}),
        ("[person, , cell_type]", ["person", "cell_type"], {"malformed": 1}),
        ("[person, cell_ty", ["person"], {"truncated": 1}),
        ("[person, cell_type", ["person", "cell_type"], {}),
        ("[person,", ["person"], {"truncated": 1}),
        ("[person] [cell_type]", ["person"], {"malformed": 1}),
        ("person", [], {"malformed": 1}),
    ],
)
def test_parse_types(text, names, dropped):
    parsed = parse_types(text, TYPES)
    assert [name for name, _ in parsed.items] == names
    assert dict(parsed.dropped) == dropped


# Properties.

SPACELESS = st.text(st.characters().filter(lambda c: not c.isspace()), min_size=1, max_size=6)
# Words that look like the format, on purpose.
TRICKY = st.lists(
    st.sampled_from(
        [*"()[],", "),", "(person,", "(protein,", "person", "a", "b", ")]", "x),(location,y", '"']
    ),
    min_size=1,
    max_size=3,
).map("".join)
WORDS = st.one_of(SPACELESS, TRICKY)
SCHEMAS = [*BUILTIN.values(), SCHEMA]


@st.composite
def annotated(draw, words):
    schema = draw(st.sampled_from(SCHEMAS))
    words = draw(st.lists(words, min_size=1, max_size=8))
    spans = st.tuples(st.integers(0, len(words) - 1), st.integers(1, 4), st.sampled_from(schema.names))
    entities = [Entity(a, min(a + n, len(words)), t) for a, n, t in draw(st.lists(spans, max_size=4))]
    return schema, make_sentence("s", words, entities, schema)


def exact_readings(text, names, words):
    """All the lists of items over the words' runs that are written exactly as `text`; by trying."""
    runs = {" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}

    def rest(at):
        for name in names:
            begin = at + len(f"({name}, ")
            if text[at:begin] == f"({name}, ":
                for run in runs:
                    if text.startswith(run, begin):
                        end = begin + len(run)
                        if text[end:] == ")]":
                            yield ((name, run),)
                        elif text.startswith("), ", end):
                            yield from (((name, run), *tail) for tail in rest(end + 3))

    return [()] if text == "[]" else list(rest(1))


@given(annotated(WORDS))
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_linearize_wrote_reads_back(example):
    schema, sentence = example
    items = sentence_items(sentence)
    text = linearize(items)
    readings = exact_readings(text, schema.names, sentence.words)
    assert items in readings
    parsed = parse(text, schema.names, SourceIndex(sentence.words))
    assert not parsed.dropped
    assert parsed.items in readings
    if len(readings) == 1:  # otherwise no reader could know
        assert Counter(parsed.items) == Counter(items)


@given(annotated(SPACELESS))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_strings_that_occur_once_lead_back_to_their_spans(example):
    schema, sentence = example
    items = sentence_items(sentence)
    assume(len(exact_readings(linearize(items), schema.names, sentence.words)) == 1)
    source = SourceIndex(sentence.words)
    parsed = parse(linearize(items), schema.names, source)
    aligned, dropped = align(parsed.items, source)
    assert not dropped
    once = {e for e in sentence.entities if len(source.find(sentence.surface(e))) == 1}
    assert once <= set(aligned)


ANY_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=())),  # surrogates, too
    st.lists(
        st.sampled_from(
            [*"()[], \n", "(person, ", "), (", ")]", "person", "a", "b c", "\ud800", "⁇", "\u200b"]
        )
    ).map("".join),
)


@given(ANY_TEXT, st.lists(ANY_TEXT, max_size=5), st.sampled_from(SCHEMAS))
@settings(max_examples=400, deadline=None)
def test_reading_never_raises(text, words, schema):
    for string in (text, "[" + text, f"[(person, {text}", f"[(person, {text})]"):
        for source in (None, SourceIndex(words)):
            parsed = parse(string, schema.names, source)
            assert isinstance(parsed, Parsed)
            assert all(name in schema.index and entity for name, entity in parsed.items)
            assert all(string[a] == "(" and string[b - 1] == ")" for a, b in parsed.ranges)
            assert all(n > 0 for n in parsed.dropped.values())
        assert {name for name, _ in parse_types(string, schema.names).items} <= set(schema.names)


# Through the ids of a tokenizer.


@pytest.fixture(scope="module")
def t5():
    return WordIds(load_sentencepiece(SHARED / "t5_vocab", "hf"))


@needs_shared
@pytest.mark.parametrize(
    ("words", "entities"),
    [
        ("José Ñ sang", [(0, 2), (1, 2)]),  # unknown pieces at an entity's end
        ("Λ ( Λ ) Λ", [(0, 4), (0, 1), (1, 4), (4, 5)]),
        ("½ a½ ½b a½b", [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]),
        ("… ™ ﬁne", [(0, 3), (0, 1), (1, 2), (2, 3)]),
        ("</s> <pad> [SEP]", [(0, 1), (0, 3), (1, 2), (2, 3)]),
        ("中文 ` ~ ^", [(0, 1), (0, 4), (3, 4)]),
        ("a\u200bb \u200b c", [(0, 1), (0, 3), (2, 3)]),
        ("x), (person, y", [(0, 3), (1, 3)]),
        ("\ud800 a\udfff", [(0, 1), (0, 2), (1, 2)]),
    ],
)
def test_entities_survive_their_ids(t5, words, entities):
    words = words.split(" ")
    source = SourceIndex([t5.surface(w) for w in words])
    for chosen in (*([e] for e in entities), entities):
        text, _ = t5.spell(t5.items([("person", words[a:b]) for a, b in chosen]))
        parsed = parse(text, TYPES, source)
        assert [string for _, string in parsed.items] == [
            " ".join(" ".join(t5.surface(w) for w in words[a:b]).split()) for a, b in chosen
        ]
        assert not parsed.dropped
        for (a, b), (_, string) in zip(chosen, parsed.items, strict=True):
            assert (a, b) in source.find(string)


@needs_shared
def test_an_entity_without_a_piece_is_lost_and_counted(t5):
    words = ["a", "\u200b", "b"]
    source = SourceIndex([t5.surface(w) for w in words])
    text, _ = t5.spell(t5.items([("person", ["\u200b"]), ("person", ["b"])]))
    assert text == " [(person,), (person, b)]"
    assert parse(text, TYPES, source) == Parsed((("person", "b"),), ((13, 24),), Counter(malformed=1))


@needs_shared
def test_all_generated_targets_survive_the_real_vocabulary(t5):
    for s in generate(0, {"train": 1000})["train"]:
        source = SourceIndex([t5.surface(w) for w in s.words])
        text, _ = t5.spell(t5.items([(e.type, s.words[e.start : e.end]) for e in s.entities]))
        assert parse(text, SCHEMA.names, source).items == sentence_items(s)
