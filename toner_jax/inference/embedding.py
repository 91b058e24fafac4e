"""Texts as unit vectors: the type matching model, run on many texts at a time without the padding between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from toner_jax.common.console import Compilations
from toner_jax.inference.kept_programs import KeptPrograms
from toner_jax.inference.lengths import bucket_of, length_buckets
from toner_jax.inference.replicas import dealt
from toner_jax.inference.threads import ONE_THREAD, in_threads, threads_for
from toner_jax.models.encoder import Encoder
from toner_jax.parallel.exchange import on_host
from toner_jax.parallel.mesh import abstract_batch, batch_divisor, own_rows, round_batch, shard_batch
from toner_jax.pipeline.batching import pad_rows
from toner_jax.pipeline.unpadding import cells

_AROUND = 2  # pieces that stand around every text
SINGLE = 3  # so few texts are embedded one by one
_FEW = 8  # so many at once, each with room for all that it is padded to
# A batch has room for the tokens of so much of its texts, if all were as long as they are padded to; and for so many
# times as many shorter texts.
_TOKENS, _TEXTS = 3 / 4, 3 / 2
_CPU_BATCH = 32  # texts that make the matrix products of one thread large enough


def embed(
    encoder: Encoder,
    params: Any,
    ids: jax.Array,
    cells: jax.Array | None = None,
    *,
    deterministic: bool = True,
    **kwargs: Any,
) -> jax.Array:
    """E_TM(x)/‖E_TM(x)‖ of id rows [B, S] padded with 0: fp32 [B, D].

    Args:
      cells, kwargs: of the encoder's `apply`.
    """
    mask = (ids != 0).astype(jnp.float32)
    states = encoder.apply({"params": params}, ids, mask, deterministic, cells, **kwargs)
    return encoder.pool(states, mask)


@dataclass(frozen=True)
class TextShape:
    """What one compiled program embeds.

    Attributes:
      texts: rows.
      length: that they are padded to.
      tokens: that all those of a replica have room for.
    """

    texts: int
    length: int
    tokens: int


class Embedder:
    """At most six shapes are compiled for many texts at a time, as many for a few, and as many for single ones."""

    def __init__(self, encoder: Encoder, mesh: Mesh, batch_size: int):
        """`batch_size`: about how many texts are at work at a time."""
        self._mesh, self._replicas = mesh, batch_divisor(mesh)
        self.lengths = length_buckets(encoder.max_length, _AROUND)
        self._threads = threads_for(mesh, encoder.width)
        size = min(batch_size, _CPU_BATCH) if self._threads > 1 else batch_size
        self._each = round_batch(size, mesh) // self._replicas
        self._few = round_batch(min(size, _FEW), mesh)
        self._small = self._few * self._threads  # texts that are embedded a few at a time
        self._compilations = Compilations("matching")
        self._alone = KeptPrograms(partial(embed, encoder), mesh)
        options = ONE_THREAD if self._threads > 1 else None
        self._many = KeptPrograms(partial(embed, encoder), mesh, compiler_options=options)

    def __call__(
        self,
        params: Any,
        rows: Sequence[np.ndarray],
        counts: Sequence[int] | np.ndarray | None = None,
        padded: tuple[int, ...] = (),
    ) -> np.ndarray:
        """Unit vectors fp32 [N, D] of id rows, in the order given.

        Args:
          rows: of several processes, each looks at those that its devices embed.
          counts: ids in each row; None to look.
          padded: the lengths that they are padded to, of `self.lengths`, by the programs for many alone; () for all of
            them.
        """
        counts = _counts(rows, counts)
        return self._embedded(params, rows, counts, list(self._batches(counts, padded)), self._threads)

    def one_by_one(
        self, params: Any, rows: Sequence[np.ndarray], counts: Sequence[int] | np.ndarray | None = None
    ) -> np.ndarray:
        """As a call, by a single program, that for single texts of the longest one's length: what a process embeds
        first is there before a second one is compiled."""
        counts = _counts(rows, counts)
        length = bucket_of(int(counts.max()), self.lengths)
        shape = TextShape(self._replicas, length, length)
        each = np.split(np.arange(len(counts)), range(self._replicas, len(counts), self._replicas))
        # In one thread, or else each would compile it.
        return self._embedded(params, rows, counts, [(chosen, shape) for chosen in each], 1)

    def _embedded(
        self,
        params: Any,
        rows: Sequence[np.ndarray],
        counts: np.ndarray,
        batches: Sequence[tuple[np.ndarray, TextShape]],
        threads: int,
    ) -> np.ndarray:
        self._compilations.expect(shape for _, shape in batches)
        started = partial(self._started, params, rows, counts)
        out: np.ndarray | None = None
        for chosen, vectors in in_threads(started, _fetched, batches, min(threads, len(batches))):
            if out is None:
                out = np.empty((len(rows), vectors.shape[1]), np.float32)
            out[chosen] = vectors
        return np.zeros((0, 1), np.float32) if out is None else out

    def preparations(self, params: Any) -> list[Callable[[], object]]:
        """What compiles all programs, a call for each, which embeds nothing."""
        single = SINGLE * self._replicas
        counts = (1, single + 1, max(single, self._small) + 1)
        shapes = list(
            dict.fromkeys(self._shape(count, length) for count in counts for length in self.lengths)
        )
        self._compilations.expect(shapes)
        return [partial(self._run_empty, params, shape) for shape in shapes]

    def _run_empty(self, params: Any, shape: TextShape) -> None:
        none = np.zeros(0, int)
        _fetched(self._started(params, [], none, (none, shape)))

    def _shape(self, count: int, length: int) -> TextShape:
        """The shape for so many texts, of which the longest have at most this length."""
        if count <= SINGLE * self._replicas:
            return TextShape(self._replicas, length, length)
        if count <= self._small:
            return TextShape(self._few, length, self._few // self._replicas * length)
        return self.many(length)

    def many(self, length: int) -> TextShape:
        """The shape for many texts of at most this length."""
        tokens = max(length, math.ceil(_TOKENS * self._each * length))
        shortest = max((n for n in self.lengths if n < length), default=_AROUND) + 1
        texts = min(math.ceil(tokens / shortest), math.ceil(_TEXTS * self._each))
        return TextShape(texts * self._replicas, length, tokens)

    def lower(self, params: Any, length: int) -> jax.stages.Lowered:
        """The program for `many`, to be compiled for the mesh's devices, which need not be here.

        Args:
          params: shapes with their shardings.
        """
        shape = self.many(length)
        ids = np.zeros((shape.texts, length), np.int32)
        held = cells(np.zeros(shape.texts, int), length, self._replicas, shape.tokens)
        return self._many.lower(params, *abstract_batch((ids, held), self._mesh))

    def _batches(self, counts: np.ndarray, padded: tuple[int, ...]) -> Iterator[tuple[np.ndarray, TextShape]]:
        """Which texts are embedded together, longest first, and in which shape; arguments as of a call."""
        order = np.argsort(-counts, kind="stable")
        longest_first = counts[order]
        start = 0
        while start < len(order):
            length = bucket_of(int(longest_first[start]), padded or self.lengths)
            shape = self.many(length) if padded else self._shape(len(order), length)
            # The first replica is dealt the longest of every round.
            filled = np.cumsum(longest_first[start : start + shape.texts : self._replicas])
            fitting = np.searchsorted(filled, shape.tokens, side="right")
            end = start + min(int(fitting) * self._replicas, shape.texts)
            yield order[start:end], shape
            start = end

    def _started(
        self, params: Any, rows: Sequence[np.ndarray], counts: np.ndarray, batch: tuple[np.ndarray, TextShape]
    ) -> tuple[np.ndarray, Any]:
        """Has the device embed the texts of a batch: which these are, and their vectors on the device with the rows
        they are in."""
        chosen, shape = batch
        at, _ = dealt(len(chosen), shape.texts, self._replicas)
        ids, held = np.zeros((shape.texts, shape.length), np.int32), np.zeros(shape.texts, int)
        own = own_rows(self._mesh, shape.texts)[at]
        ids[at[own]] = pad_rows([rows[i] for i in chosen[own].tolist()], shape.length, own.sum())
        held[at] = counts[chosen]
        with self._compilations.compiling(shape):
            if shape.texts == self._replicas:  # of each replica a single text, whose tokens are a grid
                return chosen, (at, self._alone(params, shard_batch(ids, self._mesh)))
            tokens = cells(held, shape.length, self._replicas, shape.tokens)
            return chosen, (at, self._many(params, *shard_batch((ids, tokens), self._mesh)))


def _counts(rows: Sequence[np.ndarray], counts: Sequence[int] | np.ndarray | None) -> np.ndarray:
    return np.array([len(row) for row in rows] if counts is None else counts, int)


def _fetched(batch: tuple[np.ndarray, Any]) -> tuple[np.ndarray, np.ndarray]:
    chosen, (at, vectors) = batch
    return chosen, on_host(vectors)[at]
