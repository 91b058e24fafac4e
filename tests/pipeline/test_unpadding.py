"""Which cells hold tokens: rows shared out evenly, room for all of them, and little more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toner_jax.pipeline.batching import plan_epoch
from toner_jax.pipeline.unpadding import MULTIPLE, cells, groups_of, layout_arrays, room, share_out


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_rows_are_shared_out_evenly(data):
    groups, each, batches = (data.draw(st.integers(1, n)) for n in (5, 4, 3))
    sizes = st.lists(st.integers(0, 40), min_size=2 * groups * each, max_size=2 * groups * each)
    lengths = np.array([data.draw(sizes) for _ in range(batches)]).reshape(batches, groups * each, 2)
    order = share_out(lengths, groups)
    assert np.sort(order, axis=1).tolist() == [list(range(groups * each))] * batches
    most = room(lengths, groups)
    for of_batch, chosen in zip(lengths, order, strict=True):
        tokens = of_batch[chosen].reshape(groups, each, 2).sum(1)
        assert (tokens <= most).all()
        # No group has more than its share and the longest row.
        mean = of_batch.sum(0) / groups
        assert ((tokens <= mean + 2 * of_batch.max(0)) | (mean == 0)).all()
    assert all(n % MULTIPLE == 0 for n in most)


def test_long_rows_meet_short_ones():
    lengths = np.array([[(8, 2), (8, 2), (2, 8), (2, 8)]])
    assert room(lengths, 2) == (16, 16)  # 10 and 10, and not 16 and 4
    unfair = np.array([[(8, 8), (8, 8), (1, 1), (1, 1)]])
    (order,) = share_out(unfair, 2)
    assert [unfair[0][order[:2]].sum(), unfair[0][order[2:]].sum()] == [18, 18]


def test_cells_of_rows():
    assert cells(np.array([2, 0, 3, 1]), 3, 2, 5).tolist() == [[0, 1, 6, 6, 6], [0, 1, 2, 3, 6]]
    arrays = layout_arrays(np.array([(2, 1), (0, 0)]), np.array([1, 0]), (3, 2), 1, (8, 8))
    assert arrays["source_cells"].tolist() == [[0, 1] + [6] * 6]
    assert arrays["target_cells"].tolist() == [[0] + [4] * 7]
    assert arrays["number"].tolist() == [1, 0]
    assert {str(a.dtype) for a in arrays.values()} == {"int32"}


@pytest.mark.parametrize(
    ("asked", "groups"),
    [
        ((32, 1, 1, 1), 1),
        ((32, 8, 1, 1), 8),
        ((32, 2, 2, 2), 8),
        ((8, 1, 8, 1), 8),
        ((12, 1, 8, 1), 1),
        ((12, 2, 4, 3), 6),
    ],
)
def test_groups_are_those_of_the_mesh(asked, groups):
    assert groups_of(*asked) == groups


def test_batches_of_strata_have_nearly_the_same_total():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 100, 1000)
    totals = {}
    for strata in (None, sizes):
        plan = plan_epoch(np.zeros(1000, int), ((100, 8),), 16, np.random.default_rng(1), strata)
        rows = np.concatenate([rows for _, rows in plan])
        assert sorted(rows[rows >= 0].tolist()) == list(range(1000))
        totals[strata is None] = [sizes[rows].sum() for _, rows in plan if (rows >= 0).all()]
    assert np.ptp(totals[False]) < np.ptp(totals[True]) / 4
    first, second = (
        plan_epoch(np.zeros(1000, int), ((100, 8),), 16, np.random.default_rng(k), sizes)[0][1]
        for k in (1, 2)
    )
    assert set(first.tolist()) != set(second.tolist())  # strata are shuffled
