"""This package's ways to decode, each technique switched on after the others, and the floor below them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from toner_jax.benchmarks.machine import THREADS
from toner_jax.benchmarks.subject import Subject
from toner_jax.benchmarks.timing import Contender, Result, Run, Setting
from toner_jax.inference.constrained import GrammarGenerator
from toner_jax.inference.free import FreeGenerator
from toner_jax.inference.lengths import bucket_of, length_buckets
from toner_jax.inference.options import Techniques
from toner_jax.inference.programs import Programs
from toner_jax.inference.threads import ONE_THREAD
from toner_jax.models.t5.model import T5
from toner_jax.parallel.mesh import on_cpu, round_batch, shard_batch
from toner_jax.pipeline.batching import length_sorted_batches, pad_rows
from toner_jax.tasks.output import Input

REFERENCE = "greedy"
_REQUESTS_PER_ROW = Techniques().requests_per_row


def contenders(subject: Subject, batches: Sequence[int]) -> list[Contender]:
    """From plain greedy search to what the package does by default, on CPU (`cores-4`) or elsewhere (`batching-8`)."""
    settings = _settings(subject, batches)

    def contender(name: str, title: str, make: Callable[[Setting], Run]) -> Contender:
        return Contender(name, title, settings, make)

    def grammar(
        tokens_per_pass: int, drafts: bool = True, requests_per_row: int = 1, threads: int = 1
    ) -> Callable[[Setting], Run]:
        techniques = Techniques(requests_per_row, threads, drafts)

        def make(setting: Setting) -> Run:
            options = replace(subject.options, batch_size=setting.batch, tokens_per_pass=tokens_per_pass)
            return _generate(
                subject,
                GrammarGenerator(
                    Programs(subject.make_decoder, subject.mesh),
                    subject.task,
                    subject.mesh,
                    options,
                    techniques=techniques,
                ),
            )

        return make

    return [
        contender(
            "greedy-unsorted", "greedy, in the order given", lambda s: _in_order(free(subject)(s), s.batch)
        ),
        contender(REFERENCE, "greedy, by length", free(subject)),
        contender("grammar", "under the grammar, a token a pass", grammar(1)),
        contender("forced", "+ forced tokens, 4 a pass", grammar(4, drafts=False)),
        contender("drafts-4", "+ drafts, 4 tokens a pass", grammar(4)),
        contender("drafts-8", "+ drafts, 8 tokens a pass", grammar(8)),
        contender(
            "batching-4",
            "+ continuous batching, 4 tokens a pass",
            grammar(4, requests_per_row=_REQUESTS_PER_ROW),
        ),
        _default(subject, settings, grammar),
    ]


def _settings(subject: Subject, batches: Sequence[int]) -> tuple[Setting, ...]:
    threads = THREADS if on_cpu(subject.mesh) else 1
    return tuple(Setting(b, threads=threads) for b in batches)


def _default(
    subject: Subject, settings: tuple[Setting, ...], grammar: Callable[..., Callable[[Setting], Run]]
) -> Contender:
    """What the package does by default on these devices."""
    if not on_cpu(subject.mesh):
        make = grammar(8, requests_per_row=_REQUESTS_PER_ROW)
        return Contender("batching-8", "+ continuous batching, 8 tokens a pass", settings, make)
    return Contender(
        "cores-4",
        "+ a group of requests on each core, 4 tokens a pass",
        settings[:1],  # the generator's own choice of rows
        grammar(4, requests_per_row=_REQUESTS_PER_ROW, threads=THREADS),
    )


def floor(subject: Subject, batches: Sequence[int]) -> list[Contender]:
    """What no way to decode can do without."""
    settings = _settings(subject, batches)

    def encode(function: Callable[[Any, jax.Array], Any]) -> Callable[[Setting], Run]:
        return lambda setting: _encode(subject, function, setting.batch)

    model = subject.restored.generator

    def states(params: Any, ids: jax.Array) -> Any:
        return model.apply({"params": params}, ids, (ids != 0).astype("float32"), method=T5.encode)

    def source(params: Any, ids: jax.Array) -> Any:
        return subject.make_decoder(params).encode(ids)

    return [
        Contender("floor-encoder", "the encoder alone", settings, encode(states)),
        Contender("floor-encode", "encoder, cross-attention's keys and values", settings, encode(source)),
    ]


def free(subject: Subject) -> Callable[[Setting], Run]:
    """Greedy search over the whole vocabulary."""

    def make(setting: Setting) -> Run:
        options = replace(subject.options, batch_size=setting.batch, beam_size=1)
        return _generate(
            subject,
            FreeGenerator(Programs(subject.make_decoder, subject.mesh), subject.task, subject.mesh, options),
        )

    return make


def _generate(subject: Subject, generator: FreeGenerator | GrammarGenerator) -> Run:
    def run(inputs: Sequence[Input]) -> Result:
        before = replace(generator.work)
        outputs = generator(subject.restored.generator_params, inputs)
        work = generator.work
        return Result(outputs, work.passes - before.passes, work.rows - before.rows)

    return run


def _in_order(run: Run, batch: int) -> Run:
    """A batch a call: none is sorted by length."""

    def all_in_order(inputs: Sequence[Input]) -> Result:
        return _joined([run(inputs[k : k + batch]) for k in range(0, len(inputs), batch)])

    return all_in_order


def _joined(parts: Sequence[Result]) -> Result:
    outputs = [o for p in parts for o in p.outputs or []]
    return Result(outputs, sum(p.passes or 0 for p in parts), sum(p.rows or 0 for p in parts))


def _encode(subject: Subject, function: Callable[[Any, jax.Array], Any], batch: int) -> Run:
    """Runs (params, ids [B, S]) → … over all sources, as many at once as there are threads."""
    params, rows = subject.restored.generator_params, round_batch(batch, subject.mesh)
    buckets = length_buckets(subject.options.max_source, subject.task.overhead())
    one_thread, threads = (ONE_THREAD, THREADS) if on_cpu(subject.mesh) else (None, 1)
    program, pool = jax.jit(function, compiler_options=one_thread), ThreadPoolExecutor(threads)

    def run(inputs: Sequence[Input]) -> Result:
        sources = subject.sources(inputs)

        def encode_batch(chosen: np.ndarray) -> None:
            length = bucket_of(len(sources[chosen[0]]), buckets)
            ids = pad_rows([sources[i] for i in chosen], length, rows)
            jax.block_until_ready(program(params, shard_batch(ids, subject.mesh)))

        list(pool.map(encode_batch, length_sorted_batches([len(s) for s in sources], rows)))
        return Result(None)

    return run
