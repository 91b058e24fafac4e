"""One type matching model embedding texts and training, and what every contender of `toner-jax bench match` can do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import jax
import numpy as np

from toner_jax.benchmarks.match_subject import MatchSubject
from toner_jax.inference.lengths import bucket_of, length_buckets
from toner_jax.inference.matching import embedding_program
from toner_jax.models import registry
from toner_jax.parallel.mesh import shard_batch
from toner_jax.pipeline.batching import length_sorted_batches, pad_rows
from toner_jax.training.optimizer import make_optimizer
from toner_jax.training.state import State, create_state, make_train_step

# The learning rate falls over so many steps, so that it stays what it is during a measurement; it does not rise first.
_STEPS = 10_000_000


class Matcher(Protocol):
    """One way to match types; each begins with the same weights.

    Attributes:
      name, title: in figures and on pages.
    """

    name: str
    title: str

    def embed(self) -> np.ndarray:
        """Unit vectors fp32 [N, D] of the subject's texts, in order."""

    def train(self) -> list[float]:
        """The losses of an epoch, when the device has finished it."""


class Ours:
    """The stage's own train step, and the embedding of `predict`."""

    name, title = "toner_jax", "toner_jax"

    def __init__(self, subject: MatchSubject):
        self._subject = s = subject
        self._tx = make_optimizer(replace(s.optimizer, warmup=0.0), _STEPS)
        init, rules = registry.initializer(s.model), registry.of(s.model.config).sharding
        self._state: State = create_state(init, self._tx, s.seed, s.mesh, s.preset, rules)
        self._step = make_train_step(s.objective.loss(s.model, s.descriptions), self._tx, self._state)
        self._embed = embedding_program(s.model)
        self.params = jax.tree.map(np.array, self._state["params"])  # those of the beginning
        self._batches = [shard_batch(dict(batch.arrays), s.mesh) for batch in s.batches]

    def embed(self) -> np.ndarray:
        s, buckets = self._subject, length_buckets(self._subject.model.max_length, 2)
        out: list[tuple[np.ndarray, jax.Array]] = []
        for chosen in length_sorted_batches([len(row) for row in s.rows], s.batch_size):
            rows = [s.rows[i] for i in chosen]
            ids = pad_rows(rows, bucket_of(len(rows[0]), buckets), s.batch_size)
            out.append((chosen, self._embed(self.params, shard_batch(ids, s.mesh))))
        return in_order(len(s.rows), ((chosen, np.asarray(x)[: len(chosen)]) for chosen, x in out))

    def train(self) -> list[float]:
        losses = []
        for arrays in self._batches:
            self._state, metrics = self._step(self._state, arrays)
            losses.append(metrics["loss"])
        values = [float(loss) for loss in losses]
        jax.block_until_ready(self._state)
        return values


def in_order(count: int, found: Iterator[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Vectors [N, D] of batches of rows, in the order of the rows."""
    out: np.ndarray | None = None
    for chosen, vectors in found:
        if out is None:
            out = np.empty((count, vectors.shape[1]), np.float32)
        out[chosen] = vectors
    if out is None:
        raise ValueError("no texts")
    return out
