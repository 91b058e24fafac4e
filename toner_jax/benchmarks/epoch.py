"""`toner-jax bench epoch`: an epoch of the generator's training, from text, ours and PyTorch's with other batches."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ml_collections import ConfigDict

from toner_jax.benchmarks import tables, torch_trainers, train_subject
from toner_jax.benchmarks.machine import described, machine
from toner_jax.benchmarks.tables import Cell, number
from toner_jax.benchmarks.timing import turns
from toner_jax.benchmarks.torch_trainers import ATTENTIONS, PREFIX, TorchModel
from toner_jax.benchmarks.train_subject import Asked, TrainText
from toner_jax.benchmarks.trainers import Ours
from toner_jax.common import cli
from toner_jax.common.console import say
from toner_jax.pipeline.batching import Batch, HostBatch, collate
from toner_jax.pipeline.samples import GeneratorSamples
from toner_jax.runs.restore import read_work_config
from toner_jax.training.state import count_parameters

RANDOM, GROUPED = "random", "grouped"  # how the rivals choose their batches
_TITLES = {
    RANDOM: "transformers, PyTorch, batches drawn at random",
    GROUPED: "transformers, PyTorch, batches grouped by length",
}
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


@dataclass
class Epoch:
    """What an epoch was.

    Attributes:
      examples: that were learnt from, in so many `steps`.
      tokens: real ones, of the `positions` that were computed.
    """

    examples: int = 0
    steps: int = 0
    tokens: int = 0
    positions: int = 0

    def add(self, source: np.ndarray, target: np.ndarray, weight: np.ndarray, positions: int) -> None:
        """A step of it."""
        self.examples += int(weight.sum())
        self.steps += 1
        self.tokens += int(np.count_nonzero(source) + np.count_nonzero(target))
        self.positions += positions


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

    def __init__(self, config: ConfigDict, text: TrainText, ours: Ours):
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


class TorchEpoch:
    """The same examples, whose ids it is given, so that tokenization costs it nothing; each batch is padded to its
    longest prompt and its longest target."""

    def __init__(self, model: TorchModel, samples: GeneratorSamples, config: ConfigDict, order: str):
        self.name, self.title = PREFIX + order, _TITLES[order]
        self._model, self._order = model, order
        self._examples = [samples.examples[i] for i in samples.used(0)]
        self._batch_size, self._pool = config.generator.batch_size, config.generator.pool
        self._number = 0  # of the epoch, by which batches are drawn

    def epoch(self) -> Epoch:
        self._number += 1
        done, losses = Epoch(), []
        for batch in self.batches(self._number):
            done.add(batch.source, batch.target, batch.weight, batch.source.size + batch.target.size)
            losses.append(self._model.step(self._model.on_device(batch.arrays())))
        for loss in losses:  # waits for the device
            float(loss)
        return done

    def batches(self, number: int) -> list[Batch]:
        """Those of an epoch."""
        import torch
        from transformers.trainer_pt_utils import get_length_grouped_indices

        size, generator = self._batch_size, torch.Generator().manual_seed(number)
        if self._order == GROUPED:
            lengths = [len(e.source) for e in self._examples]
            order = get_length_grouped_indices(lengths, size, generator=generator)
        else:
            order = torch.randperm(len(self._examples), generator=generator).tolist()
        chunks = [np.array(order[k : k + size]) for k in range(0, len(order), size)]
        return [collate(self._examples, rows, self._shape(rows), self._pool) for rows in chunks]

    def _shape(self, rows: np.ndarray) -> tuple[int, int]:
        chosen = [self._examples[i] for i in rows.tolist()]
        return max(len(e.source) for e in chosen), max(len(e.target) for e in chosen)


def measure(config: ConfigDict, text: TrainText, options: argparse.Namespace, rivals: bool) -> dict[str, Any]:
    """The report.

    Args:
      rivals: whether PyTorch is measured, too.
    """
    peers = [PREFIX + RANDOM, PREFIX + GROUPED] if rivals else []
    names = tables.chosen(options.only, [OurEpoch.name, *peers])
    samples = text.samples(config)
    batches = list(samples.batches(0))
    subject = train_subject.of_samples(text.workdir, config, text, samples, Asked(steps=len(batches)))
    ours = Ours(subject.one_of_each_shape())
    parameters = count_parameters(ours.params)
    learners: list[Learner] = [OurEpoch(config, text, ours)] if OurEpoch.name in names else []
    attention = ""
    if asked := [order for order in (RANDOM, GROUPED) if PREFIX + order in names]:
        model = TorchModel(subject.first(1), ours.params)
        attention = _faster_attention(model, batches[:_TRIED])
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


def _faster_attention(model: TorchModel, batches: Sequence[HostBatch]) -> str:
    """Which way is faster on these batches; the model uses it from now on."""
    arrays = [model.on_device(batch.arrays) for batch in batches]
    seconds = {}
    for attention in ATTENTIONS:
        model.use_attention(attention)
        for _ in range(2):  # the first is to warm up
            begun = time.perf_counter()
            losses = [model.step(batch) for batch in arrays]
            for loss in losses:
                float(loss)
            seconds[attention] = time.perf_counter() - begun
    faster = min(seconds, key=lambda attention: seconds[attention])
    model.use_attention(faster)
    say(f"transformers: {faster} attention is the faster")
    return faster


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
    names = ["sentences", "rounds", "only", "device"]
    shown = [f"--{n}={getattr(options, n)}" for n in names if getattr(options, n) not in (None, "")]
    return " ".join(["toner-jax bench epoch --model=WORKDIR", *shown])
