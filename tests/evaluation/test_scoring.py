"""Scores against hand-computed tables."""

import json

import pytest
from hand_made import GOLD, PAIRS, PREDICTED, SCHEMA, L, P, W, sentence, spans

from toner_jax.evaluation.errors import error_classes
from toner_jax.evaluation.scoring import (
    Counts,
    evaluate,
    false_types_on_empty,
    per_type_counts,
    seen_unseen,
    strict_counts,
    toner_compatible_counts,
    type_counts,
)
from toner_jax.schema import Entity, Sentence, Unreachable

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


# --- the report


def test_evaluate():
    report = evaluate(GOLD, PREDICTED, PAIRS, SCHEMA).to_json()
    strict = {"precision": 2 / 3, "recall": 0.5, "f1": 4 / 7, "tp": 2, "fp": 1, "fn": 2}
    assert report == {
        "sentences": 3,
        "entities": 4,
        "unreachable": 0,
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


def test_what_no_words_make_up_is_missed():
    """By hand: one entity found, one in reach and missed, one out of reach, and one false."""
    text = "Ivan took 663mg"
    sentence = Sentence(
        "0", ("Ivan", "took", "663mg"), ((0, 4), (5, 9), (10, 15)), text,
        (Entity(0, 1, P), Entity(1, 2, L)), None, (Unreachable(10, 13, P),),
    )  # fmt: skip
    found = [Entity(0, 1, P), Entity(2, 3, P)]
    scores = evaluate([sentence], [found], [[(P, "Ivan"), (P, "663")]], SCHEMA)
    assert (scores.strict, scores.entities, scores.unreachable) == (Counts(1, 1, 2), 3, 1)
    assert scores.per_type[P] == Counts(1, 1, 1)
    assert scores.toner_compatible == Counts(1, 1, 2)  # though a string of it is found
    # The false one touches the one out of reach: a wrong boundary.
    assert {kind: n for kind, n in scores.errors.items() if n} == {"boundary": 1, "missed": 1}
    other = evaluate([sentence], [[Entity(2, 3, L)]], [[]], SCHEMA)
    assert {kind: n for kind, n in other.errors.items() if n} == {"boundary_and_type": 1, "missed": 2}
    apart = evaluate([sentence], [[Entity(0, 1, L)]], [[]], SCHEMA)
    assert {kind: n for kind, n in apart.errors.items() if n} == {"type": 1, "missed": 2}
    assert seen_unseen([sentence], [found], {"663"})["seen"] == Counts(0, 0, 1)
