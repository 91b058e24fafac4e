"""`toner-jax bench decode`: one trained model decoded in this package's ways and by other libraries."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax

from toner_jax.benchmarks import ours, peers, tables
from toner_jax.benchmarks.machine import machine
from toner_jax.benchmarks.report import markdown, table
from toner_jax.benchmarks.subject import Subject, load
from toner_jax.benchmarks.timing import Contender, Measured, Setting, measure
from toner_jax.common import cli
from toner_jax.common.console import say
from toner_jax.errors import UserError
from toner_jax.tasks.output import Output


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=cli.path, required=True, help="the work directory of a finished run")
    parser.add_argument(
        "--split",
        type=cli.one_of("train", "dev", "test"),
        default="test",
        help="train, dev or test (default)",
    )
    parser.add_argument(
        "--sentences", type=cli.whole_number, default=500, help="how many of the split; 0 for all"
    )
    parser.add_argument("--requests", type=cli.whole_number, default=100, help="sentences decoded one by one")
    parser.add_argument("--rounds", type=cli.whole_number, default=5, help="how often each is measured")
    parser.add_argument("--batches", default="16,32,64,128", help="batch sizes to choose from")
    tables.add_options(parser)


def run(options: argparse.Namespace) -> None:
    """Measures, prints a table, and writes the files asked for.

    Raises:
      UserError: an option that means nothing, or no finished run.
    """
    batches = _batches(options.batches)
    if min(options.requests, options.rounds) < 1 or options.sentences < 0:
        raise UserError("--requests and --rounds are at least 1, --sentences at least 0")
    subject = load(options.model, options.split, options.sentences)
    left_out = [f"{name}: {reason}" for name, reason in peers.left_out(subject.mesh).items()]
    for line in left_out:
        say(line)
    with tempfile.TemporaryDirectory() as folder:
        rivals = peers.contenders(subject, Path(folder), batches)
        contenders = [*ours.contenders(subject, batches), *rivals, *ours.floor(subject, batches)]
        chosen = _chosen(contenders, options.only)
        measured = measure(chosen, subject.inputs, options.requests, options.rounds, say)
    report = {
        "benchmark": "decode",
        "command": _command(options),
        **machine(subject.mesh),
        **_described(subject, options),
        "left_out": left_out,
        "contenders": _figures(subject, measured, batches, [r.name for r in rivals]),
    }
    tables.deliver(report, table(report), markdown(report), options)


def _command(options: argparse.Namespace) -> str:
    """The command, without the places of files on this machine."""
    values = {
        k: getattr(options, k)
        for k in ("split", "sentences", "requests", "rounds", "batches", "only", "device")
    }
    shown = [f"--{k}={v}" for k, v in values.items() if v != ""]
    return " ".join(["toner-jax bench decode --model=WORKDIR", *shown])


def _batches(argument: str) -> tuple[int, ...]:
    sizes = argument.split(",")
    if not all(s.isdecimal() and int(s) for s in sizes):
        raise UserError(f"--batches={argument}: write sizes with commas between, as 16,64")
    return tuple(map(int, sizes))


def _chosen(contenders: Sequence[Contender], only: str) -> list[Contender]:
    names = tables.chosen(only, [c.name for c in contenders])
    return [c for c in contenders if c.name in names]


def _described(subject: Subject, options: argparse.Namespace) -> dict[str, Any]:
    config = subject.restored.generator.config
    parameters = sum(leaf.size for leaf in jax.tree.leaves(subject.restored.generator_params))
    return {
        "model": {
            "parameters": parameters,
            "d_model": config.d_model,
            "layers": [config.num_layers, config.num_decoder_layers],
            "vocabulary": config.vocab_size,
        },
        "data": {
            "name": subject.restored.config.data.name,
            "split": options.split,
            "sentences": len(subject.sentences),
            "inputs": len(subject.inputs),
            "source_tokens": statistics.fmean(len(s) for s in subject.sources(subject.inputs)),
        },
        "rounds": options.rounds,
        "requests": min(options.requests, len(subject.inputs)),
    }


def _figures(
    subject: Subject, measured: Sequence[Measured], batches: Sequence[int], peer_names: Sequence[str]
) -> list[dict[str, Any]]:
    by_name = {m.contender.name: m for m in measured}
    reference = by_name.get(ours.REFERENCE)
    greedy = reference.result if reference else ours.free(subject)(Setting(batches[0]))(subject.inputs)
    if greedy.outputs is None:
        raise TypeError(f"{ours.REFERENCE} gives no outputs to compare with")
    rivals = {name: by_name[name] for name in peer_names if name in by_name}
    return [_figures_of(subject, m, greedy.outputs, rivals) for m in measured]


def _figures_of(
    subject: Subject, m: Measured, greedy: Sequence[Output], rivals: dict[str, Measured]
) -> dict[str, Any]:
    count, seconds, result = len(subject.sentences), statistics.median(m.seconds), m.result
    same, f1 = None, None
    if result.outputs is not None:
        same = statistics.fmean(a.tokens == b.tokens for a, b in zip(result.outputs, greedy, strict=True))
        f1 = subject.f1(result.outputs)
    return {
        "name": m.contender.name,
        "title": m.contender.title,
        "setting": asdict(m.setting),
        "single_setting": asdict(m.single_setting),
        "sentences_per_second": {"median": count / seconds, "best": count / min(m.seconds)},
        "latency_ms": {"p50": 1e3 * m.latency(50), "p95": 1e3 * m.latency(95)},
        "passes_per_sentence": None if result.rows is None else result.rows / count,
        "ms_per_pass": None if result.passes is None else 1e3 * seconds / result.passes,
        "cpu_ms_per_sentence": 1e3 * statistics.median(m.cpu_seconds) / count,
        "identical_to_greedy": same,
        "strict_f1": f1,
        # Of the same round, so that a slow minute of the machine cancels out.
        "times_as_fast_as": {
            name: statistics.median(a / b for a, b in zip(rival.seconds, m.seconds, strict=True))
            for name, rival in rivals.items()
        },
    }
