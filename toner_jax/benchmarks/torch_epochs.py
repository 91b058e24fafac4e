"""Epochs in PyTorch, with batches as transformers' trainer makes them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toner_jax.benchmarks.torch_trainers import ATTENTIONS, PREFIX, TorchModel
from toner_jax.common.console import say
from toner_jax.pipeline.batching import Batch, HostBatch, collate
from toner_jax.pipeline.samples import GeneratorSamples
from toner_jax.runs.view import Settings

RANDOM, GROUPED = "random", "grouped"  # how the rivals choose their batches
_TITLES = {
    RANDOM: "transformers, PyTorch, batches drawn at random",
    GROUPED: "transformers, PyTorch, batches grouped by length",
}


@dataclass
class Epoch:
    """What an epoch was.

    Attributes:
      examples: that were learnt from, in so many `steps`.
      tokens: real ones, of the `positions` that were computed.
    """

    examples: int = 0
    steps: int = 0
    tokens: int = 0
    positions: int = 0

    def add(self, source: np.ndarray, target: np.ndarray, weight: np.ndarray, positions: int) -> None:
        """A step of it."""
        self.examples += int(weight.sum())
        self.steps += 1
        self.tokens += int(np.count_nonzero(source) + np.count_nonzero(target))
        self.positions += positions


class TorchEpoch:
    """The same examples, whose ids it is given, so that tokenization costs it nothing; each batch is padded to its
    longest prompt and its longest target."""

    def __init__(self, model: TorchModel, samples: GeneratorSamples, config: Settings, order: str):
        self.name, self.title = PREFIX + order, _TITLES[order]
        self._model, self._order = model, order
        self._examples = [samples.examples[i] for i in samples.used(0)]
        self._batch_size, self._pool = config.generator.batch_size, config.generator.pool
        self._number = 0  # of the epoch, by which batches are drawn

    def epoch(self) -> Epoch:
        self._number += 1
        done, losses = Epoch(), []
        for batch in self.batches(self._number):
            done.add(batch.source, batch.target, batch.weight, batch.source.size + batch.target.size)
            losses.append(self._model.step(self._model.on_device(batch.arrays())))
        for loss in losses:  # waits for the device
            float(loss)
        return done

    def batches(self, number: int) -> list[Batch]:
        """Those of an epoch."""
        import torch
        from transformers.trainer_pt_utils import get_length_grouped_indices

        size, generator = self._batch_size, torch.Generator().manual_seed(number)
        if self._order == GROUPED:
            lengths = [len(e.source) for e in self._examples]
            order = get_length_grouped_indices(lengths, size, generator=generator)
        else:
            order = torch.randperm(len(self._examples), generator=generator).tolist()
        chunks = [np.array(order[k : k + size]) for k in range(0, len(order), size)]
        return [collate(self._examples, rows, self._shape(rows), self._pool) for rows in chunks]

    def _shape(self, rows: np.ndarray) -> tuple[int, int]:
        chosen = [self._examples[i] for i in rows.tolist()]
        return max(len(e.source) for e in chosen), max(len(e.target) for e in chosen)


def faster_attention(model: TorchModel, batches: Sequence[HostBatch]) -> str:
    """Which way is faster on these batches; the model uses it from now on."""
    arrays = [model.on_device(batch.arrays) for batch in batches]
    seconds = {}
    for attention in ATTENTIONS:
        model.use(attention)
        for _ in range(2):  # the first is to warm up
            begun = time.perf_counter()
            losses = [model.step(batch) for batch in arrays]
            for loss in losses:
                float(loss)
            seconds[attention] = time.perf_counter() - begun
    faster = min(seconds, key=lambda attention: seconds[attention])
    model.use(faster)
    say(f"transformers: {faster} attention is the faster")
    return faster
