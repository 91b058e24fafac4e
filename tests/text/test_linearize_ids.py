"""Targets through the ids of a tokenizer and back."""

from collections import Counter

import pytest

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.text.align import SourceIndex
from toner_jax.text.ids import WordIds
from toner_jax.text.linearize import Parsed, parse, sentence_items
from toner_jax.text.tokenizers import load_sentencepiece

TYPES = ("person", "organization", "cell_type", "work of art")


@pytest.fixture(scope="module")
def t5(shared):
    return WordIds(load_sentencepiece(shared / "t5_vocab", "hf"))


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


def test_an_entity_without_a_piece_is_lost_and_counted(t5):
    words = ["a", "\u200b", "b"]
    source = SourceIndex([t5.surface(w) for w in words])
    text, _ = t5.spell(t5.items([("person", ["\u200b"]), ("person", ["b"])]))
    assert text == " [(person,), (person, b)]"
    assert parse(text, TYPES, source) == Parsed((("person", "b"),), ((13, 24),), Counter(malformed=1))


def test_all_generated_targets_survive(t5):
    for s in generate(0, {"train": 1000})["train"]:
        source = SourceIndex([t5.surface(w) for w in s.words])
        text, _ = t5.spell(t5.items([(e.type, s.words[e.start : e.end]) for e in s.entities]))
        assert parse(text, SCHEMA.names, source).items == sentence_items(s)
