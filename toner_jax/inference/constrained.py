"""Constrained decoding, the default: outputs under the grammar, many inputs through few compiled programs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from toner_jax.common.console import advance
from toner_jax.common.lazy import Lazy
from toner_jax.decoding import continuous_batching
from toner_jax.decoding.automaton import Automaton
from toner_jax.decoding.compile import compile_grammar
from toner_jax.decoding.drafts import make_draft_plans
from toner_jax.decoding.speculative import SpeculativeOptions
from toner_jax.decoding.tape import (
    Packed,
    Tape,
    make_tapes,
    pack,
    type_pieces,
    type_starts,
    unpack,
)
from toner_jax.inference.kept_programs import KeptPrograms
from toner_jax.inference.options import DecodeOptions, Techniques
from toner_jax.inference.programs import Programs
from toner_jax.inference.replicas import are_apart, dealt, decode_on
from toner_jax.inference.request_groups import GroupPlan, Planner, Shape
from toner_jax.inference.sources import Source, make_source
from toner_jax.inference.threads import ONE_THREAD, in_threads
from toner_jax.inference.work import Work
from toner_jax.models.decoder import MakeDecoder, Seq2SeqDecoder
from toner_jax.parallel.exchange import by_share, filled, on_host
from toner_jax.parallel.mesh import abstract_batch, on_cpu, own_rows, shard_batch
from toner_jax.tasks.output import Input, Output, WrittenSpan, probability
from toner_jax.tasks.task import Task


class _Call(NamedTuple):
    """What a call of the generator was given, and its inputs as ids; `calibration_temperature` as there."""

    params: Any
    inputs: Sequence[Input]
    sources: Sequence[Source]
    calibration_temperature: float
    plan: GroupPlan


class _Group(NamedTuple):
    """A group of requests that the device decodes.

    Attributes:
      inputs: which inputs its requests are.
      own: of each, whether this process reads what was written for it.
      word_index: of each, the word that each piece of its text belongs to.
      at: where each lies among the requests of the program.
      rows: how many are at work at a time.
      decoded: `continuous_batching.Decoded`, of device or host arrays.
    """

    inputs: list[int]
    own: list[bool]
    word_index: list[np.ndarray]
    at: np.ndarray
    rows: int
    decoded: Any


class GrammarGenerator:
    """Speculative decoding under a task's grammar: every output is well formed up to where it is cut, every span a run
    of the input's words. `work` counts what it took.

    At most eight shapes are compiled for many inputs at a time, as many for a few, and as many for single ones.
    """

    def __init__(
        self,
        programs: Programs,
        task: Task,
        mesh: Mesh,
        options: DecodeOptions,
        *,
        techniques: Techniques | None = None,
        limit: int = 0,
    ):
        """Args:
        programs: the model's, which generators share.
        techniques: None for those that are fastest.
        limit: where an output is cut, in tokens (0: `options.max_length`); of the same room, any limit runs the same
          programs for all but the few longest outputs.
        """
        techniques = techniques or Techniques()
        cpu = on_cpu(mesh)
        self._programs, self._task, self._mesh = programs, task, mesh
        self._max_length, self._limit = options.max_length, limit or options.max_length
        self._tokens_per_pass = options.tokens_per_pass or (4 if cpu else 8)
        self._unroll = not cpu
        self._drafts = techniques.drafts
        self._weights = options.weights
        self._apart: bool | None = None  # known with the parameters
        self._grammar = options.constrained(task.grammar())
        self._automaton = compile_grammar(self._grammar)
        self._type_pieces = type_pieces(self._grammar)
        # All fits that fits into a source, unless types have many more pieces on the tape than in the prompt.
        overhead, most = task.overhead(), options.max_source
        buckets = programs.lengths(max(most, most - overhead + self._type_pieces), overhead)
        self._planner = Planner(mesh, options, techniques, buckets, self._tokens_per_pass, self._limit)
        self.work = Work()
        self._one_thread = ONE_THREAD if cpu else None

    def __call__(
        self, params: Any, inputs: Sequence[Input], calibration_temperature: float = 1.0
    ) -> list[Output]:
        """The outputs, in the order of the inputs.

        Args:
          calibration_temperature: divides the model's scores before they become probabilities; what is written does
            not depend on it.
        """
        sources = Lazy(lambda i: make_source(self._task, inputs[i]), len(inputs))
        positions = by_share(lambda i: self._positions(sources[i]), len(inputs))
        plan = self._plan(params)
        call = _Call(params, inputs, sources, calibration_temperature, plan)
        out: list[Output | None] = [None] * len(inputs)
        todo = list(range(len(inputs)))
        for again in (False, True):
            if not todo:
                break
            lengths = [positions[i] for i in todo]
            groups = [([todo[k] for k in chosen], shape) for chosen, shape in plan.groups(lengths, again)]
            self._programs.compilations.expect(self._compiled_for(shape) for _, shape in groups)
            start = functools.partial(self._start, call)
            finished = in_threads(start, _fetch, groups, min(plan.threads, len(groups)))
            todo = [i for group in finished for i in self._finish(group, out)]
        return filled(out)

    def preparations(self, params: Any) -> list[Callable[[], object]]:
        """What compiles all programs, those for few inputs first: a call for each, which decodes nothing."""
        call = _Call(params, [], [], 1.0, self._plan(params))
        shapes = list(call.plan.shapes())
        self._programs.compilations.expect(map(self._compiled_for, shapes))
        return [functools.partial(self._run_empty, call, shape) for shape in shapes]

    def _run_empty(self, call: _Call, shape: Shape) -> None:
        _fetch(self._start(call, ([], shape)))

    def _plan(self, params: Any) -> GroupPlan:
        make_decoder = self._programs.make_decoder
        if self._apart is None:
            self._apart = are_apart(make_decoder, params, self._mesh, self._weights)
        return self._planner.plan(make_decoder(params).width, self._apart)

    def _positions(self, source: Source) -> int:
        """What a program for an input has to hold: its source, and its types and text on the tape, which are rarely
        more."""
        return max(len(source.ids), self._type_pieces + source.text * self._grammar.spans)

    def _compiled_for(self, shape: Shape) -> Hashable:
        return self._automaton, self._max_length, shape

    def _start(self, call: _Call, group: tuple[list[int], Shape]) -> _Group:
        """Has the device decode the inputs of one group."""
        chosen, shape = group
        at, size = dealt(len(chosen), shape.requests, call.plan.loops)
        texts: list[Input | None] = [None] * shape.requests
        ids = np.zeros((shape.requests, shape.source), np.int32)
        own = own_rows(self._mesh, shape.requests)[at]
        for i, row in zip(np.array(chosen, int)[own].tolist(), at[own].tolist(), strict=True):
            texts[row], source = call.inputs[i], call.sources[i].ids
            ids[row, : len(source)] = source
        tapes, word_index = self._tapes(texts, shape)
        # In few arrays, as each takes time to hand over.
        ids, tapes = shard_batch((ids, pack(tapes)), self._mesh)
        one_thread = self._one_thread if call.plan.threads > 1 and shape.requests > 1 else None
        program = self._program(call.plan, compiler_options=one_thread)
        given = _Given(call.calibration_temperature, self._limit)
        options = self._speculative(call.plan, shape)
        with self._programs.compilations.compiling(self._compiled_for(shape)):
            decoded = program(call.params, given, _Requests(ids, tapes, size), options=options)
        return _Group(chosen, own.tolist(), word_index, at, shape.rows, decoded)

    def _program(self, plan: GroupPlan, compiler_options: dict[str, Any] | None = None) -> KeptPrograms:
        return self._programs.get(_decode, self._automaton, plan.apart, compiler_options=compiler_options)

    def _speculative(self, plan: GroupPlan, shape: Shape) -> SpeculativeOptions:
        return SpeculativeOptions(
            tokens_per_pass=self._tokens_per_pass,
            slots=shape.passes * self._tokens_per_pass,
            length=self._max_length,
            rows=shape.rows // plan.loops,
            unroll=self._unroll,
        )

    def lower(self, params: Any, source: int) -> jax.stages.Lowered:
        """The program that decodes many inputs, to be compiled for the mesh's devices, which need not be here.

        Args:
          params: shapes with their shardings.
          source: what inputs are padded to.
        """
        plan = self._plan(params)
        shape = Shape(plan.requests, plan.rows, source, plan.passes)
        tapes, _ = self._tapes([None] * plan.requests, shape)
        host = np.zeros((shape.requests, source), np.int32), pack(tapes)
        ids, tapes = abstract_batch(host, self._mesh)
        _, size = dealt(plan.requests, plan.requests, plan.loops)
        program = self._program(plan)
        given, requests = _Given(1.0, self._limit), _Requests(ids, tapes, size)
        return program.lower(params, given, requests, options=self._speculative(plan, shape))

    def _tapes(self, inputs: Sequence[Input | None], shape: Shape) -> tuple[Tape, list[np.ndarray]]:
        """The tapes of a group; where there is no request, of an empty text."""
        texts = [() if i is None else i.words for i in inputs]
        word, names = self._task.word_ids.word, self._task.schema.names
        ids = [[word(w) for w in words] for words in texts] if self._grammar.spans else [()] * len(texts)
        tapes, word_index = make_tapes(self._grammar, ids, shape.source)
        if self._drafts and self._grammar.spans:
            matched = [() if i is None else i.matched for i in inputs]
            first = [names[:1] if types is None else types[:1] for types in matched]
            likeliest = [names.index(types[0]) if types else -1 for types in first]
            tapes = make_draft_plans(self._grammar, tapes, word_index, texts, likeliest)
        return tapes, word_index

    def _finish(self, group: _Group, out: list[Output | None]) -> list[int]:
        """Reads a group's outputs into `out`, and returns the inputs that need more room."""
        decoded = group.decoded
        self.work.add(decoded.passes, group.rows)
        counts, complete = (decoded.tokens != 0).sum(axis=1).tolist(), decoded.complete.tolist()
        truncated = decoded.truncated.tolist()
        items = _items_by_request(decoded.spans)
        for k, i, own in zip(group.at.tolist(), group.inputs, group.own, strict=True):
            if complete[k] and own:
                # Without the end of sequence.
                whole = counts[k] - (self._grammar.ends and not truncated[k])
                scores = decoded.scores[k, : counts[k]]
                spans = self._spans(
                    scores.tolist(), decoded.ending[k].tolist(), items[k], group.word_index[k]
                )
                out[i] = Output(
                    decoded.tokens[k, :whole].tolist(), scores[:whole], spans, truncated=truncated[k]
                )
        unfinished = [i for k, i in zip(group.at.tolist(), group.inputs, strict=True) if not complete[k]]
        advance(len(group.inputs) - len(unfinished))
        return unfinished

    def _spans(
        self,
        scores: list[float],
        ending: list[float],
        items: list[tuple[int, list[int]]],
        word_index: np.ndarray,
    ) -> tuple[WrittenSpan, ...]:
        """The items of one output: the token that each ends at, and its span and type. `word_index` is the word of
        each of its text's pieces. In the type-recognition task, which has no text, spans are empty."""
        names, text = self._task.schema.names, type_starts(self._grammar)[-1]
        found: list[WrittenSpan] = []
        begin = self._automaton.layout.open[1]
        more = 0.0  # the log-probability that another item follows, given that the last one ended
        for at, (start, end, kind) in items:
            # An item's tokens: a symbol, its type, its span, and the first of the symbol that ends it.
            first = at - (end - start)
            words = (0, 0)
            if len(word_index):
                words = int(word_index[start - text]), int(word_index[end - 1 - text]) + 1
            written = probability(more + sum(scores[begin:first]))
            follows = probability(sum(scores[first:at]) + ending[at])
            found.append(WrittenSpan(*words, names[kind], written, follows))
            begin, more = at + 1, scores[at] - ending[at]
        return tuple(found)


def _items_by_request(spans_NT3: np.ndarray) -> list[list[tuple[int, list[int]]]]:
    """Of each request the items that it ended: at which token, and [start, end, type] of `Decoded.spans`."""
    items: list[list[tuple[int, list[int]]]] = [[] for _ in spans_NT3]
    ended = np.nonzero(spans_NT3[..., 0] >= 0)
    for request, at, span in zip(*(e.tolist() for e in ended), spans_NT3[ended].tolist(), strict=True):
        items[request].append((at, span))
    return items


def _fetch(group: _Group) -> _Group:
    return group._replace(decoded=on_host(group.decoded))


class _Given(NamedTuple):
    """What all rows share: `budget` as in `continuous_batching.Requests`."""

    calibration_temperature: jax.Array | float
    budget: jax.Array | int


class _Requests(NamedTuple):
    """`continuous_batching.Requests` with its tapes packed, of one or several replicas; `size` is int32 [replicas]."""

    ids: jax.Array
    tapes: Packed
    size: jax.Array | np.ndarray


def _decode(
    make_decoder: MakeDecoder,
    automaton: Automaton,
    apart: bool,
    params: Any,
    given: _Given,
    requests: _Requests,
    options: SpeculativeOptions,
) -> continuous_batching.Decoded:
    """The program that is compiled; `passes` are of each replica, int32 [replicas]."""

    def of_replica(whole: tuple[Seq2SeqDecoder, _Given], own: _Requests) -> continuous_batching.Decoded:
        decoder, given = whole
        unpacked = continuous_batching.Requests(own.ids, unpack(own.tapes), own.size[0], given.budget)
        decoded = continuous_batching.decode(
            decoder, automaton, unpacked, options, given.calibration_temperature
        )
        return decoded._replace(passes=decoded.passes[None])

    decoded: continuous_batching.Decoded = decode_on(of_replica, make_decoder(params), given, requests, apart)
    return decoded
