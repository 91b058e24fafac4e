"""`toner-jax bench epoch`: an epoch of the generator's training, from text, ours and PyTorch's with other batches."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from toner_jax.benchmarks import tables, torch_trainers, train_subject
from toner_jax.benchmarks.machine import described, machine
from toner_jax.benchmarks.tables import Cell, number
from toner_jax.benchmarks.timing import turns
from toner_jax.benchmarks.torch_epochs import GROUPED, RANDOM, Epoch, TorchEpoch, faster_attention
from toner_jax.benchmarks.torch_trainers import PREFIX, TorchModel
from toner_jax.benchmarks.train_subject import Asked, TrainText
from toner_jax.benchmarks.trainers import Ours
from toner_jax.common import cli
from toner_jax.common.console import say
from toner_jax.pipeline.batching import HostBatch
from toner_jax.runs.restore import read_work_config
from toner_jax.runs.view import Settings
from toner_jax.training.state import count_parameters

_TRIED = 8  # batches that tell which attention is faster


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=cli.path, required=True, help="the work directory of a run")
    parser.add_argument(
        "--sentences", type=cli.whole_number, default=2_000, help="of its training split; 0 for all"
    )
    parser.add_argument("--rounds", type=cli.positive, default=5, help="how often each is measured")
    tables.add_options(parser)


def run(options: argparse.Namespace) -> None:
    """Measures, prints a table, and writes the files asked for.

    Raises:
      UserError: an option that means nothing, or no run.
    """
    config = read_work_config(options.model)
    config.generator.epochs = 1.0
    text = train_subject.read_text(options.model, config, options.sentences)
    reason = torch_trainers.left_out(text.mesh)
    report = measure(config, text, options, rivals=reason is None)
    if reason:
        report["left_out"].append(reason)
        say(reason)
    title = f"An epoch of {report['data']['sentences']:,} sentences of {report['data']['name']}, from text"
    shown = tables.terminal_table(title, _columns(report), report, report["left_out"])
    page = tables.page_section(title, _columns(report), report, [_setting(report), "", *report["left_out"]])
    tables.deliver(report, shown, page, options)


class Learner(Protocol):
    """One way to train; each begins with the same weights.

    Attributes:
      name, title: in figures and on pages.
    """

    name: str
    title: str

    def epoch(self) -> Epoch:
        """Trains for an epoch, until the device has finished it."""


class OurEpoch:
    """From the words on: tokenization, shapes and batches are in it."""

    name, title = "toner_jax", "toner_jax"

    def __init__(self, config: Settings, text: TrainText, ours: Ours):
        self._config, self._text, self._ours = config, text, ours

    def epoch(self) -> Epoch:
        samples, done = self._text.samples(self._config), Epoch()

        def counted() -> Iterator[HostBatch]:
            for batch in samples.batches(0):
                a = batch.arrays
                done.add(
                    a["source"], a["target"], a["weight"], a["source_cells"].size + a["target_cells"].size
                )
                yield batch

        self._ours.train_on(counted())
        return done


def measure(config: Settings, text: TrainText, options: argparse.Namespace, rivals: bool) -> dict[str, Any]:
    """The report.

    Args:
      rivals: whether PyTorch is measured, too.
    """
    peers = [PREFIX + RANDOM, PREFIX + GROUPED] if rivals else []
    names = tables.chosen(options.only, [OurEpoch.name, *peers])
    samples = text.samples(config)
    subject = train_subject.of_samples(text.workdir, config, text, samples, Asked(steps=samples.steps))
    ours = Ours(subject.one_of_each_shape())
    parameters = count_parameters(ours.params)
    learners: list[Learner] = [OurEpoch(config, text, ours)] if OurEpoch.name in names else []
    attention = ""
    if asked := [order for order in (RANDOM, GROUPED) if PREFIX + order in names]:
        model = TorchModel(subject.first(1), ours.params)
        attention = faster_attention(model, subject.batches[:_TRIED])
        learners += [TorchEpoch(model, samples, config, order) for order in asked]
    ours.prepare()
    seconds, epochs = _timed(learners, options.rounds)
    return {
        "benchmark": "epoch",
        "command": _command(options),
        **machine(subject.mesh),
        "model": {"parameters": parameters, "dropout": subject.model.config.dropout_rate},
        "data": {
            "name": subject.name,
            "sentences": len(text.sentences),
            "batch": config.generator.batch_size,
            "shapes": len(samples.shapes),
        },
        "attention": attention,
        "rounds": options.rounds,
        "left_out": [],
        "contenders": [_figures(learner, seconds, epochs[learner.name]) for learner in learners],
    }


def _timed(learners: Sequence[Learner], rounds: int) -> tuple[dict[str, list[float]], dict[str, Epoch]]:
    """Seconds of each round, and what an epoch was, by contender; each has had an epoch before the first."""
    seconds: dict[str, list[float]] = {learner.name: [] for learner in learners}
    epochs = {learner.name: learner.epoch() for learner in learners}
    for learner in turns(learners, rounds, say):
        begun = time.perf_counter()
        epochs[learner.name] = learner.epoch()
        seconds[learner.name].append(time.perf_counter() - begun)
    return seconds, epochs


def _figures(learner: Learner, seconds: dict[str, list[float]], epoch: Epoch) -> dict[str, Any]:
    mine = seconds[learner.name]
    median = statistics.median(mine)
    return {
        "name": learner.name,
        "title": learner.title,
        "seconds": median,
        "examples_per_second": epoch.examples / median,
        "tokens_per_second": epoch.tokens / median,
        "padding_share": 1 - epoch.tokens / epoch.positions,
        "steps": epoch.steps,
        "examples": epoch.examples,
        "times_as_fast_as": {
            name: tables.ratios(theirs, mine) for name, theirs in seconds.items() if name.startswith(PREFIX)
        },
    }


def _columns(report: dict[str, Any]) -> tuple[tuple[str, Cell], ...]:
    def against(name: str) -> Cell:
        return lambda contender: tables.ratio_cell(contender["times_as_fast_as"][name])

    rivals = report["contenders"][0]["times_as_fast_as"]
    return (
        ("s an epoch", lambda c: number(c["seconds"], ",.1f")),
        ("examples/s", lambda c: number(c["examples_per_second"], ",.0f")),
        ("tokens/s", lambda c: number(c["tokens_per_second"], ",.0f")),
        ("padding", lambda c: number(c["padding_share"], ".0%")),
        ("steps", lambda c: number(c["steps"], ",")),
        *((f"/ {name}", against(name)) for name in rivals),
    )


def _setting(report: dict[str, Any]) -> str:
    """What it was measured with, for a page."""
    model, data = report["model"], report["data"]
    attention = f"; PyTorch with {report['attention']} attention, the faster" if report["attention"] else ""
    return (
        f"{model['parameters']:,} parameters, dropout {model['dropout']:g}; "
        f"{report['contenders'][0]['examples']:,} examples in batches of {data['batch']}, ours of {data['shapes']} "
        f"shapes{attention}. {described(report)}; medians of {report['rounds']} rounds. {tables.versions(report)}."
    )


def _command(options: argparse.Namespace) -> str:
    """The command, without the places of files on this machine."""
    shown = tables.flags(options, ["sentences", "rounds", "only", "device"])
    return " ".join(["toner-jax bench epoch --model=WORKDIR", *shown])
