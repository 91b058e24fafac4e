"""Generation under the grammar, the default: many inputs through few compiled programs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from toner_jax.decoding import blocks, grammar
from toner_jax.decoding.drafts import make_hints
from toner_jax.inference.lengths import ladder, padded_length
from toner_jax.inference.written import Input, Output, Span, Work, methods
from toner_jax.models import t5
from toner_jax.models.toner import ToNER
from toner_jax.pipeline.batching import length_sorted_batches, pad_rows
from toner_jax.pipeline.features import GeneratorFeatures
from toner_jax.training.sharding import batch_divisor, round_batch, shard_batch


@dataclass(frozen=True)
class _Shape:
    """What one compiled program decodes: a queue of `rows`, read `chunk` and decoded `working` at a time, with
    sources padded to `source` and a cache of `slots`."""

    rows: int
    chunk: int
    working: int
    source: int
    slots: int


class _Started(NamedTuple):
    """A batch that the device works on: which inputs its rows are, and the words that their tapes' positions
    belong to."""

    rows: list[int]
    places: list[np.ndarray]
    working: int
    decoded: blocks.Decoded


# Rows in a queue for each row at work: enough that few places stand empty at its end.
_QUEUE = 8
# Passes that most outputs end within, and tokens that they have at most; the rest are decoded again with
# all the room there is.
_PASSES, _TOKENS = 24, 96
# On CPU, so many sources are read at a time: their activations then stay in the cache.
_CPU_CHUNK = 32


class GrammarGenerator:
    """Greedy decoding in blocks under the grammar: every output is well formed, every span a run of the
    input's words. `work` counts what it took.

    At most eight shapes are compiled for many inputs at a time, and as many for single ones.
    """

    def __init__(
        self,
        model: ToNER,
        features: GeneratorFeatures,
        mesh: Mesh,
        *,
        batch_size: int,
        max_length: int,
        block: int = 0,
        queue: int = _QUEUE,
        hints: bool = True,
    ):
        """Args:
        batch_size: rows that are at work at a time.
        block: tokens that a pass feeds each row (0: by the device).
        queue: rows that are decoded by one call, as a multiple of those at work; where that is more than 1,
          rows that end are replaced by waiting ones.
        hints: False drafts only what the format forces, and no item that it does not.
        """
        cpu = jax.default_backend() == "cpu"
        self._features = features
        self._mesh = mesh
        self._working = round_batch(batch_size, mesh)
        # Rows on several devices cannot take each other's places without talking to each other.
        self._rows = self._working * (queue if batch_divisor(mesh) == 1 else 1)
        most = _CPU_CHUNK if cpu and self._rows > self._working else self._working
        self._chunk = max(n for n in range(1, most + 1) if self._rows % n == 0)
        self._max_length = max_length
        self._block = block or (4 if cpu else 8)
        self._passes = min(max(_PASSES, -(-_TOKENS // self._block)), max_length)
        self._hints = hints
        self.work = Work()
        self._ladder = ladder(features.max_source)
        types = sum(len(grammar.type_ids(features.word_ids, name)) for name in features.schema.names)
        self._layout = grammar.make_layout(features.word_ids, types)
        self._decode = jax.jit(
            functools.partial(_decode, model, self._layout, self._block),
            static_argnames=("shape", "length"),
        )

    def __call__(self, params: Any, inputs: Sequence[Input], temperature: float = 1.0) -> list[Output]:
        """The outputs, in the order of the inputs.

        Args:
          temperature: divides the model's scores before they become probabilities; what is written does
            not depend on it.
        """
        sources = [self._features.inference(i.words, i.matched).source for i in inputs]
        out: list[Output | None] = [None] * len(inputs)
        todo = list(range(len(inputs)))
        for final in (False, True):
            unfinished = []
            # The next batch is prepared while the device works on the last one.
            started: list[_Started] = []
            for rows, shape in self._plan([len(sources[i]) for i in todo], final):
                chosen = [todo[k] for k in rows]
                started.append(self._start(params, inputs, sources, chosen, shape, temperature))
                if len(started) > 1:
                    unfinished += self._finish(started.pop(0), out)
            for one in started:
                unfinished += self._finish(one, out)
            todo = unfinished
        return out  # type: ignore[return-value]

    def _plan(self, lengths: Sequence[int], final: bool) -> Iterator[tuple[np.ndarray, _Shape]]:
        """Which rows are decoded together, and by which program."""
        single = batch_divisor(self._mesh) == 1 and len(lengths) < 4
        working = 1 if single else self._working
        for rows in length_sorted_batches(lengths, 1 if single else self._rows):
            source = self._ladder[-1] if final else padded_length(lengths[rows[0]], self._ladder)
            passes = self._max_length if final else self._passes
            queue = 1 if single else self._rows
            yield rows, _Shape(queue, min(self._chunk, queue), working, source, passes * self._block)

    def _start(
        self,
        params: Any,
        inputs: Sequence[Input],
        sources: Sequence[np.ndarray],
        rows: list[int],
        shape: _Shape,
        temperature: float,
    ) -> _Started:
        features, names = self._features, self._features.schema.names
        idle = shape.rows - len(rows)
        texts = [inputs[i].words for i in rows] + [()] * idle
        matched = [inputs[i].matched for i in rows] + [()] * idle
        schemas = [names] * shape.rows
        tapes, places = grammar.make_tapes(
            features.word_ids,
            self._layout,
            texts,
            schemas,
            self._layout.text + shape.source,
            self._max_length,
        )
        if self._hints:
            tapes = make_hints(self._layout, tapes, places, texts, schemas, matched)
        ids = pad_rows([sources[i] for i in rows], shape.source, shape.rows)
        ids, tapes = shard_batch((ids, tapes), self._mesh)
        decoded = self._decode(
            params, ids, tapes, len(rows), temperature, shape=shape, length=self._max_length
        )
        return _Started(rows, places, shape.working, decoded)

    def _finish(self, started: _Started, out: list[Output | None]) -> list[int]:
        """Reads a batch's outputs into `out`, and returns the inputs that need more room."""
        rows, places = started.rows, started.places
        decoded = jax.device_get(started.decoded)
        self.work.add(int(decoded.passes), started.working)
        counts = (decoded.tokens != 0).sum(axis=1).tolist()
        for k, i in enumerate(rows):
            if decoded.complete[k]:
                count = counts[k]
                names = ("tokens", "scores", "ending", "spans")
                row = decoded._replace(**{name: getattr(decoded, name)[k, :count] for name in names})
                out[i] = self._read(row, places[k])
        return [i for k, i in enumerate(rows) if not decoded.complete[k]]

    def _read(self, row: Any, place: np.ndarray) -> Output:
        """One row's output; `place` is the word of each of its text's pieces."""
        text, names = self._layout.text, self._features.schema.names
        scores, found = row.scores, list[Span]()
        begin = self._layout.open[1]
        more = 0.0  # the log-probability that another item follows, given that the last one ended
        for at in np.flatnonzero(row.spans[:, 0] >= 0).tolist():
            start, end, kind = row.spans[at].tolist()
            # An item's tokens: a symbol, its type, its span, and the first of the symbol that ends it.
            first = at - (end - start)
            found.append(
                Span(
                    int(place[start - text]),
                    int(place[end - 1 - text]) + 1,
                    names[kind],
                    float(np.exp(more + scores[begin:first].sum())),
                    float(np.exp(scores[first:at].sum() + row.ending[at])),
                )
            )
            begin, more = at + 1, scores[at] - row.ending[at]
        return Output(row.tokens[:-1].tolist(), scores[:-1], tuple(found))


def _decode(
    model: ToNER,
    layout: grammar.Layout,
    block: int,
    params: Any,
    source: jax.Array,
    tape: grammar.Tape,
    count: jax.Array,
    temperature: jax.Array,
    shape: _Shape,
    length: int,
) -> blocks.Decoded:
    """Decodes the first `count` of the rows."""
    apply = methods(model, params)

    def step(tokens: jax.Array, read: Any, cache: Any) -> tuple[jax.Array, Any]:
        scores, cache = apply("step", tokens, read, cache)
        return scores / temperature, cache

    return blocks.decode(
        blocks.Model(step, t5.rewind, t5.reset),
        _read(functools.partial(apply, "read"), source, tape.choices, count, shape.chunk),
        apply("empty", shape.working, shape.slots),
        tape,
        layout,
        count,
        slots=shape.slots,
        length=length,
        block=block,
        working=shape.working,
    )


def _read(
    read: Callable[[jax.Array, jax.Array], Any],
    source: jax.Array,
    choices: jax.Array,
    count: jax.Array,
    chunk: int,
) -> Any:
    """What the decoder needs of the first `count` rows, `chunk` of them at a time; the rest stay zero."""
    if chunk >= source.shape[0]:
        return read(source, choices)
    empty = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(read, source, choices)
    )

    def one(i: jax.Array, whole: Any) -> Any:
        part = read(*(jax.lax.dynamic_slice_in_dim(a, i * chunk, chunk) for a in (source, choices)))
        return jax.tree.map(
            lambda to, new: jax.lax.dynamic_update_slice_in_dim(to, new, i * chunk, axis=0), whole, part
        )

    return jax.lax.fori_loop(0, -(-count // chunk), one, empty)
