"""Scores against hand-computed tables, against seqeval, and against each other."""

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

from toner_jax.evaluation.scoring import (
    Counts,
    error_classes,
    evaluate,
    false_types_on_empty,
    per_type_counts,
    seen_unseen,
    strict_counts,
    toner_compatible_counts,
    type_counts,
)
from toner_jax.schema import Entity, EntityType, Schema, make_sentence

SCHEMA = Schema("test", tuple(EntityType(name) for name in ("person", "location", "work_of_art")))
P, L, W = SCHEMA.names


def sentence(text, *entities):
    return make_sentence("s", text.split(), spans(*entities), SCHEMA)


def spans(*entities):
    return tuple(Entity(*e) for e in entities)


# Two of three predictions are right: "Paris" is called a person, and "Rome" is not found.
GOLD = [
    sentence("Ada Lovelace saw Paris .", (0, 2, P), (3, 4, L)),
    sentence("nothing here"),
    sentence("Rome and Oslo", (0, 1, L), (2, 3, L)),
]
PREDICTED = [spans((0, 2, P), (3, 4, P)), spans(), spans((2, 3, L))]
PAIRS = [[(P, "Ada Lovelace"), (P, "Paris")], [], [(L, "Oslo")]]


# --- Counts


@pytest.mark.parametrize(
    ("counts", "precision", "recall", "f1", "f2"),
    [
        (Counts(6, 2, 4), 0.75, 0.6, 2 / 3, 0.625),  # 12/18; 30/(30 + 16 + 2)
        (Counts(1, 3, 0), 0.25, 1.0, 0.4, 0.625),
        (Counts(5, 0, 0), 1.0, 1.0, 1.0, 1.0),
        (Counts(0, 3, 0), 0.0, 0.0, 0.0, 0.0),
        (Counts(0, 0, 3), 0.0, 0.0, 0.0, 0.0),
        (Counts(), 0.0, 0.0, 0.0, 0.0),
    ],
)
def test_counts_give_precision_recall_and_f(counts, precision, recall, f1, f2):
    assert counts.precision == pytest.approx(precision, abs=1e-15)
    assert counts.recall == pytest.approx(recall, abs=1e-15)
    assert counts.f1 == pytest.approx(f1, abs=1e-15)
    assert counts.f_beta(2) == pytest.approx(f2, abs=1e-15)


def test_f_beta_runs_from_precision_to_recall():
    counts = Counts(6, 2, 4)
    assert counts.f_beta(0) == counts.precision
    assert counts.f_beta(1e6) == pytest.approx(counts.recall)
    assert counts.f_beta(0.5) == pytest.approx(1.25 * 0.75 * 0.6 / (0.25 * 0.75 + 0.6))


def test_counts_add_up_and_go_to_json():
    total = Counts(1, 0, 2) + Counts(2, 1, 1)
    assert total == Counts(3, 1, 3)
    assert total.to_json() == {"precision": 0.75, "recall": 0.5, "f1": 0.6, "tp": 3, "fp": 1, "fn": 3}


# --- strict spans


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        pytest.param([], [], Counts(0, 0, 0), id="both empty"),
        pytest.param([(0, 1, P)], [], Counts(0, 0, 1), id="no prediction"),
        pytest.param([], [(0, 1, P)], Counts(0, 1, 0), id="no gold"),
        pytest.param([(0, 2, P)], [(0, 2, P)], Counts(1, 0, 0), id="exact"),
        pytest.param([(0, 2, P)], [(0, 2, L)], Counts(0, 1, 1), id="type differs"),
        pytest.param([(0, 2, P)], [(0, 1, P)], Counts(0, 1, 1), id="end differs"),
        pytest.param([(0, 2, P)], [(1, 2, P)], Counts(0, 1, 1), id="start differs"),
        pytest.param([(0, 1, P)], [(0, 1, P), (0, 1, P)], Counts(1, 0, 0), id="right one repeated"),
        pytest.param([(0, 1, P)], [(1, 2, P), (1, 2, P)], Counts(0, 1, 1), id="wrong one repeated"),
        pytest.param(
            [(0, 4, W), (0, 1, P), (2, 4, L)], [(2, 4, L), (0, 4, W), (0, 2, P)], Counts(2, 1, 1), id="nested"
        ),
        pytest.param([(0, 2, P), (0, 2, L)], [(0, 2, L)], Counts(1, 0, 1), id="one span, two types"),
    ],
)
def test_strict_counts(gold, predicted, expected):
    assert strict_counts([sentence("a b c d", *gold)], [spans(*predicted)]) == expected


def test_strict_counts_sum_over_sentences_and_do_not_mix_them():
    assert strict_counts(GOLD, PREDICTED) == Counts(2, 1, 2)
    # The right spans in the wrong sentences are all wrong.
    assert strict_counts(GOLD, [PREDICTED[1], PREDICTED[2], PREDICTED[0]]) == Counts(0, 3, 4)
    assert strict_counts([], []) == Counts()


def test_per_type_counts_are_in_schema_order_and_hold_absent_types():
    counts = per_type_counts(GOLD, PREDICTED, SCHEMA)
    assert list(counts.items()) == [(P, Counts(1, 1, 0)), (L, Counts(1, 0, 2)), (W, Counts(0, 0, 0))]


def test_per_type_counts_refuse_a_type_outside_the_schema():
    with pytest.raises(ValueError, match=r"types \['ship'\] are not in schema 'test'"):
        per_type_counts([sentence("a b")], [spans((0, 1, "ship"))], SCHEMA)


# --- unique (type, string) pairs


@pytest.mark.parametrize(
    ("text", "gold", "pairs", "expected"),
    [
        pytest.param(
            "Oslo , Oslo", [(0, 1, L), (2, 3, L)], [(L, "Oslo")], Counts(1, 0, 0), id="twice in gold"
        ),
        pytest.param(
            "Oslo , Oslo", [(0, 1, L)], [(L, "Oslo"), (L, "Oslo")], Counts(1, 0, 0), id="twice written"
        ),
        pytest.param("Oslo , Oslo", [(0, 1, L), (2, 3, P)], [(L, "Oslo")], Counts(1, 0, 1), id="type counts"),
        pytest.param("New York", [(0, 2, L)], [(L, " New \t York ")], Counts(1, 0, 0), id="white space"),
        pytest.param("New York", [(0, 2, L)], [(L, "new york")], Counts(0, 1, 1), id="case counts"),
        pytest.param("New York", [(0, 2, L)], [(L, "Boston")], Counts(0, 1, 1), id="string not in the text"),
        pytest.param("New York", [], [], Counts(0, 0, 0), id="both empty"),
        pytest.param("New York", [(0, 2, L), (1, 2, L)], [(L, "York")], Counts(1, 0, 1), id="nested"),
    ],
)
def test_toner_compatible_counts(text, gold, pairs, expected):
    assert toner_compatible_counts([sentence(text, *gold)], [pairs]) == expected


def test_toner_compatible_pairs_are_unique_per_sentence_not_overall():
    gold = [sentence("Oslo", (0, 1, L)), sentence("Oslo", (0, 1, L))]
    assert toner_compatible_counts(gold, [[(L, "Oslo")], iter([(L, "Oslo")])]) == Counts(2, 0, 0)


# --- T′


def test_type_counts():
    #          person, location | none        | location
    predicted = [[P, L, W], [W], []]
    assert type_counts(GOLD, predicted) == Counts(2, 2, 1)
    assert type_counts(GOLD, [(P, P), (), iter((L,))]) == Counts(2, 0, 1)


@pytest.mark.parametrize(
    ("predicted", "with_false_types", "mean"),
    [
        ([[P], [], [], []], 0, 0.0),
        ([[], [P, L], [L], []], 1, 1.0),
        ([[], [P], [], [P, L, L, W]], 2, 2.0),
    ],
)
def test_false_types_on_empty(predicted, with_false_types, mean):
    gold = [*GOLD, sentence("nor here")]
    expected = {"sentences": 2, "with_false_types": with_false_types, "mean_false_types": mean}
    assert false_types_on_empty(gold, predicted) == expected


def test_false_types_without_empty_sentences():
    expected = {"sentences": 0, "with_false_types": 0, "mean_false_types": 0.0}
    assert false_types_on_empty([GOLD[0]], [[W]]) == expected


# --- seen and unseen strings


def test_seen_unseen():
    gold = [sentence("Ada saw New York and Oslo", (0, 1, P), (2, 4, L), (5, 6, L))]
    # "York" is neither gold nor seen; "Ada" is right; "Oslo" has the wrong type; "New York" is not found.
    predicted = [spans((0, 1, P), (3, 4, L), (5, 6, P))]
    counts = seen_unseen(gold, predicted, {"Ada", "New York", "Rome"})
    assert counts == {"seen": Counts(1, 0, 1), "unseen": Counts(0, 2, 1)}
    assert counts["seen"].recall == 0.5


def test_seen_unseen_names_both_parts_even_when_empty():
    assert seen_unseen(GOLD, PREDICTED, set()) == {"seen": Counts(), "unseen": Counts(2, 1, 2)}
    assert seen_unseen([], [], {"Oslo"}) == {"seen": Counts(), "unseen": Counts()}


# --- kinds of errors


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        pytest.param([(0, 2, P)], [(0, 2, P)], {}, id="right"),
        pytest.param([(0, 2, P)], [(0, 1, P)], {"boundary": 1}, id="boundary"),
        pytest.param([(0, 2, P)], [(0, 2, L)], {"type": 1}, id="type"),
        pytest.param([(0, 2, P)], [(1, 3, L)], {"boundary_and_type": 1}, id="boundary and type"),
        pytest.param([(0, 2, P)], [(0, 3, L)], {"boundary_and_type": 1}, id="same start, other end and type"),
        pytest.param([(0, 2, P)], [(1, 2, L)], {"boundary_and_type": 1}, id="same end, other start and type"),
        pytest.param([], [(0, 2, P)], {"spurious": 1}, id="spurious"),
        pytest.param([(0, 2, P)], [], {"missed": 1}, id="missed"),
        pytest.param([(0, 2, P)], [(2, 4, P)], {"spurious": 1, "missed": 1}, id="adjacent is no overlap"),
        pytest.param([(0, 2, P)], [(0, 1, P), (0, 1, P)], {"boundary": 1}, id="repeated"),
        # An exact match accounts for its gold entity, so what lies inside it is on its own.
        pytest.param([(0, 4, W)], [(0, 4, W), (1, 2, L)], {"spurious": 1}, id="inside an exact match"),
        pytest.param([(0, 4, W), (1, 2, L)], [(0, 4, W)], {"missed": 1}, id="missed inside an exact match"),
        pytest.param([(0, 4, W), (1, 2, L)], [(0, 4, W), (1, 2, P)], {"type": 1}, id="nested type"),
        # One for one: a split entity leaves a prediction over, a merged one leaves a gold entity over.
        pytest.param([(0, 4, P)], [(0, 1, P), (2, 4, P)], {"boundary": 1, "spurious": 1}, id="split"),
        pytest.param([(0, 1, P), (2, 4, P)], [(0, 4, P)], {"boundary": 1, "missed": 1}, id="merged"),
        # The kinds are paired in order, whatever the overlap.
        pytest.param(
            [(0, 2, P), (1, 4, L)], [(1, 4, P)], {"boundary": 1, "missed": 1}, id="boundary before type"
        ),
        pytest.param([(0, 1, L), (0, 4, W)], [(0, 1, P)], {"type": 1, "missed": 1}, id="type before both"),
        # Within a kind the larger overlap goes first: "b c d" is paired with "a b c d" before "a" can be.
        pytest.param(
            [(0, 4, P), (3, 5, P)],
            [(1, 4, P), (0, 1, P)],
            {"boundary": 1, "spurious": 1, "missed": 1},
            id="larger overlap first",
        ),
        # Equal overlaps go from left to right: "a" takes "a b", which leaves "b c d" for "b".
        pytest.param([(0, 2, P), (1, 4, P)], [(1, 2, P), (0, 1, P)], {"boundary": 2}, id="equal overlaps"),
        pytest.param(
            [(0, 2, P), (2, 3, L), (4, 5, W)],
            [(0, 1, P), (2, 3, W), (5, 6, L)],
            {"boundary": 1, "type": 1, "spurious": 1, "missed": 1},
            id="several",
        ),
    ],
)
def test_error_classes(gold, predicted, expected):
    none = {"boundary": 0, "type": 0, "boundary_and_type": 0, "spurious": 0, "missed": 0}
    errors = error_classes([sentence("a b c d e f", *gold)], [spans(*predicted)])
    assert errors == none | expected
    assert list(errors) == list(none)


def test_error_classes_do_not_pair_across_sentences():
    gold = [sentence("a b", (0, 2, P)), sentence("a b")]
    errors = error_classes(gold, [spans(), spans((0, 1, P))])
    assert (errors["missed"], errors["spurious"], errors["boundary"]) == (1, 1, 0)


# --- the report


def test_evaluate():
    report = evaluate(GOLD, PREDICTED, PAIRS, SCHEMA).to_json()
    strict = {"precision": 2 / 3, "recall": 0.5, "f1": 4 / 7, "tp": 2, "fp": 1, "fn": 2}
    assert report == {
        "sentences": 3,
        "entities": 4,
        "strict": strict,
        "toner_compatible": strict,
        "per_type": {
            P: {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "tp": 1, "fp": 1, "fn": 0, "support": 1},
            L: {"precision": 1.0, "recall": 1 / 3, "f1": 0.5, "tp": 1, "fp": 0, "fn": 2, "support": 3},
            W: {"precision": 0.0, "recall": 0.0, "f1": 0.0, "tp": 0, "fp": 0, "fn": 0, "support": 0},
        },
        "errors": {"boundary": 0, "type": 1, "boundary_and_type": 0, "spurious": 0, "missed": 1},
    }
    assert list(report["per_type"]) == list(SCHEMA.names)
    assert json.loads(json.dumps(report)) == report


def test_evaluate_keeps_the_two_figures_apart():
    """Both mentions of Oslo are wanted by the strict score, one string by the compatible one."""
    gold = [sentence("Oslo , Oslo", (0, 1, L), (2, 3, L))]
    report = evaluate(gold, [spans((0, 1, L))], [[(L, "Oslo")]], SCHEMA).to_json()
    assert (report["strict"]["recall"], report["toner_compatible"]["recall"]) == (0.5, 1.0)


@pytest.mark.parametrize(
    "score",
    [
        lambda short: strict_counts(GOLD, PREDICTED[:short]),
        lambda short: per_type_counts(GOLD, PREDICTED[:short], SCHEMA),
        lambda short: toner_compatible_counts(GOLD, PAIRS[:short]),
        lambda short: type_counts(GOLD, [[P]] * short),
        lambda short: false_types_on_empty(GOLD, [[P]] * short),
        lambda short: seen_unseen(GOLD, PREDICTED[:short], set()),
        lambda short: error_classes(GOLD, PREDICTED[:short]),
        lambda short: evaluate(GOLD, PREDICTED[:short], PAIRS, SCHEMA),
        lambda short: evaluate(GOLD, PREDICTED, PAIRS[:short], SCHEMA),
    ],
)
def test_unequal_lengths_are_refused(score):
    score(3)
    with pytest.raises(ValueError, match="3 gold sentences, but predictions for 2"):
        score(2)


# --- seqeval


def random_flat_entities(rng, length):
    entities, start = [], 0
    while start < length:
        end = min(length, start + rng.randint(1, 3))
        if rng.random() < 0.4:
            entities.append(Entity(start, end, rng.choice(SCHEMA.names)))
        start = end
    return entities


def noisy(rng, entities, length):
    """Predictions as a model makes them: some lost, cut short or mistyped, some invented in between."""
    kept = []
    for e in entities:
        roll = rng.random()
        if roll < 0.15:
            continue
        if roll < 0.3:
            e = Entity(e.start, e.end, rng.choice(SCHEMA.names))
        elif roll < 0.45:
            e = Entity(e.start, max(e.start + 1, e.end - 1), e.type)
        kept.append(e)
    covered = {word for e in kept for word in range(e.start, e.end)}
    free = [word for word in range(length) if word not in covered]
    kept.extend(Entity(w, w + 1, rng.choice(SCHEMA.names)) for w in free if rng.random() < 0.1)
    return tuple(kept)


def iob2(entities, length):
    tags = ["O"] * length
    for e in entities:
        tags[e.start : e.end] = [f"B-{e.type}"] + [f"I-{e.type}"] * (e.end - e.start - 1)
    return tags


@pytest.mark.parametrize("seed", range(3))
def test_strict_scores_equal_seqeval(seed):
    rng = random.Random(seed)
    gold, predicted, gold_tags, predicted_tags = [], [], [], []
    for i in range(400):
        length = rng.randint(1, 15)
        entities = random_flat_entities(rng, length)
        guesses = noisy(rng, entities, length)
        gold.append(make_sentence(str(i), ["w"] * length, entities, SCHEMA))
        predicted.append(guesses)
        gold_tags.append(iob2(entities, length))
        predicted_tags.append(iob2(guesses, length))

    strict = strict_counts(gold, predicted)
    assert min(strict.tp, strict.fp, strict.fn) > 100  # the data exercise all three
    scores = (strict.precision, strict.recall, strict.f1)
    assert scores == pytest.approx(
        precision_recall_fscore_support(gold_tags, predicted_tags, average="micro")[:3], rel=0, abs=1e-12
    )

    per_type = per_type_counts(gold, predicted, SCHEMA)
    by_name = sorted(SCHEMA.names)  # seqeval's order
    columns = precision_recall_fscore_support(gold_tags, predicted_tags, average=None)
    for name, precision, recall, f1, support in zip(by_name, *columns, strict=True):
        counts = per_type[name]
        assert (counts.precision, counts.recall, counts.f1) == pytest.approx(
            (precision, recall, f1), rel=0, abs=1e-12
        )
        assert counts.tp + counts.fn == support


# --- what holds for any data, nested and overlapping spans included

WORDS = "a b c a b"
any_entity = st.builds(
    lambda start, length, type_name: Entity(start, min(5, start + length), type_name),
    st.integers(0, 4),
    st.integers(1, 5),
    st.sampled_from(SCHEMA.names),
)
any_data = st.lists(
    st.tuples(
        st.lists(any_entity, max_size=5).map(lambda es: make_sentence("s", WORDS.split(), es, SCHEMA)),
        st.lists(any_entity, max_size=5),
    ),
    max_size=4,
)


@given(any_data)
def test_parts_sum_to_the_strict_total(data):
    gold, predicted = [s for s, _ in data], [p for _, p in data]
    strict = strict_counts(gold, predicted)
    assert strict.tp + strict.fn == sum(len(s.entities) for s in gold)
    assert strict.tp + strict.fp == sum(len(set(p)) for p in predicted)
    assert sum(per_type_counts(gold, predicted, SCHEMA).values(), Counts()) == strict
    assert sum(seen_unseen(gold, predicted, {"a", "b c", "a b"}).values(), Counts()) == strict


@given(any_data)
def test_error_classes_account_for_every_error_once(data):
    gold, predicted = [s for s, _ in data], [p for _, p in data]
    strict, errors = strict_counts(gold, predicted), error_classes(gold, predicted)
    paired = errors["boundary"] + errors["type"] + errors["boundary_and_type"]
    assert strict.fp == paired + errors["spurious"]
    assert strict.fn == paired + errors["missed"]


@given(any_data, st.randoms(use_true_random=False))
def test_the_order_and_repetition_of_predictions_do_not_matter(data, rng):
    gold, predicted = [s for s, _ in data], [p for _, p in data]
    shuffled = [rng.sample(p * 2, 2 * len(p)) for p in predicted]
    assert strict_counts(gold, shuffled) == strict_counts(gold, predicted)
    assert error_classes(gold, shuffled) == error_classes(gold, predicted)


@given(st.builds(Counts, st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)), st.floats(0.1, 10))
def test_f_beta_is_the_weighted_harmonic_mean(counts, beta):
    p, r = counts.precision, counts.recall
    expected = 0.0 if p + r == 0 else (1 + beta**2) * p * r / (beta**2 * p + r)
    assert math.isclose(counts.f_beta(beta), expected, abs_tol=1e-12)
