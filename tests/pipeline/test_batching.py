"""Length buckets, the plan of an epoch, and what ends up in a batch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toner_jax.pipeline.batching import (
    assign,
    choose_lengths,
    choose_shapes,
    collate,
    length_sorted_batches,
    pad_rows,
    plan_epoch,
)
from toner_jax.pipeline.features import Example


def size(example: Example) -> tuple[int, int]:
    return len(example.source), len(example.target)


def lengths(examples: Sequence[Example]) -> np.ndarray:
    return np.array([size(e) for e in examples])


def example(
    source: int, target: int = 3, text: tuple[int, int] = (0, 1), present: tuple[bool, ...] = ()
) -> Example:
    """Sources count up from 10, targets from 50."""
    return Example(
        np.arange(10, 10 + source, dtype=np.int32),
        text,
        np.arange(50, 50 + target, dtype=np.int32),
        np.array(present, bool),
    )


# Lengths.


def padded_total(lengths, buckets) -> int | None:
    """What all lengths cost when each is padded to the least bucket that holds it."""
    if max(lengths) > max(buckets):
        return None
    return sum(min(b for b in buckets if b >= n) for n in lengths)


@settings(max_examples=150, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    buckets=st.integers(1, 4),
    multiple=st.sampled_from([1, 4, 8]),
)
def test_lengths_are_optimal(lengths, buckets, multiple):
    chosen = choose_lengths(lengths, buckets, multiple)
    assert len(chosen) <= buckets
    assert list(chosen) == sorted(set(chosen))
    assert all(n % multiple == 0 for n in chosen)
    candidates = sorted({-(-n // multiple) * multiple for n in lengths})
    totals = [
        padded_total(lengths, choice)
        for k in range(1, min(buckets, len(candidates)) + 1)
        for choice in itertools.combinations(candidates, k)
    ]
    assert padded_total(lengths, chosen) == min(t for t in totals if t is not None)


@pytest.mark.parametrize(
    ("lengths", "buckets", "expected"),
    [
        ([5], 3, (8,)),
        ([8, 9], 2, (8, 16)),
        ([1, 2, 3, 40], 2, (8, 40)),
        ([8] * 9 + [16] + [24] * 9, 2, (8, 24)),  # the one 16 pads by 8 rather than nine 8s
        ([0], 1, (8,)),
    ],
)
def test_lengths(lengths, buckets, expected):
    assert choose_lengths(lengths, buckets) == expected


# Shapes.

SIZES = st.lists(st.tuples(st.integers(1, 90), st.integers(0, 60)), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(sizes=SIZES, max_shapes=st.integers(1, 8))
def test_shapes_cover_every_example(sizes, max_shapes):
    examples = [example(*size) for size in sizes]
    shapes = choose_shapes(lengths(examples), max_shapes)
    assert 1 <= len(shapes) <= max_shapes
    assert len(set(shapes)) == len(shapes)
    for s, t in sizes:
        assert any(a >= s and b >= t for a, b in shapes)
    most = max(s for s, _ in sizes), max(t for _, t in sizes)
    assert any(a >= most[0] and b >= most[1] for a, b in shapes), "no shape holds every example"
    for e in examples:
        s, t = shapes[assign(size(e), shapes)]
        assert s >= len(e.source)
        assert t >= len(e.target)
        fitting = [a + 2 * b for a, b in shapes if a >= len(e.source) and b >= len(e.target)]
        assert s + 2 * t == min(fitting)


def subsets_with_last(values):
    """Every way to choose some of the values, the last one among them."""
    *others, last = values
    for k in range(len(others) + 1):
        for chosen in itertools.combinations(others, k):
            yield (*chosen, last)


def every_cover(sizes):
    """Every way to cut sizes by source into ranges, and each range by target, as shapes; one shape holds every size."""
    largest = max(t for _, t in sizes)
    for sources in subsets_with_last(sorted({s for s, _ in sizes})):
        ranges = []
        for low, high in itertools.pairwise((0, *sources)):
            targets = {t for s, t in sizes if low < s <= high} | ({largest} if high == sources[-1] else set())
            ranges.append([[(high, t) for t in chosen] for chosen in subsets_with_last(sorted(targets))])
        yield from ([*itertools.chain(*ways)] for ways in itertools.product(*ranges))


def range_cost(sizes, weights, shapes) -> float:
    """What sizes cost, each in the shape of its own range of sources."""
    total = 0.0
    for (s, t), weight in zip(sizes, weights, strict=True):
        source = min(a for a, _ in shapes if a >= s)
        total += weight * (source + 2 * min(b for a, b in shapes if a == source and b >= t))
    return total


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=12),
    max_shapes=st.integers(1, 5),
    data=st.data(),
)
def test_shapes_are_the_cheapest(sizes, max_shapes, data):
    weights = data.draw(st.lists(st.sampled_from([0.1, 1.0, 3.0]), min_size=len(sizes), max_size=len(sizes)))
    shapes = choose_shapes(
        lengths([example(*size) for size in sizes]), max_shapes, np.array(weights), multiple=1
    )
    least = min(range_cost(sizes, weights, c) for c in every_cover(sizes) if len(c) <= max_shapes)
    assert range_cost(sizes, weights, shapes) == pytest.approx(least)


def test_shapes_heed_how_often_an_example_is_used():
    examples = [example(60, 30)] * 10 + [example(60, 20)] * 10 + [example(60, 5)] * 20
    assert choose_shapes(lengths(examples), 2) == ((64, 8), (64, 32))
    assert choose_shapes(lengths(examples), 2, np.array([1.0] * 20 + [0.1] * 20)) == ((64, 24), (64, 32))
    never = np.array([0.0] * 10 + [1.0] * 10 + [0.0] * 20)
    assert choose_shapes(lengths(examples), 1, never) == (
        (64, 32),
    )  # it holds those too that no epoch happens to use


def test_shapes_follow_the_data():
    examples = [example(10, 5)] * 50 + [example(60, 5)] * 50 + [example(60, 30)] * 10
    assert choose_shapes(lengths(examples), max_shapes=4) == ((16, 8), (64, 8), (64, 32))


# The plan of an epoch.


def random_plan(seed: int, count: int, batch_size: int, rng_seed: int | None):
    random = np.random.default_rng(seed)
    examples = [example(int(s), int(t)) for s, t in zip(*random.integers(1, 64, (2, count)), strict=True)]
    shapes = choose_shapes(lengths(examples))
    rng = None if rng_seed is None else np.random.default_rng(rng_seed)
    return examples, shapes, plan_epoch([assign(size(e), shapes) for e in examples], shapes, batch_size, rng)


@pytest.mark.parametrize("rng_seed", [None, 0, 1])
@pytest.mark.parametrize(("count", "batch_size"), [(1, 4), (16, 16), (97, 8), (200, 16), (5, 1), (64, 7)])
def test_an_epoch_uses_every_example_once(count, batch_size, rng_seed):
    examples, shapes, plan = random_plan(count, count, batch_size, rng_seed)
    rows = np.concatenate([rows for _, rows in plan])
    assert sorted(rows[rows >= 0].tolist()) == list(range(count))
    assert np.count_nonzero(rows < 0) == -count % batch_size  # as few batches as there can be
    for shape, chosen in plan:
        assert len(chosen) == batch_size
        assert shape in shapes
        assert all(len(examples[i].source) <= shape[0] for i in chosen if i >= 0)
        assert all(len(examples[i].target) <= shape[1] for i in chosen if i >= 0)
    padded = [chosen for _, chosen in plan if (chosen < 0).any()]
    assert len(padded) <= 1
    for chosen in padded:  # real rows first
        assert (np.diff((chosen < 0).astype(int)) >= 0).all()
    if rng_seed is None and padded:
        assert plan[-1][1] is padded[0]


def flat(plan):
    return [(shape, rows.tolist()) for shape, rows in plan]


def test_the_order_depends_on_the_seed_alone():
    first, again, other = (flat(random_plan(0, 150, 8, seed)[2]) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert sorted(shape for shape, _ in first) == sorted(shape for shape, _ in other)


def test_an_epoch_shuffles_examples_and_batches():
    plain = random_plan(0, 600, 8, None)[2]
    shuffled = random_plan(0, 600, 8, 3)[2]
    groups = {tuple(sorted(rows)) for _, rows in plain}
    assert not groups & {tuple(sorted(rows)) for _, rows in shuffled if (rows >= 0).all()}
    assert [shape for shape, _ in plain] != [shape for shape, _ in shuffled]


def test_most_examples_stay_in_their_own_shape():
    examples, shapes, plan = random_plan(0, 400, 8, 0)
    at_home = sum(
        shapes[assign(size(examples[i]), shapes)] == shape
        for shape, rows in plan
        for i in rows.tolist()
        if i >= 0
    )
    assert at_home >= 400 - len(shapes) * 7


def test_shapes_that_no_larger_one_holds_pad_their_own_last_batch():
    shapes = ((8, 16), (16, 8))
    plan = plan_epoch([0, 1, 1], shapes, 2, None)
    assert flat(plan) == [((16, 8), [1, 2]), ((8, 16), [0, -1])]


# Batches.


def test_collate_puts_everything_in_its_place():
    examples = [
        example(3, 2, (1, 3), (True, False)),
        example(4, 1, (0, 4), (False, False)),
        example(2, 3, (1, 1), (True, True)),
    ]
    batch = collate(examples, np.array([2, 0, -1]), (5, 4))
    assert batch.source.tolist() == [[10, 11, 0, 0, 0], [10, 11, 12, 0, 0], [0] * 5]
    assert batch.target.tolist() == [[50, 51, 52, 0], [50, 51, 0, 0], [0] * 4]
    assert batch.pool_mask.tolist() == [[0] * 5, [0, 1, 1, 0, 0], [0] * 5]
    assert batch.present.tolist() == [[1, 1], [1, 0], [0, 0]]
    assert batch.weight.tolist() == [1, 1, 0]
    assert batch.rows.tolist() == [2, 0, -1]
    arrays = batch.arrays()
    assert set(arrays) == {"source", "target", "pool_mask", "present", "weight"}
    assert {k: str(v.dtype) for k, v in arrays.items()} == {
        "source": "int32",
        "target": "int32",
        "pool_mask": "float32",
        "present": "float32",
        "weight": "float32",
    }


def test_collate_pools_over_the_prompt_when_asked():
    examples = [example(3, 2, (1, 2)), example(5, 2, (2, 4))]
    rows = np.array([0, 1, -1])
    assert collate(examples, rows, (5, 2), "text").pool_mask.tolist() == [
        [0, 1, 0, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0],
    ]
    assert collate(examples, rows, (5, 2), "prompt").pool_mask.tolist() == [
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1],
        [0, 0, 0, 0, 0],
    ]


def test_pad_rows():
    padded = pad_rows([np.array([5, 6]), np.array([7])], length=3, batch_size=3)
    assert padded.dtype == np.int32
    assert padded.tolist() == [[5, 6, 0], [7, 0, 0], [0, 0, 0]]


def test_inference_batches_are_sorted_longest_first_and_lose_nothing():
    lengths = [3, 9, 1, 9, 4]
    batches = list(length_sorted_batches(lengths, 2))
    assert [b.tolist() for b in batches] == [[1, 3], [4, 0], [2]]
    assert list(length_sorted_batches([], 2)) == []


def test_shapes_of_long_texts_are_chosen_among_few_lengths():
    rng = np.random.default_rng(0)
    examples = [example(int(s), int(t)) for s, t in rng.integers(1, 4_096, (300, 2))]
    shapes = choose_shapes(lengths(examples))
    assert all(n % 64 == 0 for shape in shapes for n in shape)
    assert len(shapes) == 8
    assert choose_shapes(lengths([example(512, 512), example(500, 500)])) == ((504, 504), (512, 512))
