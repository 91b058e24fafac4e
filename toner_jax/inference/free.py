"""Generation as the paper does it: free choice among the vocabulary."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from toner_jax.decoding.search import Begun, beam, greedy
from toner_jax.inference.lengths import ladder, padded_length
from toner_jax.inference.options import DecodeOptions
from toner_jax.inference.sources import source_ids
from toner_jax.inference.written import Work, methods
from toner_jax.models.t5 import model as t5
from toner_jax.models.toner import ToNER
from toner_jax.parallel.mesh import round_batch, shard_batch
from toner_jax.pipeline.batching import length_sorted_batches, pad_rows
from toner_jax.tasks.output import Input, Output
from toner_jax.tasks.task import Task


class FreeGenerator:
    """Greedy or beam search over the whole vocabulary; `work` counts what it took."""

    def __init__(self, model: ToNER, task: Task, mesh: Mesh, options: DecodeOptions):
        """`options.batch_size` hypotheses are at work at a time, as far as a batch holds a row for each device."""
        self._task = task
        self._mesh = mesh
        self._batch_size = round_batch(max(1, options.batch_size // options.beam_size), mesh)
        self._max_length = options.max_length
        self._ladder = ladder(options.max_source, task.overhead())
        search = functools.partial(
            _search, model, task.word_ids.tokenizer.eos_id, options.beam_size, options.length_penalty
        )
        self._decode = jax.jit(search, static_argnames="length")
        self.work = Work()

    def __call__(
        self,
        params: Any,
        inputs: Sequence[Input],
        temperature: float = 1.0,
        begun: Sequence[Sequence[int]] | None = None,
    ) -> list[Output]:
        """The outputs, in the order of the inputs; `temperature` as in `GrammarGenerator`.

        Args:
          begun: tokens, at least one and at most `max_length`, that each output begins with, for greedy search;
            what is returned are those after them.

        A first pass gives every row as much room as its source is padded to; the few that need more
        are decoded again with all the room there is.
        """
        eos_id = self._task.word_ids.tokenizer.eos_id
        sources = [source_ids(self._task, i) for i in inputs]
        out: list[Output | None] = [None] * len(sources)
        todo = list(range(len(sources)))
        for final in (False, True):
            unfinished = []
            for batch in length_sorted_batches([len(sources[i]) for i in todo], self._batch_size):
                rows = [todo[k] for k in batch]
                source_length = padded_length(len(sources[rows[0]]), self._ladder)
                if final:
                    source_length = self._ladder[-1]
                length = self._max_length if final else min(source_length, self._max_length)
                # Idle rows repeat the first: after an empty source the end might never be written.
                repeated = [rows[0]] * (self._batch_size - len(rows))
                ids = pad_rows([sources[i] for i in rows + repeated], source_length, self._batch_size)
                ids = shard_batch(ids, self._mesh)
                prefix = None if begun is None else self._prefix([begun[i] for i in rows + repeated])
                found = jax.device_get(self._decode(params, ids, temperature, prefix, length=length))
                ended = found[0] == eos_id
                taken = np.where(ended.any(axis=1), ended.argmax(axis=1) + 1, length)
                self.work.add(int(taken.max()), self._batch_size)
                for i, row, score, whole in zip(rows, *found, strict=False):
                    ends = np.flatnonzero(row == eos_id)
                    if whole or final or length == self._max_length:
                        count = ends[0] if len(ends) else length
                        out[i] = Output(row[:count].tolist(), score[:count])
                    else:
                        unfinished.append(i)
            todo = unfinished
        return out  # type: ignore[return-value]

    def _prefix(self, begun: Sequence[Sequence[int]]) -> tuple[jax.Array, jax.Array]:
        """Tokens [B, L], and how many each row has."""
        length = padded_length(max(map(len, begun)), ladder(self._max_length, 0))
        tokens = pad_rows([np.array(ids, np.int32) for ids in begun], length, len(begun))
        return shard_batch((tokens, np.array([len(ids) for ids in begun], np.int32)), self._mesh)


def _search(
    model: ToNER,
    eos_id: int,
    beams: int,
    length_penalty: float,
    params: Any,
    source: jax.Array,
    temperature: jax.Array,
    prefix: tuple[jax.Array, jax.Array] | None,
    length: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Tokens and their log-probabilities [B, T], and whether each output is that of any longer T."""
    apply = methods(model, params)
    rows = source.shape[0]
    read = apply("read", source)
    if beams > 1:
        read = jax.tree.map(lambda leaf: jnp.repeat(leaf, beams, axis=0), read)
    cache = apply("empty", rows * beams, length + (0 if prefix is None else prefix[0].shape[1]))
    begun = None if prefix is None else Begun(*prefix, t5.rewind)

    def step(tokens: jax.Array, cache: Any) -> tuple[jax.Array, Any]:
        scores, cache = apply("step", tokens, read, cache)
        return scores / temperature, cache

    if beams == 1:
        tokens, scores = greedy(step, cache, rows, length, eos_id=eos_id, begun=begun)
        return tokens, scores, jnp.any(tokens == eos_id, axis=1)
    best = beam(
        step, t5.reorder, cache, rows, length, beams=beams, length_penalty=length_penalty, eos_id=eos_id
    )
    return best.tokens, best.scores, best.complete
