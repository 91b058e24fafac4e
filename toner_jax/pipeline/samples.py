"""What both models are trained on: their samples, and the order of the batches over the epochs.

The order depends on (seed, epoch) alone, so the batches from any step on can be made without those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import starmap

import numpy as np

from toner_jax.errors import UserError
from toner_jax.pipeline.batching import (
    HostBatch,
    Shape,
    assign,
    choose_lengths,
    choose_shapes,
    collate,
    cost,
    pad_rows,
    plan_epoch,
    total_steps,
)
from toner_jax.pipeline.examples import TrainingExamples
from toner_jax.pipeline.features import Example, GeneratorFeatures, present_types
from toner_jax.pipeline.matcher_features import MatcherFeatures
from toner_jax.pipeline.unpadding import Room, cells, layout_arrays, room, share_out
from toner_jax.schema import Schema, Sentence

# The streams of random numbers that a run draws from its seed are told apart by a number each.
MATCHER_ORDER, GENERATOR_ORDER, DEV_SAMPLE, AUXILIARY = 1, 2, 3, 4

# A batch before its arrays are made: its shape, and the samples in it, −1 for padding.
PlannedBatch = tuple[Shape, np.ndarray]


@dataclass(frozen=True)
class SamplingOptions:
    """What the configuration says of samples and their order.

    Attributes:
      seed: of the run.
      epochs: need not be whole.
      batch_size: samples of a step, a multiple of what the mesh splits batches into.
      max_shapes: padded shapes, for each of which training compiles a program.
      groups: that the rows of a batch are shared out to (`pipeline.unpadding`), of as many rows each.
      own: bool [batch_size], the rows that this process's devices are given (`parallel.mesh.own_rows`); None for all.
    """

    seed: int
    epochs: float
    batch_size: int
    max_shapes: int
    groups: int = 1
    own: np.ndarray | None = None


class GeneratorSamples:
    """The generator's samples.

    Every sentence gives one sample of the main task an epoch, and with probability `auxiliary_share` one of the
    auxiliary task (§3.4), drawn anew each epoch from (seed, epoch), or once from the seed.

    Attributes:
      examples: those of the main task, and then those of the auxiliary one, of which an epoch uses some.
      lengths: int [N, 2], their source and target tokens.
      shapes: (source, target) lengths of the batches.
      rooms: of each shape, the source and target tokens that a group of a batch has room for.
      added_parts: how many more sentences there are since the long ones were split; `plain`, how many of these the
        plain task stands in for.
      steps: of the whole training; `steps_per_epoch` of the first epoch.
    """

    def __init__(
        self,
        options: SamplingOptions,
        features: GeneratorFeatures,
        train: Sequence[Sentence],
        matched: Sequence[Sequence[str]] | None,
        *,
        auxiliary_share: float,
        drawn_once: bool = False,
        pool: str,
    ):
        """Args:
        matched: T′ of each sentence, or None without type matching.
        auxiliary_share: the share of sentences that also train the auxiliary task, if there is one, each epoch.
        drawn_once: whether these are the same each epoch.
        pool: "text" or "prompt", the tokens of h(x).
        """
        self._options, self._share, self._pool = options, auxiliary_share, pool
        self._drawn_once = drawn_once
        found = TrainingExamples(features, train, matched)
        self.examples: Sequence[Example] = found
        self.added_parts, self.plain = found.added_parts, found.plain
        self._ids, self.lengths = found.ids, found.lengths_N2
        used = np.ones(len(found))
        used[len(found.ids) :] = auxiliary_share
        self.shapes: tuple[Shape, ...] = choose_shapes(self.lengths, options.max_shapes, used)
        self._assignment = np.array([assign((s, t), self.shapes) for s, t in self.lengths.tolist()])
        self._lengths = np.append(self.lengths, [(0, 0)], axis=0)
        self._costs = np.array([cost((s, t)) for s, t in self._lengths])
        epochs = options.epochs
        plans = [self._plan(epoch) for epoch in range(int(np.ceil(epochs)))]
        self.rooms = rooms_of(plans, self.shapes, self._lengths, options.groups)
        lengths = [len(plan) for plan in plans]
        self._ends = np.cumsum(lengths)
        self.steps_per_epoch = lengths[0]
        last = lengths[-1] * (epochs - np.floor(epochs)) if epochs % 1 else lengths[-1]
        self.steps = total_steps(1, sum(lengths[:-1]) + float(last))

    def used(self, epoch: int) -> np.ndarray:
        """Which of the examples an epoch uses, int [N]."""
        return self._drawn(epoch)[1]

    def _drawn(self, epoch: int) -> tuple[np.random.Generator, np.ndarray]:
        """As `used`, with the generator that has drawn them."""
        rng = np.random.default_rng([self._options.seed, GENERATOR_ORDER, epoch])
        count = len(self._ids)
        chosen = np.arange(count)
        if self._share:
            draw = np.random.default_rng([self._options.seed, AUXILIARY]) if self._drawn_once else rng
            also = np.flatnonzero(draw.random(count) < self._share)
            chosen = np.concatenate([chosen, count + also])
        return rng, chosen

    def _plan(self, epoch: int) -> list[PlannedBatch]:
        rng, chosen = self._drawn(epoch)
        size = self._options.batch_size
        plan = plan_epoch(self._assignment[chosen], self.shapes, size, rng, self._costs[chosen])
        return [(shape, np.where(rows < 0, -1, chosen[rows])) for shape, rows in plan]

    def batches(self, first: int) -> Iterator[HostBatch]:
        """The batches from step `first` (0-based) on, as `batching.Batch.arrays` with the cells that hold tokens."""
        return starmap(self._made, self._from(first))

    def one_of_each(self, first: int) -> Iterator[HostBatch]:
        """The first of each shape among `batches(first)`."""
        return starmap(self._made, _of_each(self._from(first), self.shapes))

    def _from(self, first: int) -> Iterator[PlannedBatch]:
        return _from_step(first, self.steps, self._plan, self._ends)

    def _made(self, shape: Shape, planned: np.ndarray) -> HostBatch:
        groups = self._options.groups
        (order,) = share_out(self._lengths[planned][None], groups)
        rows = planned[order]
        arrays = collate(self.examples, rows, shape, self._pool, self._options.own).arrays()
        source, target = self._lengths[rows].T
        arrays |= layout_arrays(self._lengths[rows], order, shape, groups, self.rooms[shape])
        ids = [self._ids[i % len(self._ids)] for i in rows if i >= 0]
        return HostBatch(arrays, ids, shape, {"source": source, "target": target})


def rooms_of(
    plans: Sequence[Sequence[PlannedBatch]], shapes: Sequence[Shape], lengths_N2: np.ndarray, groups: int
) -> dict[Shape, Room]:
    """Of each shape, what all groups of its batches in these epochs have room in.

    Args:
      lengths_N2: of every sample, and last of one that stands for padding.
    """
    rooms = dict.fromkeys(shapes, (0, 0))
    for plan in plans:
        by_shape: dict[Shape, list[np.ndarray]] = {}
        for shape, rows in plan:
            by_shape.setdefault(shape, []).append(rows)
        for shape, chosen in by_shape.items():
            found = room(lengths_N2[chosen], groups)
            rooms[shape] = max(rooms[shape][0], found[0]), max(rooms[shape][1], found[1])
    return rooms


def matcher_sentences(train: Sequence[Sentence], empty: bool) -> list[Sentence]:
    """The sentences that train the type matching model.

    Args:
      empty: whether those without types train, too: Eq. 4 has a term for them only with a null cosine.

    Raises:
      UserError: there is nothing to train on.
    """
    used = [s for s in train if s.gold or empty]
    if not used:
        raise UserError("the training split has no entities: there is nothing to match types with")
    return used


@dataclass(frozen=True)
class MatcherTexts:
    """What the type matching model trains on.

    Attributes:
      rows: int32 ids of each text.
      lengths: int [N], how many.
      present: bool [N, K], the types in each.
      ids: of the sentences.
    """

    rows: Sequence[np.ndarray]
    lengths: np.ndarray
    present: np.ndarray
    ids: Sequence[str]


def matcher_texts(features: MatcherFeatures, sentences: Sequence[Sentence], schema: Schema) -> MatcherTexts:
    """Of sentences that `matcher_sentences` has chosen."""
    rows, lengths = features.encoded([s.words for s in sentences])
    return MatcherTexts(rows, lengths, present_types(sentences, schema), [s.id for s in sentences])


class MatcherSamples:
    """The type matching model's samples, one a sentence.

    Attributes:
      steps: of the whole training; `steps_per_epoch` of every epoch.
      shapes: (source, 0) lengths of the batches.
      rooms: of each shape, the (source, 0) tokens that a group of a batch has room for.
    """

    def __init__(self, options: SamplingOptions, texts: MatcherTexts):
        self._options, self._texts = options, texts
        found = texts.lengths.tolist()
        self._lengths = np.array([(n, 0) for n in found] + [(0, 0)])
        lengths = choose_lengths(found, options.max_shapes)
        self.shapes: tuple[Shape, ...] = tuple((n, 0) for n in lengths)
        self._assignment = [int(np.searchsorted(lengths, n)) for n in found]
        plans = [self._plan(epoch) for epoch in range(int(np.ceil(options.epochs)))]
        self.rooms = rooms_of(plans, self.shapes, self._lengths, options.groups)
        self.steps_per_epoch = len(plans[0])
        self.steps = total_steps(self.steps_per_epoch, options.epochs)

    def _plan(self, epoch: int) -> list[PlannedBatch]:
        rng = np.random.default_rng([self._options.seed, MATCHER_ORDER, epoch])
        return plan_epoch(self._assignment, self.shapes, self._options.batch_size, rng, self._lengths[:-1, 0])

    def batches(self, first: int) -> Iterator[HostBatch]:
        """The batches from step `first` (0-based) on.

        Their arrays are `ids` int32 [B, S], `present` float32 [B, K], `weight` float32 [B], 0 on padded rows, and what
        `toner_jax.models.encoder.Encoder` calls `cells` and `numbers`: `ids_cells` int32 [G, N] and `number` int32 [B].
        """
        return starmap(self._made, self._from(first))

    def one_of_each(self, first: int) -> Iterator[HostBatch]:
        """The first of each shape among `batches(first)`."""
        return starmap(self._made, _of_each(self._from(first), self.shapes))

    def _from(self, first: int) -> Iterator[PlannedBatch]:
        ends = self.steps_per_epoch * np.arange(1, int(np.ceil(self._options.epochs)) + 1)
        return _from_step(first, self.steps, self._plan, ends)

    def _made(self, shape: Shape, planned: np.ndarray) -> HostBatch:
        groups, texts = self._options.groups, self._texts
        (order,) = share_out(self._lengths[planned][None], groups)
        chosen = planned[order]
        real, own = chosen >= 0, self._options.own
        filled = real if own is None else real & own
        rows = [texts.rows[i] if here else _NOTHING for i, here in zip(chosen.tolist(), filled, strict=True)]
        arrays = {
            "ids": pad_rows(rows, shape[0], len(chosen)),
            "present": np.where(real[:, None], texts.present[chosen], False).astype(np.float32),
            "weight": real.astype(np.float32),
            "ids_cells": cells(self._lengths[chosen, 0], shape[0], groups, self.rooms[shape][0]),
            "number": order.astype(np.int32),
        }
        lengths = {"ids": self._lengths[chosen, 0]}
        return HostBatch(arrays, [texts.ids[i] for i in chosen if i >= 0], shape, lengths)


_NOTHING = np.zeros(0, np.int32)


def _from_step(
    first: int, steps: int, plan: Callable[[int], list[PlannedBatch]], ends: np.ndarray
) -> Iterator[PlannedBatch]:
    """The batches of steps `first` … `steps` − 1; `ends` are the steps after which the epochs of `plan` end."""
    epoch = int(np.searchsorted(ends, first, side="right"))
    step = first
    while step < steps:
        begin = int(ends[epoch - 1]) if epoch else 0
        batches = plan(epoch)[step - begin :][: steps - step]
        yield from batches
        step, epoch = step + len(batches), epoch + 1


def _of_each(planned: Iterator[PlannedBatch], shapes: Sequence[Shape]) -> Iterator[PlannedBatch]:
    """The first of each shape."""
    missing = set(shapes)
    while missing and (found := next((p for p in planned if p[0] in missing), None)):
        missing.remove(found[0])
        yield found


def dev_sample(seed: int, count: int, most: int) -> list[int]:
    """Which of dev's `count` sentences stand for all: at most `most` (0: all), drawn by seed."""
    rng = np.random.default_rng([seed, DEV_SAMPLE])
    return sorted(rng.permutation(count)[: most or count].tolist())
