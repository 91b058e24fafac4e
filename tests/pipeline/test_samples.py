"""The samples of both models over whole trainings, made of lengths alone."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from toner_jax.pipeline.batching import cost
from toner_jax.pipeline.features import Example
from toner_jax.pipeline.samples import GeneratorSamples, MatcherSamples, MatcherTexts, SamplingOptions

SENTENCES, ROWS = 1500, 16


class Lengths:
    """Stands for `GeneratorFeatures`: sentence i gives samples whose ids are all i + 2."""

    tasks, plain = ("main", "auxiliary"), None

    def __init__(self):
        rng = np.random.default_rng(0)
        self.of = np.stack([rng.integers(5, 60, SENTENCES), rng.geometric(0.1, SENTENCES).clip(1, 60)], 1)

    def prepare(self, sentences):
        pass

    def fits(self, sentence):
        return True

    def example(self, task, sentence, matched):
        source, target = self.of[int(sentence.id)]
        if task == "auxiliary":
            target = 1 + target // 8
        ids = int(sentence.id) + 2
        return Example(
            np.full(source, ids, np.int32), (0, 1), np.full(target, ids, np.int32), np.zeros(3, bool)
        )


@cache
def samples(groups: int, own: tuple[bool, ...] | None = None, drawn_once: bool = False) -> GeneratorSamples:
    mine = None if own is None else np.array(own)
    return GeneratorSamples(
        SamplingOptions(seed=3, epochs=2.5, batch_size=ROWS, max_shapes=4, groups=groups, own=mine),
        Lengths(),
        [SimpleNamespace(id=str(i)) for i in range(SENTENCES)],
        None,
        auxiliary_share=0.5,
        drawn_once=drawn_once,
        pool="text",
    )


def test_samples_of_the_auxiliary_task_are_drawn_each_epoch_or_once():
    for once in (False, True):
        drawn = [set(samples(1, drawn_once=once).used(epoch).tolist()) for epoch in range(3)]
        assert all(set(range(SENTENCES)) <= epoch for epoch in drawn)  # those of the main task
        auxiliary = [epoch - set(range(SENTENCES)) for epoch in drawn]
        assert all(0.45 < len(epoch) / SENTENCES < 0.55 for epoch in auxiliary)
        assert (auxiliary[0] == auxiliary[1] == auxiliary[2]) == once
        shared = len(auxiliary[0] & auxiliary[1]) / len(auxiliary[0])
        assert shared == 1 if once else 0.4 < shared < 0.6


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_every_token_of_every_batch_has_a_cell(groups):
    made, computed, needed = samples(groups), 0, 0
    for batch in made.batches(0):
        for side, width, most in zip(("source", "target"), batch.shape, made.rooms[batch.shape], strict=True):
            found, ids = batch.arrays[f"{side}_cells"], batch.arrays[side]
            assert found.shape == (groups, most)
            grids = ids.reshape(groups, -1)
            assert grids.shape[1] == ROWS // groups * width
            for grid, of_group in zip(grids, found, strict=True):
                held = of_group[of_group < len(grid)]
                assert held.tolist() == np.flatnonzero(grid).tolist()
                assert (of_group[len(held) :] == len(grid)).all()
            computed += found.size
            needed += np.count_nonzero(ids)
    assert needed / computed > (0.85 if groups == 1 else 0.8)
    assert len(list(made.batches(0))) == made.steps


def test_no_number_of_groups_changes_what_a_step_learns():
    """Nor by which numbers dropout knows the rows."""

    def numbered(batch):
        arrays = batch.arrays
        return sorted(
            (int(number), row.tolist(), target.tolist(), float(weight))
            for number, row, target, weight in zip(
                arrays["number"], arrays["source"], arrays["target"], arrays["weight"], strict=True
            )
        )

    for one, other in zip(samples(1).batches(0), samples(4).batches(0), strict=True):
        assert one.shape == other.shape
        assert numbered(one) == numbered(other)


def test_an_epoch_uses_every_sentence():
    made = samples(2)
    epoch = zip(made.batches(0), range(made.steps_per_epoch), strict=False)
    counts = np.bincount([row[0] - 2 for batch, _ in epoch for row in batch.arrays["source"] if row[0]])
    # Once as a sample of the main task, and some of them as one of the auxiliary task.
    assert set(counts.tolist()) == {1, 2}
    assert len(counts) == SENTENCES


def test_batches_from_a_step_on_are_those_of_the_whole():
    whole = list(samples(2).batches(0))
    for first in (1, samples(2).steps_per_epoch, len(whole) - 1):
        for one, other in zip(whole[first:], samples(2).batches(first), strict=True):
            assert one.ids == other.ids
            for name in one.arrays:
                np.testing.assert_array_equal(one.arrays[name], other.arrays[name])


@pytest.mark.parametrize("made", [lambda: samples(2), lambda: matched(2)], ids=["generator", "matcher"])
def test_one_of_each_is_what_training_comes_to_first(made):
    whole = list(made().batches(0))
    assert len({batch.shape for batch in whole}) > 1
    for first in (0, 1, len(whole) - 2):
        rest, seen = whole[first:], list(made().one_of_each(first))
        expected = {batch.shape: batch for batch in reversed(rest)}
        assert [batch.shape for batch in seen] == list(dict.fromkeys(batch.shape for batch in rest))
        for batch in seen:
            assert batch.ids == expected[batch.shape].ids
            for name, values in expected[batch.shape].arrays.items():
                np.testing.assert_array_equal(batch.arrays[name], values)
    assert not list(made().one_of_each(len(whole)))


def test_batches_of_a_shape_cost_nearly_the_same():
    totals: dict = {}
    for batch in samples(1).batches(0):
        if batch.arrays["weight"].all():
            a = batch.arrays
            totals.setdefault(batch.shape, []).append(
                cost((np.count_nonzero(a["source"]), np.count_nonzero(a["target"])))
            )
    for found in totals.values():
        assert max(found) < 1.25 * np.mean(found)


# Of the type matching model.


@cache
def matched(groups: int, own: tuple[bool, ...] | None = None) -> MatcherSamples:
    rng = np.random.default_rng(7)
    lengths = 2 + rng.geometric(0.06, SENTENCES)
    texts = MatcherTexts(
        [np.full(n, i + 2, np.int32) for i, n in enumerate(lengths)],
        lengths,
        rng.random((SENTENCES, 3)) < 0.4,
        [str(i) for i in range(SENTENCES)],
    )
    mine = None if own is None else np.array(own)
    return MatcherSamples(SamplingOptions(3, 2.5, ROWS, 4, groups, mine), texts)


@pytest.mark.parametrize("make", [samples, matched])
def test_a_process_fills_its_own_rows_and_knows_of_all(make):
    """Of the rows of others the layout and the lengths, which all processes must agree on."""
    own = tuple(i % 4 == 1 for i in range(ROWS))
    whole, part = make(2), make(2, own)
    assert part.steps == whole.steps
    assert part.rooms == whole.rooms
    of_rows = {"source", "target", "pool_mask", "ids"}
    if make is samples:
        of_rows.add("present")
    for a, b in zip(whole.batches(3), part.batches(3), strict=True):
        assert a.ids == b.ids
        for name, array in a.arrays.items():
            expected = np.where(np.array(own)[:, None], array, 0) if name in of_rows else array
            assert np.array_equal(b.arrays[name], expected), name
        for name, lengths in a.lengths.items():
            assert lengths.tolist() == np.count_nonzero(a.arrays[name], axis=1).tolist()
            assert lengths.tolist() == b.lengths[name].tolist()


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_batches_of_the_matcher(groups):
    made, computed, needed, seen = matched(groups), 0, 0, []
    for step, batch in enumerate(made.batches(0)):
        arrays = batch.arrays
        ids, found, real = arrays["ids"], arrays["ids_cells"], arrays["weight"] > 0
        assert found.shape == (groups, made.rooms[batch.shape][0])
        for grid, of_group in zip(ids.reshape(groups, -1), found, strict=True):
            held = of_group[of_group < len(grid)]
            assert held.tolist() == np.flatnonzero(grid).tolist()
        assert [int(i) + 2 for i in batch.ids] == ids[real, 0].tolist()
        np.testing.assert_array_equal(
            arrays["present"][real], made._texts.present[[int(i) for i in batch.ids]]
        )
        assert not arrays["present"][~real].any()
        assert sorted(arrays["number"].tolist()) == list(range(ROWS))
        seen += batch.ids if step < made.steps_per_epoch else []
        computed, needed = computed + found.size, needed + np.count_nonzero(ids)
    assert sorted(map(int, seen)) == list(range(SENTENCES))
    assert needed / computed > (0.85 if groups == 1 else 0.8)


def test_groups_change_no_batch_of_the_matcher():
    def numbered(batch):
        names = ("number", "ids", "present", "weight")
        return sorted(
            [x.tolist() for x in row] for row in zip(*(batch.arrays[n] for n in names), strict=True)
        )

    for one, other in zip(matched(1).batches(0), matched(4).batches(0), strict=True):
        assert numbered(one) == numbered(other)
    whole = list(matched(2).batches(0))
    for one, other in zip(whole[5:], matched(2).batches(5), strict=True):
        assert one.ids == other.ids
