"""Sentences as ids, read back with SentencePiece's own decoder."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import sentencepiece

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.errors import UserError
from toner_jax.pipeline.features import (
    TYPE_RECOGNITION,
    Example,
    GeneratorFeatures,
    MatcherFeatures,
)
from toner_jax.schema import Entity, EntityType, Schema, Sentence, make_sentence
from toner_jax.text import prompts
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece, load_wordpiece
from toner_jax.text.train_tokenizers import train_sentencepiece, train_wordpiece

SENTENCES = generate(7, {"train": 500})["train"]
EOS = 1
TYPES = "person, organization, location, product, event, date"
NER = f"List all named entities of type [{TYPES}] Text: "
HELD = "In May Bath ( home of Ann Lee ) met Lee ."  # words that the tokenizer was not trained on, too


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    train_sentencepiece(folder, SENTENCES, SCHEMA, 800)
    train_wordpiece(folder, SENTENCES, SCHEMA, 600)
    return folder


@pytest.fixture(scope="session")
def word_ids(folder) -> WordIds:
    return WordIds(load_sentencepiece(folder, "hf"))


@pytest.fixture(scope="session")
def read(folder):
    """ids → the string they spell, without our code."""
    vocabulary = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    return lambda ids: vocabulary.decode([int(i) for i in ids])


@pytest.fixture
def features(word_ids) -> GeneratorFeatures:
    return GeneratorFeatures(word_ids, SCHEMA)


def held_out() -> Sentence:
    spans = [Entity(6, 8, "person"), Entity(10, 11, "person"), Entity(2, 3, "location"), Entity(1, 2, "date")]
    return make_sentence("held", HELD.split(), spans, SCHEMA)


def test_ner_example(features, read):
    example = features.ner(held_out(), ["date", "person"])
    assert read(example.source) == NER + HELD + " Entities of type [date, person] may exist in text."
    assert read(example.target) == "[(date, May), (location, Bath), (person, Ann Lee), (person, Lee)]"


@pytest.mark.parametrize(
    ("matched", "hint"), [(None, ""), ([], " Entities of type [] may exist in text.")], ids=["off", "none"]
)
def test_the_hint_is_absent_without_matching_and_empty_without_matches(features, read, matched, hint):
    assert read(features.ner(held_out(), matched).source) == NER + HELD + hint


def test_type_recognition_example_lists_the_types_in_schema_order(features, read):
    example = features.type_recognition(held_out())
    assert read(example.source) == f"List all entity types in the text from type [{TYPES}] Text: {HELD}"
    assert read(example.target) == "[person, location, date]"


def test_a_sentence_without_entities(features, read):
    empty = make_sentence("e", ["Nothing", "here"], [], SCHEMA)
    assert read(features.ner(empty, []).target) == "[]"
    assert read(features.type_recognition(empty).target) == "[]"
    assert not features.ner(empty, []).present.any()


@pytest.mark.parametrize("sentence", [*SENTENCES[:40], held_out()], ids=lambda s: s.id)
def test_every_example_is_well_formed(features, word_ids, sentence):
    text = [i for ids in word_ids.tokenizer.encode(list(sentence.words)) for i in ids]
    types = {e.type for e in sentence.entities}
    cases = [
        features.ner(sentence, ["event", "date"]),
        features.ner(sentence, None),
        features.type_recognition(sentence),
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
    np.testing.assert_array_equal(features.source(sentence.words, ["event", "date"]), cases[0].source)
    np.testing.assert_array_equal(features.source(sentence.words, None), cases[1].source)
    np.testing.assert_array_equal(features.source(sentence.words, None, TYPE_RECOGNITION), cases[2].source)


def test_an_empty_text_has_an_empty_range(features, read):
    example = features.ner(make_sentence("e", [], [], SCHEMA), ["person"])
    start, end = example.text_range
    assert start == end
    assert read(example.source[:start]) == NER.rstrip()


def test_features_do_not_depend_on_what_was_seen_before(folder, features):
    fresh = GeneratorFeatures(WordIds(load_sentencepiece(folder, "hf")), SCHEMA)
    fresh.prepare(reversed(SENTENCES))
    for sentence in SENTENCES[:50]:
        for a, b in (
            (features.ner(sentence, ["person"]), fresh.ner(sentence, ["person"])),
            (features.type_recognition(sentence), fresh.type_recognition(sentence)),
        ):
            assert_equal(a, b)


def assert_equal(a: Example, b: Example) -> None:
    for field in dataclasses.fields(Example):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))


# The limits.


class _Spelling:
    """A tokenizer that knows the words of the NER prompt, as one trained on those does, and spells all
    others letter by letter; `glued` lists words that take so many pieces more where no space precedes
    them."""

    pad_id, eos_id, unk_id = 0, EOS, 2
    vocab_size = 100_000
    mark, nothing, letters = 3, 4, 100  # the ids of "▁", of an empty piece, and of U+0000
    known = tuple(
        dict.fromkeys(w for part in (prompts.NER, prompts.TEXT, *prompts.HINT) for w in part.split())
    )

    def __init__(self, **glued: int):
        self._glued = glued

    def encode(self, strings):
        return [self._pieces(s) for s in strings]

    def _pieces(self, string):
        if string in self.known:
            return (10 + self.known.index(string),)
        letters = [self.letters + ord(c) for c in string]
        return (self.mark, *letters, *[self.nothing] * self._glued.get(string[1:], 0))

    def piece(self, id):
        if id >= self.letters:
            return chr(id - self.letters)
        return {self.mark: "▁", self.nothing: ""}.get(id) if id < 10 else "▁" + self.known[id - 10]


def all_inputs(features: GeneratorFeatures) -> list[Example]:
    """Every prompt around an empty text: both tasks, and every order of every subset as T′."""
    names = features.schema.names
    hints = [h for size in range(len(names) + 1) for h in itertools.permutations(names, size)]
    empty = make_sentence("e", [], [], features.schema)
    return [*(features.ner(empty, h) for h in hints), features.type_recognition(empty)]


@pytest.mark.parametrize(
    ("tokenizer", "names"),
    [
        (_Spelling(), ("a", "b", "c")),
        (_Spelling(b=9, c=5), ("a", "b", "c")),  # glued to its bracket, b is the longest to stand first
        (_Spelling(), ("a",)),  # with few types the auxiliary task has the longest prompt
    ],
    ids=["plain", "first", "auxiliary"],
)
def test_the_overhead_is_the_longest_prompts(tokenizer, names):
    features = GeneratorFeatures(WordIds(tokenizer), Schema("s", tuple(map(EntityType, names))))
    assert features.source_overhead() == max(len(e.source) for e in all_inputs(features))


def test_the_overhead_with_trained_pieces(features):
    assert features.source_overhead() == max(len(e.source) for e in all_inputs(features))


@pytest.mark.parametrize("sentence", [*SENTENCES[:5], held_out()], ids=lambda s: s.id)
def test_a_sentence_that_just_fits_is_not_split(word_ids, sentence):
    """The limits count the end of sequence, and a prompt that names every type."""
    free = GeneratorFeatures(word_ids, SCHEMA)
    example = free.ner(sentence, SCHEMA.names)
    source, target = len(example.source), len(example.target)
    assert GeneratorFeatures(word_ids, SCHEMA, source, target).split(sentence) == [sentence]
    assert len(GeneratorFeatures(word_ids, SCHEMA, source - 1, target).split(sentence)) == 2
    if sentence.entities:
        assert len(GeneratorFeatures(word_ids, SCHEMA, source, target - 1).split(sentence)) == 2


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
    features = GeneratorFeatures(word_ids, SCHEMA)
    features = GeneratorFeatures(word_ids, SCHEMA, features.source_overhead() + room, max_target)
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
            for example in (features.ner(part, hint), features.type_recognition(part)):
                assert len(example.source) <= features.max_source
                assert len(example.target) <= features.max_target
    assert tuple(found) == sentence.entities
    assert len({p.id for p in parts}) == len(parts)


def test_split_stops_where_the_parts_fit(word_ids):
    """A sentence a little too long becomes two parts, cut in the middle."""
    words = ["the"] * 20
    unlimited = GeneratorFeatures(word_ids, SCHEMA)
    room = len(word_ids.words(words)) - 1
    features = GeneratorFeatures(word_ids, SCHEMA, unlimited.source_overhead() + room)
    parts = features.split(make_sentence("s", words, [], SCHEMA))
    assert [len(p.words) for p in parts] == [10, 10]


def test_split_cuts_beside_an_entity_rather_than_through_it(word_ids):
    words = ["the"] * 20
    spans = [Entity(4, 12, "event"), Entity(11, 13, "person")]  # one chain of words 4 … 12
    unlimited = GeneratorFeatures(word_ids, SCHEMA)
    room = len(word_ids.words(words)) - 1
    features = GeneratorFeatures(word_ids, SCHEMA, unlimited.source_overhead() + room)
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
    features = GeneratorFeatures(word_ids, SCHEMA, **limits)
    (key, value), *_ = limits.items()
    with pytest.raises(UserError, match=rf"^sentence news-7.*text\.{key}={value}") as caught:
        features.split(make_sentence("news-7", words, spans, SCHEMA))
    assert "\n" not in str(caught.value)


# The matcher's inputs.


def test_matcher_ids(folder):
    tokenizer = load_wordpiece(folder, "hf")
    features = MatcherFeatures(tokenizer)
    words = SENTENCES[0].words
    ids = features.encode(words)
    assert ids.dtype == np.int32
    pieces = [tokenizer.piece(int(i)) for i in ids]
    assert (pieces[0], pieces[-1]) == ("[CLS]", "[SEP]")
    assert "".join(p.removeprefix("##") for p in pieces[1:-1]) == "".join(words).lower()
    assert np.array_equal(MatcherFeatures(tokenizer).encode(words), ids)


def test_matcher_input_is_never_longer_than_its_limit(folder):
    features = MatcherFeatures(load_wordpiece(folder, "hf"), max_length=8)
    long, short = features.encode(["person"] * 30), features.encode(["person"])
    assert len(long) == 8
    assert (long[0], long[-1]) == (short[0], short[-1])


def test_matcher_descriptions_are_the_types_texts_in_schema_order(folder):
    tokenizer = load_wordpiece(folder, "hf")
    rows = MatcherFeatures(tokenizer).descriptions(SCHEMA)
    spelled = ["".join(tokenizer.piece(int(i)).removeprefix("##") for i in row[1:-1]) for row in rows]
    assert spelled == [f"{t.name}:{t.description}".replace(" ", "").lower() for t in SCHEMA.types]
