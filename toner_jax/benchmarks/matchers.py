"""One type matching model embedding texts and training, and what every contender of `toner-jax bench match` can do."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from toner_jax.benchmarks.match_subject import MatchSubject
from toner_jax.inference.embedding import Embedder
from toner_jax.models import registry
from toner_jax.parallel.mesh import shard_batch
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
        self._embed = Embedder(s.model, s.mesh, s.batch_size)
        self.params = jax.tree.map(jnp.copy, self._state["params"])  # those of the beginning
        self._batches = [shard_batch(dict(batch.arrays), s.mesh) for batch in s.batches]

    def embed(self) -> np.ndarray:
        return self._embed(self.params, self._subject.rows)

    def train(self) -> list[float]:
        losses = []
        for arrays in self._batches:
            self._state, metrics = self._step(self._state, arrays)
            losses.append(metrics["loss"])
        values = [float(loss) for loss in losses]
        jax.block_until_ready(self._state)
        return values
