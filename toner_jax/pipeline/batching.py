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
    """At most `buckets` padded lengths, multiples of `multiple`, that cover all `lengths` with the least total
    padding."""
    values, counts = np.unique(_rounded(lengths, multiple), return_counts=True)
    _, chosen = _covers(values, counts, buckets)
    return chosen[min(buckets, len(values))]


def choose_shapes(
    lengths_N2: np.ndarray, max_shapes: int = 8, weights: np.ndarray | None = None, multiple: int = 8
) -> tuple[Shape, ...]:
    """At most `max_shapes` (source, target) shapes that cover all examples, of the least total `cost`.

    The examples are cut by their source lengths into ranges, and those of a range by their target lengths; which cuts
    are best is found exactly, by dynamic programming. One of the shapes holds every example, since the rows that do
    not fill a batch move to a larger one.

    Args:
      lengths_N2: source and target tokens of each example.
      weights: [N], how often each example is used in training; None for once each.
      multiple: that padded lengths are a multiple of; of a larger one where texts are long, since more than 64 lengths
        take long to choose from.
    """
    longest = int(lengths_N2.max())
    multiple *= 2 ** max(0, math.ceil(math.log2(max(1, longest) / multiple / _MOST_LENGTHS)))
    sources, source_of = np.unique(_rounded(lengths_N2[:, 0], multiple), return_inverse=True)
    targets, target_of = np.unique(_rounded(lengths_N2[:, 1], multiple), return_inverse=True)
    counts_ST = np.zeros((len(sources), len(targets)))
    np.add.at(counts_ST, (source_of, target_of), 1.0 if weights is None else weights)
    until_ST = np.concatenate([np.zeros((1, len(targets))), np.cumsum(counts_ST, 0)])
    # By number of shapes and of sources covered: the least cost, and how it came about.
    best = np.full((max_shapes + 1, len(sources) + 1), np.inf)
    best[:, 0] = 0
    chosen: dict[tuple[int, int], tuple[Shape, ...]] = {(k, 0): () for k in range(max_shapes + 1)}
    for end, source in enumerate(sources, start=1):
        for start in range(end):
            counts_T = until_ST[end] - until_ST[start]
            if end == len(sources):
                counts_T[-1] += 1e-9  # the largest target is in the last range, so that its shape holds all
            used = int(np.flatnonzero(counts_T > 0)[-1]) + 1 if counts_T.any() else 1
            costs, lengths = _covers(targets[:used], counts_T[:used] * _TARGET_COST, max_shapes)
            for inside in range(1, max_shapes + 1):
                total = best[: max_shapes + 1 - inside, start] + costs[inside] + counts_T.sum() * source
                for k in (inside + np.flatnonzero(total < best[inside:, end])).tolist():
                    best[k, end] = total[k - inside]
                    shapes = tuple((int(source), t) for t in lengths[inside])
                    chosen[k, end] = chosen[k - inside, start] + shapes
    return chosen[max_shapes, len(sources)]


def _rounded(lengths: Sequence[int] | np.ndarray, multiple: int) -> np.ndarray:
    rounded: np.ndarray = -(-np.maximum(np.asarray(lengths, int), 1) // multiple) * multiple
    return rounded


def _covers(
    values: np.ndarray, weights: np.ndarray, most: int
) -> tuple[np.ndarray, dict[int, tuple[int, ...]]]:
    """The best ways to pad values to few lengths, by dynamic programming.

    Args:
      values: int [N], ascending.
      weights: [N], how often each occurs.
      most: lengths.

    Returns:
      The least weighted sum of padded values with k = 0 … `most` lengths at most, and those lengths of each k that is
      no more than N.
    """
    n = len(values)
    until = np.concatenate([[0.0], np.cumsum(weights)])
    # One length, values[j − 1], for the values i … j − 1.
    one = (until[None, :] - until[:, None]) * np.concatenate([[0], values])[None, :]
    one[np.tril_indices(n + 1)] = np.inf
    least = np.full(n + 1, np.inf)
    least[0] = 0
    costs, cuts = [np.inf], []
    for _ in range(most):
        ways = least[:, None] + one
        cuts.append(ways.argmin(0))
        least = ways.min(0)
        costs.append(min(costs[-1], least[n]))
    lengths = {}
    for k in range(1, min(most, n) + 1):
        found, j = [], n
        for cut in cuts[k - 1 :: -1]:
            found.append(int(values[j - 1]))
            j = int(cut[j])
        lengths[k] = tuple(reversed(found))
    return np.array(costs), lengths


_MOST_LENGTHS = 64

# A position of the target passes the decoder's self-attention, its cross-attention and the logits: about twice the
# work of one of the source.
_TARGET_COST = 2


def cost(shape: Shape) -> int:
    """What an example of a shape costs, in positions of the source."""
    return shape[0] + _TARGET_COST * shape[1]


def assign(lengths: Shape, shapes: Sequence[Shape]) -> int:
    """The index of the cheapest shape that holds an example of so many source and target tokens."""
    s, t = lengths
    fitting = [i for i, (a, b) in enumerate(shapes) if a >= s and b >= t]
    return min(fitting, key=lambda i: (cost(shapes[i]), i))


def plan_epoch(
    assignment: Sequence[int] | np.ndarray,
    shapes: Sequence[Shape],
    batch_size: int,
    rng: np.random.Generator | None,
    sizes: np.ndarray | None = None,
) -> list[tuple[Shape, np.ndarray]]:
    """Batches of one epoch: each a shape and the examples in it, −1 for padding.

    Examples that do not fill a batch of their shape move to the next larger one that holds them; only
    the last batches are padded. With `rng` the examples within shapes and the batches are shuffled.

    Args:
      sizes: [N]; where they are given, each of the examples of a batch is of another stratum of its shape's sizes, so
        that all batches are of nearly the same total.
    """
    order = np.arange(len(assignment)) if rng is None else rng.permutation(len(assignment))
    queues: list[list[int]] = [[] for _ in shapes]
    for i in order:
        queues[assignment[i]].append(int(i))
    by_size = sorted(range(len(shapes)), key=lambda i: (cost(shapes[i]), i))
    batches: list[tuple[Shape, np.ndarray]] = []
    for position, i in enumerate(by_size):
        queue = queues[i]
        full = len(queue) - len(queue) % batch_size
        chosen = np.array(queue[:full], int)
        if rng is not None and sizes is not None:
            strata = chosen[np.argsort(sizes[chosen], kind="stable")].reshape(batch_size, -1)
            chosen = rng.permuted(strata, axis=1).T
        batches += [(shapes[i], rows) for rows in chosen.reshape(-1, batch_size)]
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


def collate(
    examples: Sequence[Example],
    rows: np.ndarray,
    shape: Shape,
    pool: str = "text",
    own: np.ndarray | None = None,
) -> Batch:
    """One batch.

    Args:
      rows: int [B], which example each row is, −1 for padding.
      pool: whether h(x) is the mean over the text's tokens or the whole prompt's.
      own: bool [B], the rows to fill, where others are another process's; None for all.
    """
    b, (s, t) = len(rows), shape
    batch = Batch(
        source=np.zeros((b, s), np.int32),
        target=np.zeros((b, t), np.int32),
        pool_mask=np.zeros((b, s), np.float32),
        present=np.zeros((b, len(examples[0].present)), np.float32),
        weight=(rows >= 0).astype(np.float32),
        rows=rows,
    )
    for row, i in enumerate(rows.tolist()):
        if i < 0 or not (own is None or own[row]):
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
    """One step's batch.

    Attributes:
      arrays: [B, …] each; of rows that are another process's, tokens and what goes with them are 0.
      ids: of the sentences in it.
      shape: that it is padded to.
      lengths: by the name of each array of tokens, how many each row has, int [B].
    """

    arrays: Mapping[str, np.ndarray]
    ids: Sequence[str]
    shape: Shape
    lengths: Mapping[str, np.ndarray]


def total_steps(steps_per_epoch: int, epochs: float) -> int:
    """Steps of a number of epochs, which need not be whole."""
    return max(1, math.ceil(steps_per_epoch * epochs))
