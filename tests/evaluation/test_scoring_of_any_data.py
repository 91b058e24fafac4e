"""Scores against seqeval, and against each other, on data that nobody chose."""

import math
import random

import pytest
from hand_made import SCHEMA
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

from toner_jax.evaluation.errors import error_classes
from toner_jax.evaluation.scoring import Counts, per_type_counts, seen_unseen, strict_counts
from toner_jax.schema import Entity, make_sentence

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
