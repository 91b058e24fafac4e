"""The baselines against hand-made tables and exhaustive searches."""

import itertools
import random
from dataclasses import replace

import pytest

from toner_jax.evaluation.baselines import memorised_mentions, type_prior
from toner_jax.evaluation.scoring import type_counts
from toner_jax.schema import Entity, EntityType, Schema, make_sentence
from toner_jax.text.words import Reading, sentence_from_text

SCHEMA = Schema("test", tuple(EntityType(name) for name in ("person", "location", "work_of_art")))
P, L, W = SCHEMA.names


def sentence(text, *entities):
    return make_sentence("s", text.split(), [Entity(*e) for e in entities], SCHEMA)


def typed(*types):
    """A sentence with one one-word entity of each type."""
    return sentence("w " * max(1, len(types)), *((i, i + 1, name) for i, name in enumerate(types)))


# --- memorised mentions

TRAIN = [
    sentence("New York is big", (0, 2, L)),
    sentence("New York Times and York", (0, 3, W), (4, 5, P)),
    sentence("Jordan met Jordan", (0, 1, L), (2, 3, P)),
    sentence("Paris , Paris , Paris", (0, 1, P), (2, 3, L), (4, 5, L)),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("the New York Times", [(1, 4, W)], id="longest first"),
        pytest.param("New York times", [(0, 2, L)], id="the longest does not match"),
        pytest.param("New Jersey", [], id="only a first word matches"),
        pytest.param("I saw New York", [(2, 4, L)], id="ends with the sentence"),
        pytest.param("I saw New", [], id="cut off by the sentence's end"),
        pytest.param("New York York New York", [(0, 2, L), (2, 3, P), (3, 5, L)], id="side by side"),
        pytest.param("PARIS paris", [], id="case counts"),
        pytest.param("Paris", [(0, 1, L)], id="most frequent type"),
        pytest.param("Jordan", [(0, 1, L)], id="tie: the type seen first"),
        pytest.param("", [], id="no words"),
    ],
)
def test_memorised_mentions(text, expected):
    assert memorised_mentions(TRAIN, [sentence(text)]) == [tuple(Entity(*e) for e in expected)]


def test_memorised_mentions_take_the_leftmost_of_overlapping_matches():
    train = [sentence("a b", (0, 2, P)), sentence("b c d", (0, 3, L))]
    assert memorised_mentions(train, [sentence("a b c d")]) == [(Entity(0, 2, P),)]


def test_memorised_mentions_learn_nested_strings_but_find_flat_ones():
    train = [sentence("University of Oslo", (0, 3, W), (2, 3, L))]
    found = memorised_mentions(train, [sentence("University of Oslo in Oslo")])
    assert found == [(Entity(0, 3, W), Entity(4, 5, L))]


def test_a_longer_mention_cut_by_the_end_is_not_mistaken_for_a_shorter_one():
    """After x there is no room for "a b c", though what is left, "a b", is a mention too."""
    train = [sentence("a b c", (0, 3, W)), sentence("a b", (0, 2, P))]
    assert memorised_mentions(train, [sentence("x a b")]) == [(Entity(1, 3, P),)]


def test_memorised_mentions_ignore_the_gold_of_what_they_tag():
    assert memorised_mentions([sentence("a b")], [sentence("a", (0, 1, P)), sentence("b")]) == [(), ()]
    assert memorised_mentions([], []) == []


def test_memorised_mentions_equal_an_exhaustive_search():
    rng = random.Random(0)

    def random_sentence():
        length = rng.randint(1, 12)
        starts = [rng.randrange(length) for _ in range(rng.randint(0, 2))]
        entities = [(s, min(length, s + rng.randint(1, 4)), rng.choice(SCHEMA.names)) for s in starts]
        return sentence(" ".join(rng.choices("abc", k=length)), *entities)

    train = [random_sentence() for _ in range(40)]
    test = [random_sentence() for _ in range(200)]
    known = {s.surface(e) for s in train for e in s.entities}

    found = memorised_mentions(train, test)
    for s, entities in zip(test, found, strict=True):
        expected, free_from = [], 0
        for start, end in sorted(
            itertools.combinations(range(len(s.words) + 1), 2), key=lambda span: (span[0], -span[1])
        ):
            if start >= free_from and " ".join(s.words[start:end]) in known:
                expected.append((start, end))
                free_from = end
        assert [(e.start, e.end) for e in entities] == expected
    assert sum(map(len, found)) > 200


# --- the constant T′

# Of 10 training sentences 6 have a location, 3 a person, 1 a work of art.
TYPED_TRAIN = [typed(L)] * 4 + [typed(L, P)] * 2 + [typed(P), typed(W), typed(), typed()]


@pytest.mark.parametrize(
    ("dev", "beta", "expected"),
    [
        # {L}: tp 2 of 2 predicted, 2 true -> 1; {L, P}: 2·2/(4 + 2); all three: 2·2/(6 + 2).
        pytest.param([typed(L), typed(L)], 1.0, (L,), id="one type"),
        # {L}: 2·1/(2 + 4); {L, P}: 2·3/(4 + 4) = 0.75; all three: 2·4/(6 + 4) = 0.8.
        pytest.param([typed(L, P, W), typed(P)], 1.0, (L, P, W), id="all types"),
        # {L}: 2·1/(2 + 3) = 0.4; {L, P}: 2·3/(4 + 3) = 0.857; all three: 2·3/(6 + 3).
        pytest.param([typed(L, P), typed(P)], 1.0, (L, P), id="two types"),
        # {L}: F1 2·3/(4 + 4) = 0.75, F2 0.75; {L, P}: F1 2·4/(8 + 4) = 0.667, F2 5·4/(5·4 + 4) = 0.833.
        pytest.param([typed(L), typed(L), typed(L, P), typed()], 1.0, (L,), id="beta 1"),
        pytest.param([typed(L), typed(L), typed(L, P), typed()], 2.0, (L, P), id="beta 2"),
        # Location is right in no dev sentence, yet the nested choices all begin with it.
        pytest.param([typed(W)], 1.0, (L, P, W), id="the rarest type alone"),
    ],
)
def test_type_prior(dev, beta, expected):
    sentences = [typed(), typed(P), typed(W)]
    assert type_prior(TYPED_TRAIN, dev, sentences, SCHEMA, beta) == [expected] * 3


@pytest.mark.parametrize("dev", [[], [typed(), typed()]], ids=["no sentences", "no entities"])
def test_type_prior_is_the_most_frequent_type_when_dev_cannot_tell(dev):
    assert type_prior(TYPED_TRAIN, dev, [typed()], SCHEMA) == [(L,)]


def test_types_of_equal_share_stand_or_fall_together_in_schema_order():
    train = [typed(W), typed(P), typed(L), typed(L)]
    assert type_prior(train, [typed(W)], [typed()], SCHEMA) == [(L, P, W)]
    assert type_prior([], [typed(P)], [typed()], SCHEMA) == [(P, L, W)]


def test_type_prior_counts_sentences_not_mentions():
    train = [typed(P, P, P, P), typed(L), typed(L)]
    assert type_prior(train, [], [typed()], SCHEMA) == [(L,)]


def test_type_prior_leaves_a_type_that_training_lacks_to_dev():
    train = [typed(L)] * 3 + [typed(P)]
    assert type_prior(train, [typed(L), typed(P)], [typed()], SCHEMA) == [(L, P)]
    assert type_prior(train, [typed(L, W), typed(P, W)], [typed()], SCHEMA) == [(L, P, W)]


def test_type_prior_is_the_best_of_all_thresholds():
    rng = random.Random(1)

    def draw(n):
        odds = {P: 0.5, L: 0.3, W: 0.1}
        return [typed(*(name for name in SCHEMA.names if rng.random() < odds[name])) for _ in range(n)]

    for _ in range(50):
        train, dev = draw(20), draw(20)
        beta = rng.choice([0.5, 1.0, 2.0])
        (chosen,) = set(type_prior(train, dev, dev, SCHEMA, beta))
        score = type_counts(dev, [chosen] * 20).f_beta(beta)
        share = {name: sum(name in s.types() for s in train) / 20 for name in SCHEMA.names}
        for threshold in [i / 40 for i in range(41)]:
            types = [name for name in SCHEMA.names if share[name] >= threshold]
            assert score >= type_counts(dev, [types] * 20).f_beta(beta)
        assert min(share[name] for name in chosen) > max(
            (share[name] for name in SCHEMA.names if name not in chosen), default=-1
        )


def test_it_does_not_matter_how_a_file_divides_its_words():
    """Raw text is read at atoms, a column file as its words: what is the same text is the same mention."""

    def as_atoms(text, *entities):
        return replace(sentence_from_text("0", text, Reading("atoms")), entities=entities)

    raw = as_atoms("IL-2 binds.", Entity(0, 3, P))
    assert len(raw.words) == 5
    assert memorised_mentions([raw], [sentence("the IL-2 gene and IL-21")]) == [(Entity(1, 2, P),)]
    again = as_atoms("an IL-2-like one")
    assert memorised_mentions([sentence("IL-2", (0, 1, P))], [again]) == [(Entity(1, 4, P),)]
