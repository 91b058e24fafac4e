"""Generation as the paper does it: free choice among the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from toner_jax.common.console import advance
from toner_jax.common.lazy import Lazy
from toner_jax.decoding.search import ForcedPrefix, SearchOptions, beam, greedy
from toner_jax.inference.lengths import bucket_of, length_buckets
from toner_jax.inference.options import DecodeOptions
from toner_jax.inference.programs import Programs
from toner_jax.inference.replicas import are_apart, decode_on
from toner_jax.inference.sources import make_source
from toner_jax.inference.work import Work
from toner_jax.models.decoder import MakeDecoder, Seq2SeqDecoder
from toner_jax.parallel.exchange import by_share, on_host
from toner_jax.parallel.mesh import own_rows, round_batch, shard_batch
from toner_jax.pipeline.batching import length_sorted_batches, pad_rows
from toner_jax.tasks.output import Input, Output
from toner_jax.tasks.task import Task

Prefixes = Sequence[Sequence[int]]
_Found = tuple[jax.Array, jax.Array, jax.Array]


class FreeGenerator:
    """Greedy or beam search over the whole vocabulary; `work` counts what it took. As many hypotheses as
    `options.batch_size` are at work at a time, as far as a batch holds a row for each device."""

    def __init__(self, programs: Programs, task: Task, mesh: Mesh, options: DecodeOptions):
        self._programs, self._task, self._mesh = programs, task, mesh
        self._weights = options.weights
        self._batch_size = round_batch(max(1, options.batch_size // options.beam_size), mesh)
        self._buckets = programs.lengths(options.max_source, task.overhead())
        self._options = SearchOptions(
            max_length=options.max_length,
            eos_id=task.word_ids.tokenizer.eos_id,
            beams=options.beam_size,
            length_penalty=options.length_penalty,
        )
        self.work = Work()

    def __call__(
        self,
        params: Any,
        inputs: Sequence[Input],
        calibration_temperature: float = 1.0,
        prefixes: Prefixes | None = None,
    ) -> list[Output]:
        """The outputs, in the order of the inputs; `calibration_temperature` as in `GrammarGenerator`.

        Args:
          prefixes: tokens, at least one and at most `max_length`, that each output begins with, for greedy search;
            what is returned are those after them.

        A first pass gives every row as much room as its source is padded to; the few that need more
        are decoded again with all the room there is.
        """
        sources = Lazy(lambda i: make_source(self._task, inputs[i]).ids, len(inputs))
        lengths = by_share(lambda i: len(sources[i]), len(inputs))
        own, nothing = own_rows(self._mesh, self._batch_size).tolist(), np.zeros(0, np.int32)
        search = partial(self._search, params, calibration_temperature)
        out: list[Output | None] = [None] * len(sources)
        todo = list(range(len(sources)))
        for again in (False, True):
            unfinished: list[int] = []
            for batch in length_sorted_batches([lengths[i] for i in todo], self._batch_size):
                rows = [todo[k] for k in batch]
                bucket = self._buckets[-1] if again else bucket_of(lengths[rows[0]], self._buckets)
                length = self._options.max_length if again else min(bucket, self._options.max_length)
                # Idle rows repeat the first: after an empty source the end might never be written.
                padded = rows + [rows[0]] * (self._batch_size - len(rows))
                written = [sources[i] if here else nothing for i, here in zip(padded, own, strict=True)]
                ids = pad_rows(written, bucket, self._batch_size)
                prefix = None if prefixes is None else self._prefix([prefixes[i] for i in padded])
                unfinished += self._finish(rows, search(ids, prefix, length), length, out)
            todo = unfinished
        return out  # type: ignore[return-value]

    def _search(
        self,
        params: Any,
        calibration_temperature: float,
        ids: np.ndarray,
        prefix: ForcedPrefix | None,
        length: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is written for a batch of sources, of at most `length` tokens."""
        apart = are_apart(self._programs.make_decoder, params, self._mesh, self._weights)
        options = replace(self._options, max_length=length)
        given = shard_batch(ids, self._mesh), prefix
        shape = ids.shape, length, options.beams, prefix is not None and prefix.tokens.shape
        program = self._programs.get(_search, apart)
        with self._programs.compilations.compiling(shape):
            found = program(params, calibration_temperature, given, options=options)
        written: tuple[np.ndarray, np.ndarray, np.ndarray] = on_host(found)
        return written

    def _finish(
        self,
        rows: Sequence[int],
        found: tuple[np.ndarray, np.ndarray, np.ndarray],
        length: int,
        out: list[Output | None],
    ) -> list[int]:
        """Reads a batch's outputs, of at most `length` tokens, into `out`; returns the inputs that need more room."""
        ended_BT = found[0] == self._options.eos_id
        taken = np.where(ended_BT.any(axis=1), ended_BT.argmax(axis=1) + 1, length)
        self.work.add([int(taken.max())], self._batch_size)
        unfinished = []
        for i, tokens, scores, whole in zip(rows, *found, strict=False):
            ends = np.flatnonzero(tokens == self._options.eos_id)
            if whole or length == self._options.max_length:
                count = ends[0] if len(ends) else length
                out[i] = Output(tokens[:count].tolist(), scores[:count], truncated=not len(ends))
            else:
                unfinished.append(i)
        advance(len(rows) - len(unfinished))
        return unfinished

    def _prefix(self, prefixes: Prefixes) -> ForcedPrefix:
        length = bucket_of(max(map(len, prefixes)), length_buckets(self._options.max_length, 0))
        tokens = pad_rows([np.array(ids, np.int32) for ids in prefixes], length, len(prefixes))
        lengths = np.array([len(ids) for ids in prefixes], np.int32)
        return ForcedPrefix(*shard_batch((tokens, lengths), self._mesh))


def _search(
    make_decoder: MakeDecoder,
    apart: bool,
    params: Any,
    calibration_temperature: jax.Array,
    given: tuple[jax.Array, ForcedPrefix | None],
    options: SearchOptions,
) -> _Found:
    """The program that is compiled: of ids and prefixes, tokens and their log-probabilities [B, T], and whether each
    output is that of any longer T."""

    def of_replica(
        whole: tuple[Seq2SeqDecoder, jax.Array], own: tuple[jax.Array, ForcedPrefix | None]
    ) -> _Found:
        (decoder, temperature), (ids, prefix) = whole, own
        source = decoder.encode(ids)
        if options.beams == 1:
            tokens, scores = greedy(decoder, source, options, temperature, prefix)
            return tokens, scores, jnp.any(tokens == options.eos_id, axis=1)
        best = beam(decoder, source, options, temperature)
        return best.tokens, best.scores, best.complete

    found: _Found = decode_on(of_replica, make_decoder(params), calibration_temperature, given, apart)
    return found
