"""From examples of many lengths to batches of few shapes.

Shapes are chosen once per run from the data's own lengths, so that compilation is bounded and little is
padded. The order of batches depends on (seed, epoch) alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toner_jax.pipeline.features import Example

Shape = tuple[int, int]  # (source length, target length)


@dataclass(frozen=True)
class Batch:
    """Arrays of one fixed shape; rows of weight 0 are padding.

    Attributes:
      source, target: int32 [B, S], [B, T], padded with 0.
      pool_mask: float32 [B, S], 1 on the tokens of h(x).
      present: float32 [B, K].
      weight: float32 [B].
      rows: which example each row is, −1 for padding.
    """

    source: np.ndarray
    target: np.ndarray
    pool_mask: np.ndarray
    present: np.ndarray
    weight: np.ndarray
    rows: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """What a device step takes."""
        return {
            "source": self.source,
            "target": self.target,
            "pool_mask": self.pool_mask,
            "present": self.present,
            "weight": self.weight,
        }


def choose_lengths(lengths: Sequence[int] | np.ndarray, buckets: int, multiple: int = 8) -> tuple[int, ...]:
    """At most `buckets` padded lengths, multiples of `multiple`, that cover all `lengths` with the
    least total padding (exact, by dynamic programming over the distinct rounded lengths)."""
    rounded = -(-np.maximum(np.asarray(lengths, int), 1) // multiple) * multiple
    values, counts = np.unique(rounded, return_counts=True)
    n = len(values)
    cumulative = np.concatenate([[0], np.cumsum(counts)])
    best = np.full((buckets + 1, n + 1), np.inf)
    best[:, 0] = 0
    choice = np.zeros((buckets + 1, n + 1), int)
    for k in range(1, buckets + 1):
        for j in range(1, n + 1):
            # One bucket of length values[j-1] holds the values i … j-1.
            cost = best[k - 1, :j] + (cumulative[j] - cumulative[:j]) * values[j - 1]
            choice[k, j] = int(np.argmin(cost))
            best[k, j] = cost[choice[k, j]]
    chosen, j = [], n
    for k in range(buckets, 0, -1):
        if j == 0:
            break
        chosen.append(int(values[j - 1]))
        j = choice[k, j]
    return tuple(sorted(chosen))


def choose_shapes(
    examples: Sequence[Example], max_shapes: int = 8, targets_per_source: int = 2
) -> tuple[Shape, ...]:
    """At most `max_shapes` (source, target) shapes that cover all examples with little padding."""
    sources = np.array([len(e.source) for e in examples])
    targets = np.array([max(len(e.target), 1) for e in examples])
    shapes: list[Shape] = []
    shorter = 0
    targets_per_source = min(targets_per_source, max_shapes)
    for length in choose_lengths(sources, max_shapes // targets_per_source):
        inside = targets[(sources > shorter) & (sources <= length)]
        shapes += [(length, t) for t in choose_lengths(inside, targets_per_source)]
        shorter = length
    # A batch's left-over rows move to a larger shape, so one shape must hold every example.
    largest = (max(s for s, _ in shapes), max(t for _, t in shapes))
    if largest not in shapes:
        shapes[-1] = largest
    return tuple(shapes)


def assign(example: Example, shapes: Sequence[Shape]) -> int:
    """The index of the cheapest shape that holds the example."""
    s, t = len(example.source), len(example.target)
    fitting = [i for i, (a, b) in enumerate(shapes) if a >= s and b >= t]
    return min(fitting, key=lambda i: (shapes[i][0] + shapes[i][1], i))


def plan_epoch(
    assignment: Sequence[int] | np.ndarray,
    shapes: Sequence[Shape],
    batch_size: int,
    rng: np.random.Generator | None,
) -> list[tuple[Shape, np.ndarray]]:
    """Batches of one epoch: each a shape and the examples in it, −1 for padding.

    Examples that do not fill a batch of their shape move to the next larger one that holds them; only
    the last batches are padded. With `rng` the examples within shapes and the batches are shuffled.
    """
    order = np.arange(len(assignment)) if rng is None else rng.permutation(len(assignment))
    queues: list[list[int]] = [[] for _ in shapes]
    for i in order:
        queues[assignment[i]].append(int(i))
    by_size = sorted(range(len(shapes)), key=lambda i: (shapes[i][0] + shapes[i][1], i))
    batches: list[tuple[Shape, np.ndarray]] = []
    for position, i in enumerate(by_size):
        queue = queues[i]
        full = len(queue) - len(queue) % batch_size
        batches += [(shapes[i], np.array(queue[k : k + batch_size])) for k in range(0, full, batch_size)]
        rest = queue[full:]
        larger = next((j for j in by_size[position + 1 :] if _holds(shapes[j], shapes[i])), None)
        if rest and larger is not None:
            queues[larger] = rest + queues[larger]
        elif rest:
            batches.append((shapes[i], np.array(rest + [-1] * (batch_size - len(rest)))))
    if rng is not None:
        batches = [batches[k] for k in rng.permutation(len(batches))]
    return batches


def _holds(larger: Shape, smaller: Shape) -> bool:
    return larger[0] >= smaller[0] and larger[1] >= smaller[1]


def collate(examples: Sequence[Example], rows: np.ndarray, shape: Shape, pool: str = "text") -> Batch:
    """One batch; `pool` says whether h(x) is the mean over the text's tokens or the whole prompt's."""
    b, (s, t) = len(rows), shape
    batch = Batch(
        source=np.zeros((b, s), np.int32),
        target=np.zeros((b, t), np.int32),
        pool_mask=np.zeros((b, s), np.float32),
        present=np.zeros((b, len(examples[0].present)), np.float32),
        weight=(rows >= 0).astype(np.float32),
        rows=rows,
    )
    for row, i in enumerate(rows):
        if i < 0:
            continue
        e = examples[i]
        batch.source[row, : len(e.source)] = e.source
        batch.target[row, : len(e.target)] = e.target
        start, end = e.text_range if pool == "text" else (0, len(e.source))
        batch.pool_mask[row, start:end] = 1
        batch.present[row] = e.present
    return batch


def pad_rows(rows: Sequence[np.ndarray], length: int, batch_size: int) -> np.ndarray:
    """Id rows as int32 [batch_size, length], padded with 0."""
    out = np.zeros((batch_size, length), np.int32)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def length_sorted_batches(lengths: Sequence[int], batch_size: int) -> Iterator[np.ndarray]:
    """Indices in batches of near-equal length, longest first, for inference: the longest shape meets
    the memory limit at once rather than at the end."""
    order = np.argsort(-np.asarray(lengths, int), kind="stable")
    for k in range(0, len(order), batch_size):
        yield order[k : k + batch_size]


@dataclass(frozen=True)
class HostBatch:
    """One step's arrays, [B, …] each, the ids of the sentences in them, and the shape that they are padded to."""

    arrays: Mapping[str, np.ndarray]
    ids: Sequence[str]
    shape: Shape


def total_steps(steps_per_epoch: int, epochs: float) -> int:
    """Steps of a number of epochs, which need not be whole."""
    return max(1, math.ceil(steps_per_epoch * epochs))
