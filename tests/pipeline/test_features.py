"""Sentences as ids, read back with SentencePiece's own decoder."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sentencepiece

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.errors import UserError
from toner_jax.inference.sources import make_source
from toner_jax.pipeline.corpus import generator_corpus
from toner_jax.pipeline.features import Example, GeneratorFeatures
from toner_jax.schema import Entity, Sentence, make_sentence
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.output import Input
from toner_jax.tasks.type_recognition import TypeRecognition
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece
from toner_jax.text.train_tokenizers import train_sentencepiece

SENTENCES = generate(7, {"train": 500})["train"]
EOS = 1
TYPES = "person, organization, location, product, event, date"
NER = f"List all named entities of type [{TYPES}] Text: "
HELD = "In May Bath ( home of Ann Lee ) met Lee ."  # words that the tokenizer was not trained on, too


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    train_sentencepiece(folder, generator_corpus(SENTENCES, SCHEMA), 800)
    return folder


@pytest.fixture(scope="session")
def word_ids(folder) -> WordIds:
    return WordIds(load_sentencepiece(folder, "hf"))


@pytest.fixture(scope="session")
def read(folder):
    """ids → the string they spell, without our code."""
    vocabulary = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    return lambda ids: vocabulary.decode([int(i) for i in ids])


def make_features(word_ids, **limits) -> GeneratorFeatures:
    return GeneratorFeatures([Entities(word_ids, SCHEMA), TypeRecognition(word_ids, SCHEMA)], **limits)


@pytest.fixture
def features(word_ids) -> GeneratorFeatures:
    return make_features(word_ids)


def ner(features: GeneratorFeatures, sentence: Sentence, matched) -> Example:
    return features.example(features.tasks[0], sentence, matched)


def type_recognition(features: GeneratorFeatures, sentence: Sentence) -> Example:
    return features.example(features.tasks[1], sentence, None)


def held_out() -> Sentence:
    spans = [Entity(6, 8, "person"), Entity(10, 11, "person"), Entity(2, 3, "location"), Entity(1, 2, "date")]
    return make_sentence("held", HELD.split(), spans, SCHEMA)


def test_ner_example(features, read):
    example = ner(features, held_out(), ["date", "person"])
    assert read(example.source) == NER + HELD + " Entities of type [date, person] may exist in text."
    assert read(example.target) == "[(date, May), (location, Bath), (person, Ann Lee), (person, Lee)]"


@pytest.mark.parametrize(
    ("matched", "hint"), [(None, ""), ([], " Entities of type [] may exist in text.")], ids=["off", "none"]
)
def test_the_hint_is_absent_without_matching_and_empty_without_matches(features, read, matched, hint):
    assert read(ner(features, held_out(), matched).source) == NER + HELD + hint


def test_type_recognition_example_lists_the_types_in_schema_order(features, read):
    example = type_recognition(features, held_out())
    assert read(example.source) == f"List all entity types in the text from type [{TYPES}] Text: {HELD}"
    assert read(example.target) == "[person, location, date]"


def test_a_sentence_without_entities(features, read):
    empty = make_sentence("e", ["Nothing", "here"], [], SCHEMA)
    assert read(ner(features, empty, []).target) == "[]"
    assert read(type_recognition(features, empty).target) == "[]"
    assert not ner(features, empty, []).present.any()


@pytest.mark.parametrize("sentence", [*SENTENCES[:40], held_out()], ids=lambda s: s.id)
def test_every_example_is_well_formed(features, word_ids, sentence):
    text = [i for ids in word_ids.tokenizer.encode(list(sentence.words)) for i in ids]
    types = {e.type for e in sentence.entities}
    cases = [
        ner(features, sentence, ["event", "date"]),
        ner(features, sentence, None),
        type_recognition(features, sentence),
    ]
    for example in cases:
        start, end = example.text_range
        assert example.source[start:end].tolist() == text
        assert example.source.dtype == example.target.dtype == np.int32
        assert example.source[-1] == EOS
        assert np.count_nonzero(example.source == EOS) == 1
        assert example.target[-1] == EOS
        assert np.count_nonzero(example.target == EOS) == 1
        assert example.present.tolist() == [name in types for name in TYPES.split(", ")]
    entities, types = features.tasks
    for task, matched, example in zip(
        (entities, entities, types), (["event", "date"], None, None), cases, strict=True
    ):
        np.testing.assert_array_equal(make_source(task, Input(sentence.words, matched)).ids, example.source)


def test_an_empty_text_has_an_empty_range(features, read):
    example = ner(features, make_sentence("e", [], [], SCHEMA), ["person"])
    start, end = example.text_range
    assert start == end
    assert read(example.source[:start]) == NER.rstrip()


def test_features_do_not_depend_on_what_was_seen_before(folder, features):
    fresh = make_features(WordIds(load_sentencepiece(folder, "hf")))
    fresh.prepare(reversed(SENTENCES))
    for sentence in SENTENCES[:50]:
        for a, b in (
            (ner(features, sentence, ["person"]), ner(fresh, sentence, ["person"])),
            (type_recognition(features, sentence), type_recognition(fresh, sentence)),
        ):
            assert_equal(a, b)


def assert_equal(a: Example, b: Example) -> None:
    for field in dataclasses.fields(Example):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))


# The limits.


@pytest.mark.parametrize("sentence", [*SENTENCES[:5], held_out()], ids=lambda s: s.id)
def test_a_sentence_that_just_fits_is_not_split(word_ids, sentence):
    """The limits count the end of sequence, and a prompt that names every type."""
    free = make_features(word_ids)
    example = ner(free, sentence, SCHEMA.names)
    source, target = len(example.source), len(example.target)
    assert make_features(word_ids, max_source=source, max_target=target).split(sentence) == [sentence]
    assert len(make_features(word_ids, max_source=source - 1, max_target=target).split(sentence)) == 2
    if sentence.entities:
        assert len(make_features(word_ids, max_source=source, max_target=target - 1).split(sentence)) == 2


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("room", "max_target"), [(24, 512), (512, 40), (30, 45)])
def test_split_loses_nothing_and_every_part_fits(word_ids, seed, room, max_target):
    rng = np.random.default_rng(seed)
    joined = [SENTENCES[i] for i in rng.integers(0, len(SENTENCES), 6)]
    words = [w for s in joined for w in s.words]
    offsets = np.cumsum([0, *(len(s.words) for s in joined)])
    spans = [
        Entity(e.start + at, e.end + at, e.type)
        for s, at in zip(joined, offsets, strict=False)
        for e in s.entities
    ]
    sentence = make_sentence("s", words, spans, SCHEMA)
    overhead = Entities(word_ids, SCHEMA).overhead()
    features = make_features(word_ids, max_source=overhead + room, max_target=max_target)
    parts = features.split(sentence)
    assert len(parts) > 1
    assert tuple(w for p in parts for w in p.words) == sentence.words
    at, found = 0, []
    for part in parts:
        assert len(part.words) == len(part.offsets)
        assert [part.text[a:b] for a, b in part.offsets] == list(part.words)
        found += [Entity(e.start + at, e.end + at, e.type) for e in part.entities]
        at += len(part.words)
        for first in SCHEMA.names:
            hint = (first, *(n for n in SCHEMA.names if n != first))
            for example in (ner(features, part, hint), type_recognition(features, part)):
                assert len(example.source) <= features.max_source
                assert len(example.target) <= features.max_target
    assert tuple(found) == sentence.entities
    assert len({p.id for p in parts}) == len(parts)


def test_split_stops_where_the_parts_fit(word_ids):
    """A sentence a little too long becomes two parts, cut in the middle."""
    words = ["the"] * 20
    overhead = Entities(word_ids, SCHEMA).overhead()
    room = len(word_ids.words(words)) - 1
    features = make_features(word_ids, max_source=overhead + room)
    parts = features.split(make_sentence("s", words, [], SCHEMA))
    assert [len(p.words) for p in parts] == [10, 10]


def test_split_cuts_beside_an_entity_rather_than_through_it(word_ids):
    words = ["the"] * 20
    spans = [Entity(4, 12, "event"), Entity(11, 13, "person")]  # one chain of words 4 … 12
    overhead = Entities(word_ids, SCHEMA).overhead()
    room = len(word_ids.words(words)) - 1
    features = make_features(word_ids, max_source=overhead + room)
    parts = features.split(make_sentence("s", words, spans, SCHEMA))
    assert [(len(p.words), p.entities) for p in parts] == [(13, tuple(spans)), (7, ())]


@pytest.mark.parametrize(
    ("words", "spans", "limits"),
    [
        (["the"] * 60, [Entity(0, 60, "event")], {"max_source": 80}),
        (["the"] * 60, [Entity(0, 60, "event")], {"max_target": 50}),
        (["the"] * 60, [Entity(0, 35, "event"), Entity(30, 60, "event")], {"max_source": 80}),
        (["the", "g" * 200, "the"], [], {"max_source": 80}),
    ],
    ids=["source", "target", "chain", "word"],
)
def test_an_uncuttable_sentence_is_an_error_that_names_it(word_ids, words, spans, limits):
    features = make_features(word_ids, **limits)
    (key, value), *_ = limits.items()
    with pytest.raises(UserError, match=rf"^sentence news-7.*text\.{key}={value}") as caught:
        features.split(make_sentence("news-7", words, spans, SCHEMA))
    assert "\n" not in str(caught.value)
