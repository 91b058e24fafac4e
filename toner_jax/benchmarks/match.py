"""`toner-jax bench match`: the type matching model, embedding texts and training, beside PyTorch's."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from toner_jax.benchmarks import tables, torch_trainers
from toner_jax.benchmarks.machine import described, machine
from toner_jax.benchmarks.match_subject import SIZES, Asked, MatchSubject, of_run, of_size
from toner_jax.benchmarks.matchers import Matcher, Ours
from toner_jax.benchmarks.tables import Cell, number
from toner_jax.benchmarks.timing import turns
from toner_jax.benchmarks.torch_matchers import InTorch
from toner_jax.benchmarks.torch_trainers import PREFIX, WAYS, works
from toner_jax.common import cli
from toner_jax.common.console import say, warn
from toner_jax.errors import ParameterError, UserError
from toner_jax.training.state import count_parameters

# Of embeddings, absolute, and of losses without dropout, relative: more is another computation.
_TOLERANCES = {"float32": (1e-4, 1e-3), "bfloat16": (2e-2, 2e-2)}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=cli.path, help="the work directory of a run: its sizes and its texts")
    parser.add_argument(
        "--size", type=cli.one_of(*SIZES), help=f"or one of {', '.join(SIZES)}, with random ids"
    )
    parser.add_argument("--texts", type=cli.positive, default=10_000, help="to embed (default: 10,000)")
    parser.add_argument(
        "--train_texts", type=cli.positive, default=2_000, help="of them, to train on (default: 2,000)"
    )
    parser.add_argument("--batch", type=cli.positive, default=32, help="texts at a time (default: 32)")
    parser.add_argument("--dropout", type=cli.number, default=0.1, help="of the training (default: 0.1)")
    parser.add_argument("--rounds", type=cli.positive, default=5, help="how often each is measured")
    parser.add_argument(
        "--check_steps", type=cli.whole_number, default=3,
        help="steps without dropout whose losses are compared with PyTorch's; 0 for none",
    )  # fmt: skip
    tables.add_options(parser)


def run(options: argparse.Namespace) -> None:
    """Measures, prints a table, and writes the files asked for.

    Raises:
      UserError: an option that means nothing, or no run.
    """
    subject = _subject(options)
    reason = torch_trainers.left_out(subject.mesh)
    report = measure(subject, options, rivals=reason is None)
    if reason:
        report["left_out"].append(reason)
        say(reason)
    title = f"Type matching, {report['model']['parameters'] / 1e6:,.1f} M parameters, on {subject.name}"
    notes = [*_checked(report), *report["left_out"]]
    shown = tables.terminal_table(title, _columns(report), report, notes)
    page = tables.page_section(title, _columns(report), report, [_setting(report), "", *notes])
    tables.deliver(report, shown, page, options)


def measure(subject: MatchSubject, options: argparse.Namespace, rivals: bool) -> dict[str, Any]:
    """The report.

    Args:
      rivals: whether PyTorch is measured, too.
    """
    names = tables.chosen(options.only, [Ours.name, *(PREFIX + way for way in WAYS if rivals)])
    trained = subject.first(max(1, options.train_texts // subject.batch_size))
    check = None
    if rivals and options.check_steps > 0:
        check = compare(subject, options.check_steps)
    ours = Ours(trained)
    matchers: list[Matcher] = [ours] if ours.name in names else []
    matchers += [InTorch(trained, ours.params, way) for way in WAYS if PREFIX + way in names]
    left_out: list[str] = []
    matchers = [m for m in matchers if works(m.name, partial(_prepare, m), left_out)]
    seconds = _timed(matchers, options.rounds)
    lengths = [len(row) for row in subject.rows]
    return {
        "benchmark": "match",
        "command": _command(options),
        **machine(subject.mesh),
        "model": {
            "parameters": count_parameters(ours.params),
            "dtype": jax.numpy.dtype(subject.model.dtype).name,
            "dropout": subject.model.config.dropout_rate,
        },
        "data": {
            "name": subject.name,
            "texts": len(lengths),
            "tokens": statistics.fmean(lengths),
            "types": len(subject.descriptions),
            "batch": subject.batch_size,
            "steps": len(trained.batches),
        },
        "rounds": options.rounds,
        "check": check,
        "left_out": left_out,
        "contenders": [_figures(trained, matcher, seconds) for matcher in matchers],
    }


def _prepare(matcher: Matcher) -> None:
    """Does all once, which compiles what there is to compile."""
    begun = time.perf_counter()
    matcher.embed()
    matcher.train()
    say(f"{matcher.name}: ready in {time.perf_counter() - begun:.1f} s")


def _timed(matchers: Sequence[Matcher], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each round, by contender and by what it does."""
    seconds: dict[str, dict[str, list[float]]] = {m.name: {"embed": [], "train": []} for m in matchers}
    for matcher in turns(matchers, rounds, say):
        for what, call in (("embed", matcher.embed), ("train", matcher.train)):
            seconds[matcher.name][what].append(_seconds(call))
    return seconds


def compare(subject: MatchSubject, steps: int) -> dict[str, Any]:
    """How far embeddings, and losses without dropout, are from PyTorch's; another computation would be farther."""
    plain = subject.without_dropout().first(steps)
    ours = Ours(plain)
    theirs = InTorch(plain, ours.params, next(iter(WAYS)))
    embeddings = float(np.abs(ours.embed() - theirs.embed()).max())
    losses = ours.train(), theirs.train()
    apart = max(abs(x - y) / abs(y) for x, y in zip(*losses, strict=True))
    most, share = _TOLERANCES[jax.numpy.dtype(subject.model.dtype).name]
    if not (embeddings <= most and apart <= share):
        warn(
            f"embeddings differ by {embeddings:.2g}, losses by {apart:.1%}: the contenders do not compute the same, so "
            "ratios mean little"
        )
    return {"embeddings": embeddings, "losses": losses, "largest_difference": apart}


def _subject(options: argparse.Namespace) -> MatchSubject:
    if (options.model is None) == (options.size is None):
        raise UserError("give --model=WORKDIR or --size=NAME, and not both")
    if not 0 <= options.dropout < 1:
        raise ParameterError("dropout", options.dropout, "a share of at least 0 and less than 1")
    asked = Asked(options.texts, options.batch, options.dropout)
    return of_run(options.model, asked) if options.model else of_size(SIZES[options.size], asked)


def _seconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _figures(
    subject: MatchSubject, matcher: Matcher, seconds: dict[str, dict[str, list[float]]]
) -> dict[str, Any]:
    mine = seconds[matcher.name]
    embed, train = (statistics.median(mine[what]) for what in ("embed", "train"))
    rivals = [name for name in seconds if name.startswith(PREFIX)]
    return {
        "name": matcher.name,
        "title": matcher.title,
        "texts_per_second": len(subject.rows) / embed,
        "embedding_flops_per_second": subject.embedding_flops / embed,
        "step_ms": 1e3 * train / len(subject.batches),
        "examples_per_second": subject.examples / train,
        "times_as_fast_as": {
            name: {what: tables.ratios(seconds[name][what], mine[what]) for what in ("embed", "train")}
            for name in rivals
        },
    }


def _columns(report: dict[str, Any]) -> tuple[tuple[str, Cell], ...]:
    fixed: tuple[tuple[str, Cell], ...] = (
        ("texts/s", lambda c: number(c["texts_per_second"], ",.0f")),
        ("TFLOP/s", lambda c: number(c["embedding_flops_per_second"] / 1e12, ",.3g")),
        ("step ms", lambda c: number(c["step_ms"], ",.1f")),
        ("examples/s", lambda c: number(c["examples_per_second"], ",.0f")),
    )

    def against(name: str, what: str) -> Cell:
        def cell(contender: dict[str, Any]) -> str:
            return tables.ratio_cell(contender["times_as_fast_as"][name][what])

        return cell

    rivals = report["contenders"][0]["times_as_fast_as"]
    return (
        *fixed,
        *((f"{what} / {name}", against(name, what)) for what in ("embed", "train") for name in rivals),
    )


def _checked(report: dict[str, Any]) -> list[str]:
    if report["check"] is None:
        return []
    return [
        f"Embeddings differ by at most {report['check']['embeddings']:.2g}, losses of the first "
        f"{len(report['check']['losses'][0])} steps without dropout by {report['check']['largest_difference']:.2g}."
    ]


def _setting(report: dict[str, Any]) -> str:
    """What it was measured with, for a page."""
    model, data = report["model"], report["data"]
    return (
        f"{model['parameters']:,} parameters, {model['dtype']}, dropout {model['dropout']:g} in training; "
        f"{data['texts']:,} texts of {data['tokens']:.0f} tokens on average, {data['types']} types; training on "
        f"{data['steps']} batches of {data['batch']}. {described(report)}; medians of {report['rounds']} rounds. "
        f"{tables.versions(report)}."
    )


def _command(options: argparse.Namespace) -> str:
    """The command, without the places of files on this machine."""
    names = ["size", "texts", "train_texts", "batch", "dropout", "rounds", "only", "device"]
    shown = tables.flags(options, names)
    return " ".join(["toner-jax bench match", *(["--model=WORKDIR"] if options.model else []), *shown])
