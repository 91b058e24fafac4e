"""This package's ways to decode, each technique switched on after the others, and the floor below them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from benchmarks.machine import THREADS
from benchmarks.subject import Subject
from benchmarks.timing import Contender, Result, Run, Setting
from toner_jax.inference.constrained import ONE_THREAD, GrammarGenerator
from toner_jax.inference.free import FreeGenerator
from toner_jax.inference.lengths import ladder, padded_length
from toner_jax.parallel.mesh import round_batch, shard_batch
from toner_jax.pipeline.batching import length_sorted_batches, pad_rows
from toner_jax.tasks.output import Input

REFERENCE = "greedy"
_QUEUE = 8  # the generator's own default


def contenders(subject: Subject, batches: Sequence[int]) -> list[Contender]:
    """From plain greedy search to what the package does by default on CPU (`cores-4`), and further."""
    settings = tuple(Setting(b) for b in batches)

    def contender(name: str, title: str, make: Callable[[Setting], Run]) -> Contender:
        return Contender(name, title, settings, make)

    def grammar(block: int, hints: bool = True, queue: int = 1, threads: int = 1) -> Callable[[Setting], Run]:
        return lambda setting: _generate(
            subject,
            GrammarGenerator(
                subject.restored.generator,
                subject.task,
                subject.mesh,
                replace(subject.options, batch_size=setting.batch, block=block),
                queue=queue,
                hints=hints,
                threads=threads,
            ),
        )

    return [
        contender(
            "greedy-unsorted", "greedy, in the order given", lambda s: _in_order(free(subject)(s), s.batch)
        ),
        contender(REFERENCE, "greedy, by length", free(subject)),
        contender("grammar", "under the grammar, a token a pass", grammar(1)),
        contender("forced", "+ forced tokens, blocks of 4", grammar(4, hints=False)),
        contender("drafts-4", "+ drafts, blocks of 4", grammar(4)),
        contender("drafts-8", "+ drafts, blocks of 8", grammar(8)),
        contender("refill-4", "+ refilled rows, blocks of 4", grammar(4, queue=_QUEUE)),
        Contender(
            "cores-4",
            "+ a queue on each core, blocks of 4",
            settings[:1],  # the generator's own choice of rows
            grammar(4, queue=_QUEUE, threads=THREADS),
        ),
    ]


def floor(subject: Subject, batches: Sequence[int]) -> list[Contender]:
    """What no way to decode can do without."""
    settings = tuple(Setting(b) for b in batches)

    def read(method: str) -> Callable[[Setting], Run]:
        return lambda setting: _read(subject, method, setting.batch)

    return [
        Contender("floor-encoder", "the encoder alone", settings, read("encode")),
        Contender("floor-read", "encoder, cross-attention's keys and values", settings, read("read")),
    ]


def free(subject: Subject) -> Callable[[Setting], Run]:
    """Greedy search over the whole vocabulary."""
    return lambda setting: _generate(
        subject,
        FreeGenerator(
            subject.restored.generator,
            subject.task,
            subject.mesh,
            replace(subject.options, batch_size=setting.batch, beam_size=1),
        ),
    )


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


def _read(subject: Subject, method: str, batch: int) -> Run:
    model, params = subject.restored.generator, subject.restored.generator_params
    lengths, rows = (
        ladder(subject.options.max_source, subject.task.overhead()),
        round_batch(batch, subject.mesh),
    )

    def read(params: Any, ids: jax.Array) -> Any:
        mask = ((ids != 0).astype("float32"),) if method == "encode" else ()
        return model.apply({"params": params}, ids, *mask, method=method)

    program, pool = jax.jit(read, compiler_options=ONE_THREAD), ThreadPoolExecutor(THREADS)

    def run(inputs: Sequence[Input]) -> Result:
        sources = subject.sources(inputs)

        def read_batch(chosen: np.ndarray) -> None:
            length = padded_length(len(sources[chosen[0]]), lengths)
            ids = pad_rows([sources[i] for i in chosen], length, rows)
            jax.block_until_ready(program(params, shard_batch(ids, subject.mesh)))

        list(pool.map(read_batch, length_sorted_batches([len(s) for s in sources], rows)))
        return Result(None)

    return run
