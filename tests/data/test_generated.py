"""What the generated corpus promises, counted on its output."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import pytest

from toner_jax.data.corpora import generated
from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.data.corpora.generated_words import EMPTY_TEMPLATES, PATTERNS, SYLLABLES, TEMPLATES, WORDS
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Sentence

TYPES = ("person", "organization", "location", "product", "event", "date")
SIZES = {"train": 3000, "dev": 500, "test": 1000}


@pytest.fixture(scope="module")
def splits() -> dict[str, tuple[Sentence, ...]]:
    return generate(0, SIZES)


@pytest.fixture(scope="module")
def sentences(splits) -> list[Sentence]:
    return [s for split in splits.values() for s in split]


def _mentions(sentences: Sequence[Sentence]) -> Iterator[tuple[str, str]]:
    """(string, type) of every mention."""
    return ((" ".join(s.words[e.start : e.end]), e.type) for s in sentences for e in s.entities)


def _fingerprint(splits: dict[str, tuple[Sentence, ...]]) -> str:
    return hashlib.sha256(repr(splits).encode()).hexdigest()


# Shape.


def test_schema_describes_the_six_types():
    assert SCHEMA.names == TYPES
    assert all(t.description and t.name not in t.description.split() for t in SCHEMA.types)


def test_splits_have_the_sizes_and_the_order_asked_for():
    splits = generate(3, {"test": 4, "train": 7, "dev": 0})
    assert [(name, len(split)) for name, split in splits.items()] == [("test", 4), ("train", 7), ("dev", 0)]
    assert [s.id for s in splits["test"]] == ["test-0", "test-1", "test-2", "test-3"]


@pytest.mark.parametrize("sizes", [{"train": -1}, {"validation": 5}])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(UserError, match=next(iter(sizes))):
        generate(0, sizes)


def test_words_and_spans_are_well_formed(sentences):
    for s in sentences:
        assert 5 <= len(s.words) <= 28, s.text
        assert all(re.fullmatch(r"[!-~]+", word) for word in s.words), s.text
        assert s.text == " ".join(s.words)
        assert s.text[0] in '"0123456789' or s.text[0].isupper(), s.text
        assert len(set(s.entities)) == len(s.entities)
        for e in s.entities:
            assert e.type in TYPES
            assert 0 <= e.start < e.end <= len(s.words)
            assert s.words[e.start] not in {",", ".", "(", ")", "&"}, s.surface(e)
            assert s.words[e.end - 1] not in {",", ".", "(", "&"}, s.surface(e)


def test_mentions_nest_but_never_cross(sentences):
    for s in sentences:
        for a, b in itertools.combinations(s.entities, 2):
            assert a.end <= b.start or b.end <= a.end, s.text


# The grammar.


def test_templates_are_many_and_distinct():
    assert len(set(TEMPLATES)) == len(TEMPLATES) >= 60
    assert len(set(EMPTY_TEMPLATES)) == len(EMPTY_TEMPLATES) >= 10
    assert all("{" in t for t in TEMPLATES)
    assert not any("{" in t for t in EMPTY_TEMPLATES)


def test_every_part_is_defined_once_and_used():
    defined = [*WORDS, *PATTERNS, *generated._COINED]
    text = " ".join((*TEMPLATES, *EMPTY_TEMPLATES, *(p for table in PATTERNS.values() for p in table)))
    used = set(re.findall(r"<(\w+)", text)) | set(re.findall(r"{(\w+)[/}]", text))
    assert len(set(defined)) == len(defined)
    assert used == set(defined)


def test_syllables():
    assert 80 <= len(SYLLABLES) == len(set(SYLLABLES)) <= 120
    assert all(re.fullmatch("[a-z]{2,3}", s) for s in SYLLABLES)


def test_coined_words_have_four_to_nine_letters():
    coiner = generated._Coiner(generated.Random(0), ("Kareth",))
    words = [draw() for draw in (coiner.word, coiner.family, coiner.town) for _ in range(2000)]
    assert all(re.fullmatch("[A-Z][a-z]{3,8}", word) for word in words)
    assert len(set(words)) > 3000


def test_parse():
    Part, Mention = generated._Part, generated._Mention
    assert generated._parse("{person/a} met a <role> .") == (
        Mention("person", (Part("person", "a"),)),
        "met",
        "a",
        Part("role", ""),
        ".",
    )
    assert generated._parse("{event:{location:<place/b>} ( Open )}") == (
        Mention("event", (Mention("location", (Part("place", "b"),)), "(", "Open", ")")),
    )


@pytest.mark.parametrize("pattern", ["{person:<full>", "<full> }"])
def test_unbalanced_patterns_are_refused(pattern):
    with pytest.raises((ValueError, IndexError)):
        generated._parse(pattern)


def test_a_tag_repeats_its_words_and_their_mentions():
    coiner = generated._Coiner(generated.Random(0), ("Kareth",))
    draft = generated._Draft()
    body = "{organization:<school/a>} and {organization:<school/a>} and {organization:<school>}"
    draft.write(generated._parse(body), coiner)
    first, second, third = " ".join(draft.words).split(" and ")
    assert first == second != third
    shift = len(first.split()) + 1
    half = [e for e in draft.entities if e.end < shift]
    assert len(half) == 2  # the school and the name that it carries
    assert [Entity(e.start + shift, e.end + shift, e.type) for e in half] == [
        e for e in draft.entities if shift <= e.start < 2 * shift - 1
    ]


@pytest.mark.parametrize(
    ("words", "corrected"),
    [
        ("a old bridge", "An old bridge"),
        ("she saw a engine and a car .", "She saw an engine and a car ."),
        ('" we saw a book , "', '" we saw a book , "'),
    ],
)
def test_articles_and_capitals(words, corrected):
    found = words.split()
    generated._correct(found)
    assert found == corrected.split()


# What occurs.


def test_every_type_occurs_in_every_split(splits):
    for split in splits.values():
        counts = Counter(kind for _, kind in _mentions(split))
        assert set(counts) == set(TYPES)
        assert min(counts.values()) >= 0.04 * sum(counts.values())


def test_share_of_sentences_without_mentions(splits):
    for name in ("train", "test"):
        empty = sum(not s.entities for s in splits[name])
        assert 0.10 <= empty / len(splits[name]) <= 0.15


def test_nested_mentions_occur(splits):
    pairs = Counter(
        (outer.type, inner.type)
        for s in splits["test"]
        for outer in s.entities
        for inner in s.entities
        if outer != inner and outer.start <= inner.start and inner.end <= outer.end
    )
    assert pairs["organization", "location"] >= 30
    assert pairs["organization", "person"] >= 10
    assert pairs["event", "location"] >= 30
    assert pairs["event", "organization"] >= 10
    assert pairs["event", "date"] >= 5


def test_repeated_mentions_occur(splits):
    repeated = [s for s in splits["test"] if len({s.surface(e) for e in s.entities}) < len(s.entities)]
    assert len(repeated) >= 40


def test_adjacent_mentions_occur(splits):
    adjacent = [s for s in splits["test"] if any(a.end == b.start for a in s.entities for b in s.entities)]
    assert len(adjacent) >= 30


def test_punctuation_inside_mentions_occurs(splits):
    inside = Counter(
        (kind, symbol) for string, kind in _mentions(splits["train"]) for symbol in set(string.split())
    )
    for kind, symbol in [
        ("product", "("),
        ("organization", "("),
        ("location", ")"),
        ("organization", "&"),
        ("organization", ","),
        ("person", '"'),
        ("person", ","),
        ("event", '"'),
        ("event", ","),
        ("date", ","),
    ]:
        assert inside[kind, symbol] >= 5, (kind, symbol)
    assert sum(bool(re.match(r"[A-Z]\. [A-Z]\. [A-Z]", m)) for m, _ in _mentions(splits["train"])) >= 20


def test_the_same_string_can_have_several_types(splits):
    kinds = defaultdict(set)
    for string, kind in _mentions(splits["train"]):
        kinds[string].add(kind)
    assert sum(len(k) >= 2 for k in kinds.values()) >= 100
    assert sum(len(k) >= 3 for k in kinds.values()) >= 30


def test_months_weekdays_and_years_are_always_dates(sentences):
    dated = re.compile(r"(?:1[89]|20)\d\ds?|[A-Z][a-z]+day|" + "|".join(WORDS["month"]))
    found = 0
    for s in sentences:
        inside = {i for e in s.entities if e.type == "date" for i in range(e.start, e.end)}
        at = {i for i, word in enumerate(s.words) if dated.fullmatch(word)}
        assert at <= inside, s.text
        found += len(at)
    assert found >= 1000


def test_titles_stay_outside_persons(sentences):
    titles = set(WORDS["title"])
    persons = [m.split() for m, kind in _mentions(sentences) if kind == "person"]
    assert not any(titles & set(words) for words in persons)
    assert sum(titles & set(s.words) != set() for s in sentences) >= 300


def test_ordinary_vocabulary_is_moderate(sentences):
    ordinary = {
        word
        for s in sentences
        for i, word in enumerate(s.words)
        if not any(e.start <= i < e.end for e in s.entities)
    }
    assert 300 <= len(ordinary) <= 520


# Novelty.


def _memorised_f1(train: Sequence[Sentence], test: Sequence[Sentence]) -> float:
    """Strict span F1 of looking up the longest training mention from left to right."""
    types: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for s in train:
        for e in s.entities:
            types[s.words[e.start : e.end]][e.type] += 1
    longest = max(map(len, types))
    correct = predicted = 0
    for s in test:
        gold = {(e.start, e.end, e.type) for e in s.entities}
        start = 0
        while start < len(s.words):
            ends = range(min(start + longest, len(s.words)), start, -1)
            end = next((end for end in ends if s.words[start:end] in types), None)
            if end is None:
                start += 1
                continue
            (kind, _), *_ = types[s.words[start:end]].most_common(1)
            correct += (start, end, kind) in gold
            predicted += 1
            start = end
    return 2 * correct / (predicted + sum(len(s.entities) for s in test))


def test_the_memoriser_knows_its_training_set(splits):
    """Guards the baseline itself: nested mentions are all that a lookup cannot return."""
    assert _memorised_f1(splits["train"], splits["train"]) > 0.75


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("size", [3000, pytest.param(40_000, marks=pytest.mark.slow)])
def test_held_out_names_are_mostly_new(seed, size):
    splits = generate(seed, {"train": size, "dev": 500, "test": 1000})
    known = {string for string, _ in _mentions(splits["train"])}
    known_words = {word for s in splits["train"] for word in s.words}
    for name in ("dev", "test"):
        strings = [string for string, _ in _mentions(splits[name])]
        new = [string for string in strings if string not in known]
        assert len(new) >= 0.5 * len(strings)
        recombined = sum(known_words.issuperset(string.split()) for string in new)
        assert 0.15 <= recombined / len(new) <= 0.7  # the others hold a word that training never shows
        assert _memorised_f1(splits["train"], splits[name]) < 0.5


# Determinism.


def test_sentences_are_distinct_within_and_across_splits(sentences):
    assert len({s.words for s in sentences}) == len(sentences) == sum(SIZES.values())


def test_a_split_depends_on_its_own_size_alone(splits):
    other = generate(0, {"test": 1000, "train": 100})
    assert other["test"] == splits["test"]
    assert other["train"] == splits["train"][:100]


def test_seeds_differ(splits):
    other = generate(1, SIZES)
    shared = {s.text for s in splits["test"]} & {s.text for s in other["test"]}
    assert len(shared) <= 10


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_another_process_generates_the_same(hash_seed):
    program = (
        "import hashlib; from toner_jax.data.corpora.generated import generate;"
        "splits = generate(7, {'train': 300, 'dev': 50});"
        "print(hashlib.sha256(repr(splits).encode()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == _fingerprint(generate(7, {"train": 300, "dev": 50}))
