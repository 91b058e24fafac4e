"""Generation under the grammar, the default: many inputs through few compiled programs."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from toner_jax.decoding import grammar, type_list
from toner_jax.decoding import speculative as blocks
from toner_jax.decoding.drafts import make_hints
from toner_jax.decoding.forms import EntityList, TypeList
from toner_jax.inference.lengths import ladder, padded_length
from toner_jax.inference.options import DecodeOptions
from toner_jax.inference.sources import source_ids
from toner_jax.inference.written import Work, methods
from toner_jax.models.t5 import model as t5
from toner_jax.models.toner import ToNER
from toner_jax.parallel.mesh import batch_divisor, round_batch, shard_batch
from toner_jax.pipeline.batching import length_sorted_batches, pad_rows
from toner_jax.tasks.output import Input, Output, Span
from toner_jax.tasks.task import Task


@dataclass(frozen=True)
class _Shape:
    """What one compiled program decodes: a queue of `rows`, read and decoded `working` at a time, with sources
    padded to `source` and a cache of `slots`."""

    rows: int
    working: int
    source: int
    slots: int


class _Started(NamedTuple):
    """A batch that the device works on: which inputs its rows are, and the words that their tapes' positions
    belong to."""

    rows: list[int]
    places: list[np.ndarray]
    working: int
    decoded: Any  # blocks.Decoded, of device or host arrays


# Rows in a queue for each row at work: enough that few places stand empty at its end.
_QUEUE = 8
# Passes that most outputs end within, and tokens that they have at most; the rest are decoded again with
# all the room there is.
_PASSES, _TOKENS = 24, 96
# What compiles a program for one thread of a CPU.
ONE_THREAD = {"xla_cpu_multi_thread_eigen": False, "xla_cpu_enable_concurrency_optimized_scheduler": False}
# On CPU, several queues of a model narrower than this are decoded at once, each by one thread: so small matrix
# products gain nothing from more. So many rows at work make them large enough, and so many queues for each thread
# even out their lengths.
_CPU_WIDTH, _CPU_ROWS, _CPU_QUEUES = 512, 16, 2


class GrammarGenerator:
    """Greedy decoding in blocks under the grammar: every output is well formed, every span a run of the
    input's words. `work` counts what it took.

    At most eight shapes are compiled for many inputs at a time, and as many for single ones.
    """

    def __init__(
        self,
        model: ToNER,
        task: Task,
        mesh: Mesh,
        options: DecodeOptions,
        *,
        limit: int = 0,
        queue: int = _QUEUE,
        hints: bool = True,
        threads: int = 0,
    ):
        """Args:
        options: of the rows at a time at most 16 where several queues are decoded at once.
        limit: the most that are written (0: as there is room for); of the same room, any limit runs the same programs
          for all but the few longest outputs.
        queue: rows that are decoded by one call, as a multiple of those at work; where that is more than 1,
          rows that end are replaced by waiting ones.
        hints: False drafts only what the format forces, and no item that it does not.
        threads: queues that are decoded at once (0: of a small model on CPU one for each core, at
          most 16, otherwise 1).
        """
        cpu = jax.default_backend() == "cpu"
        self._task, self._mesh, self._ends = task, mesh, task.grammar().ends
        batch_size, max_length = options.batch_size, options.max_length
        alone = batch_divisor(mesh) == 1 and jax.process_count() == 1
        small = cpu and model.config.d_model < _CPU_WIDTH
        self._threads = (threads or (_cores() if small else 1)) if alone and queue > 1 else 1
        self._working = round_batch(min(batch_size, _CPU_ROWS) if self._threads > 1 else batch_size, mesh)
        # Rows on several devices cannot take each other's places without talking to each other.
        self._rows = self._working * (queue if batch_divisor(mesh) == 1 else 1)
        self._max_length, self._limit = max_length, limit or max_length
        self._block = options.block or (4 if cpu else 8)
        self._passes = min(max(_PASSES, -(-_TOKENS // self._block)), self._limit)
        self._hints = hints
        self.work = Work()
        self._ladder = ladder(options.max_source, task.overhead())
        self._rules = _rules(task)
        self._decode: dict[bool, Any] = {}  # whether on one thread of the CPU → the compiled programs
        for one in (False, True):
            self._decode[one] = jax.jit(
                functools.partial(_decode, model, self._rules, self._block),
                static_argnames=("shape", "length"),
                compiler_options=ONE_THREAD if one and cpu else None,
            )

    def __call__(self, params: Any, inputs: Sequence[Input], temperature: float = 1.0) -> list[Output]:
        """The outputs, in the order of the inputs.

        Args:
          temperature: divides the model's scores before they become probabilities; what is written does
            not depend on it.
        """
        sources = [source_ids(self._task, i) for i in inputs]
        out: list[Output | None] = [None] * len(inputs)
        todo = list(range(len(inputs)))
        if not todo:
            return []
        for final in (False, True):
            batches = list(self._plan([len(sources[i]) for i in todo], final))

            def start(batch: tuple[np.ndarray, _Shape], todo: list[int] = todo) -> _Started:
                chosen = [todo[k] for k in batch[0]]
                return self._start(params, inputs, sources, chosen, batch[1], temperature)

            finished = _in_threads(start, batches, min(self._threads, len(batches)))
            todo = [i for batch in finished for i in self._finish(batch, out)]
            if not todo:
                break
        return out  # type: ignore[return-value]

    def _plan(self, lengths: Sequence[int], final: bool) -> Iterator[tuple[np.ndarray, _Shape]]:
        """Which rows are decoded together, and by which program."""
        single = batch_divisor(self._mesh) == 1 and len(lengths) < 4
        rows, working = (1, 1) if single else (self._rows, self._working)
        # No queue is shared between threads, so there are enough for all, of like sizes.
        queues = -(-len(lengths) // rows)
        if self._threads > 1 and not single:
            most = -(-len(lengths) // max(1, working // 2))
            queues = max(queues, min(self._threads * _CPU_QUEUES, most))
        for chosen in length_sorted_batches(lengths, -(-len(lengths) // queues)):
            source = self._ladder[-1] if final else padded_length(lengths[chosen[0]], self._ladder)
            passes = self._limit if final else self._passes
            yield chosen, _Shape(rows, working, source, passes * self._block)

    def _start(
        self,
        params: Any,
        inputs: Sequence[Input],
        sources: Sequence[np.ndarray],
        rows: list[int],
        shape: _Shape,
        temperature: float,
    ) -> _Started:
        tapes, places = self._tapes([inputs[i] for i in rows], shape)
        ids = pad_rows([sources[i] for i in rows], shape.source, shape.rows)
        # In few arrays, as each takes time to hand over.
        ids, tapes = shard_batch((ids, grammar.pack(tapes)), self._mesh)
        decoded = self._decode[self._threads > 1 and shape.rows > 1](
            params, ids, tapes, len(rows), temperature, shape=shape, length=self._max_length
        )
        return _Started(rows, places, shape.working, decoded)

    def _tapes(self, inputs: Sequence[Input], shape: _Shape) -> tuple[grammar.Tape, list[np.ndarray]]:
        word_ids, names = self._task.word_ids, self._task.schema.names
        layout = self._rules.layout
        if isinstance(self._rules, TypeList):
            return type_list.make_tapes(word_ids, layout, names, shape.rows, self._limit)
        idle = shape.rows - len(inputs)
        texts = [i.words for i in inputs] + [()] * idle
        schemas = [names] * shape.rows
        length = layout.text + shape.source
        tapes, places = grammar.make_tapes(word_ids, layout, texts, schemas, length, self._limit)
        if self._hints:
            matched = [i.matched for i in inputs] + [()] * idle
            tapes = make_hints(layout, tapes, places, texts, schemas, matched)
        return tapes, places

    def _finish(self, started: _Started, out: list[Output | None]) -> list[int]:
        """Reads a batch's outputs into `out`, and returns the inputs that need more room."""
        decoded, rows = started.decoded, started.rows
        self.work.add(int(decoded.passes), started.working)
        counts, complete = (decoded.tokens != 0).sum(axis=1).tolist(), decoded.complete.tolist()
        items: list[list[tuple[int, list[int]]]] = [[] for _ in complete]
        ended = np.nonzero(decoded.spans[..., 0] >= 0)
        for row, at, span in zip(*(e.tolist() for e in ended), decoded.spans[ended].tolist(), strict=True):
            items[row].append((at, span))
        for k, i in enumerate(rows):
            if complete[k]:
                whole = counts[k] - self._ends  # without the end of sequence
                scores = decoded.scores[k, : counts[k]]
                spans = self._spans(scores.tolist(), decoded.ending[k].tolist(), items[k], started.places[k])
                out[i] = Output(decoded.tokens[k, :whole].tolist(), scores[:whole], spans)
        return [i for k, i in enumerate(rows) if not complete[k]]

    def _spans(
        self,
        scores: list[float],
        ending: list[float],
        items: list[tuple[int, list[int]]],
        place: np.ndarray,
    ) -> tuple[Span, ...]:
        """The items of one row's output: the token that each ends at, and its span and type. `place` is the
        word of each of its text's pieces. In the type-recognition task, which has no text, spans are empty."""
        names, text = self._task.schema.names, self._rules.layout.text
        found: list[Span] = []
        begin = self._rules.layout.open[1]
        more = 0.0  # the log-probability that another item follows, given that the last one ended
        for at, (start, end, kind) in items:
            # An item's tokens: a symbol, its type, its span, and the first of the symbol that ends it.
            first = at - (end - start)
            words = (int(place[start - text]), int(place[end - 1 - text]) + 1) if len(place) else (0, 0)
            written = math.exp(more + sum(scores[begin:first]))
            found.append(Span(*words, names[kind], written, math.exp(sum(scores[first:at]) + ending[at])))
            begin, more = at + 1, scores[at] - ending[at]
        return tuple(found)


def _rules(task: Task) -> EntityList | TypeList:
    """What may be written."""
    g = task.grammar()
    if not g.spans:
        return TypeList(type_list.make_layout(task.word_ids, task.schema.names))
    parts = (g.open, g.first, g.empty, g.another, g.last)
    return EntityList(grammar.lay_out(parts, sum(map(len, g.types))))


def _cores() -> int:
    """The cores that this process may use, at most 16."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)


def _fetch(started: _Started) -> _Started:
    return started._replace(decoded=jax.device_get(started.decoded))


def _in_threads(start: Callable[[Any], _Started], batches: Sequence[Any], threads: int) -> Iterator[_Started]:
    """Starts and fetches every batch, in order. With one thread, the next batch is prepared while the device
    works on the last one."""
    if threads > 1:
        pool = ThreadPoolExecutor(threads)
        try:
            yield from pool.map(lambda batch: _fetch(start(batch)), batches)
        finally:
            pool.shutdown(cancel_futures=True)
        return
    waiting: list[_Started] = []
    for batch in batches:
        waiting.append(start(batch))
        if len(waiting) > 1:
            yield _fetch(waiting.pop(0))
    yield from map(_fetch, waiting)


def _decode(
    model: ToNER,
    rules: EntityList | TypeList,
    block: int,
    params: Any,
    source: jax.Array,
    packed: grammar.Packed,
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
        blocks.Model(functools.partial(apply, "read"), step, t5.rewind, t5.reset),
        source,
        apply("empty", shape.working, shape.slots),
        grammar.unpack(packed),
        rules,
        count,
        slots=shape.slots,
        length=length,
        block=block,
        working=shape.working,
    )
