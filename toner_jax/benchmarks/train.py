"""`toner-jax bench train`: the generator's train step, beside PyTorch's with the same weights and batches."""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import jax

from toner_jax.benchmarks import tables, torch_trainers, train_subject
from toner_jax.benchmarks.machine import machine
from toner_jax.benchmarks.timing import turns
from toner_jax.benchmarks.torch_trainers import WAYS, TorchModel, TorchTrainer
from toner_jax.benchmarks.train_report import markdown, table
from toner_jax.benchmarks.train_subject import Asked, TrainSubject
from toner_jax.benchmarks.trainers import Ours, Trainer
from toner_jax.common import cli
from toner_jax.common.console import say, warn
from toner_jax.errors import ParameterError, UserError
from toner_jax.models.stacks import REMAT, Stack
from toner_jax.models.t5.config import T5Config
from toner_jax.parallel.peak import measured_flops, peak_flops
from toner_jax.training.state import count_parameters

# Of losses without dropout, relative: more is another computation, and not another order of sums.
_TOLERANCES = {"float32": 1e-3, "bfloat16": 2e-2}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", type=cli.path, help="the work directory of a run: its sizes and its training data"
    )
    parser.add_argument("--size", type=cli.some, help="or a size of Flan-T5, small to xxl, with random ids")
    parser.add_argument("--batch", type=cli.positive, help="examples of a step; the run's, or 32")
    parser.add_argument("--source", type=cli.positive, default=128, help="pieces of a prompt, of random ids")
    parser.add_argument("--target", type=cli.positive, default=32, help="pieces of a target, of random ids")
    parser.add_argument("--dropout", type=cli.number, help="the run's, or 0.1")
    parser.add_argument(
        "--remat",
        type=cli.one_of(*REMAT),
        default=REMAT[0],
        help="what the backward pass computes again (default: none)",
    )
    parser.add_argument("--scan_layers", action="store_true", help="compile one layer of each stack")
    parser.add_argument("--steps", type=cli.positive, default=10, help="of a round")
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
    tables.deliver(report, table(report), markdown(report), options)


def measure(subject: TrainSubject, options: argparse.Namespace, rivals: bool) -> dict[str, Any]:
    """The report.

    Args:
      rivals: whether PyTorch is measured, too.
    """
    peers = [torch_trainers.PREFIX + way for way in WAYS] if rivals else []
    names = tables.chosen(options.only, [Ours.name, *peers])
    check = None
    if rivals and options.check_steps > 0:
        check = check_losses(subject, options.check_steps)
        torch_trainers.free_memory()
    ours = Ours(subject)
    parameters = count_parameters(ours.params)
    trainers: list[Trainer] = [ours] if ours.name in names else []
    ways = [way for way in WAYS if torch_trainers.PREFIX + way in names]
    if ways:
        model = TorchModel(subject, ours.params)
        trainers += [TorchTrainer(model, way) for way in ways]
    left_out: list[str] = []
    trainers = [t for t in trainers if torch_trainers.works(t.name, t.prepare, left_out)]
    for trainer in trainers:
        trainer.train()  # warm
        say(f"{trainer.name}: ready in {trainer.ready_seconds:.1f} s")
    seconds: dict[str, list[float]] = {trainer.name: [] for trainer in trainers}
    for trainer in turns(trainers, options.rounds, say):
        begun = time.perf_counter()
        trainer.train()
        seconds[trainer.name].append(time.perf_counter() - begun)
    described = train_subject.described(subject)
    described["model"]["parameters"] = parameters
    peak = _peak(subject)
    return {
        "benchmark": "train",
        "command": _command(options),
        **machine(subject.mesh),
        **described,
        "steps": len(subject.batches),
        "rounds": options.rounds,
        "check": check,
        "peak": peak,
        "left_out": left_out,
        "contenders": [_figures(subject, trainer, seconds, peak) for trainer in trainers],
    }


def _subject(options: argparse.Namespace) -> TrainSubject:
    if (options.model is None) == (options.size is None):
        raise UserError("give --model=WORKDIR or --size=NAME, and not both")
    if options.dropout is not None and not 0 <= options.dropout < 1:
        raise ParameterError("dropout", options.dropout, "a share of at least 0 and less than 1")
    stack = Stack(options.remat, options.scan_layers)
    asked = Asked(options.steps, options.batch, options.dropout, stack)
    if options.model is not None:
        return train_subject.of_run(options.model, asked)
    return train_subject.of_size(T5Config.flan(options.size), options.source, options.target, asked)


def check_losses(subject: TrainSubject, steps: int) -> dict[str, Any]:
    """Losses of the first steps without dropout, ours and PyTorch's; another computation would have others."""
    plain = subject.without_dropout().first(steps)
    ours = Ours(plain)
    theirs = TorchTrainer(TorchModel(plain, ours.params), next(iter(WAYS)))
    ours.prepare()
    losses = {ours.name: ours.train(), theirs.name: theirs.train()}
    a, b = losses.values()
    largest = max(abs(x - y) / abs(y) for x, y in zip(a, b, strict=True))
    tolerance = _TOLERANCES[jax.numpy.dtype(subject.model.dtype).name]
    if not largest <= tolerance:  # a loss that is not finite is no agreement either
        warn(
            f"losses differ by up to {largest:.1%}: the contenders do not compute the same, so ratios mean little"
        )
    return {"losses": losses, "largest_difference": largest, "tolerance": tolerance}


def _peak(subject: TrainSubject) -> dict[str, Any]:
    """FLOP/s that MFU is a share of: of all devices, by the data sheet, or else of a matrix product."""
    device, dtype = subject.mesh.devices.flat[0], subject.model.dtype
    measured, promised = measured_flops(device, dtype), peak_flops(device.device_kind, dtype)
    return {
        "flops": (promised or measured) * subject.mesh.size,
        "source": "data sheet" if promised else "measured matrix product",
        "measured_flops": measured * subject.mesh.size,
    }


def _figures(
    subject: TrainSubject, trainer: Trainer, seconds: dict[str, list[float]], peak: dict[str, Any]
) -> dict[str, Any]:
    mine, work = seconds[trainer.name], subject.work()
    median, steps = statistics.median(mine), len(subject.batches)
    rivals = [name for name in seconds if name.startswith(torch_trainers.PREFIX)]
    return {
        "name": trainer.name,
        "title": trainer.title,
        "step_ms": {"median": 1e3 * median / steps, "best": 1e3 * min(mine) / steps},
        "examples_per_second": work.examples / median,
        "tokens_per_second": work.tokens / median,
        "flops_per_second": work.flops / median,
        "mfu": work.flops / median / peak["flops"],
        "real_mfu": work.real_flops / median / peak["flops"],
        "ready_seconds": trainer.ready_seconds,
        "peak_bytes": trainer.peak_bytes(),
        "planned_bytes": trainer.planned_bytes,
        "times_as_fast_as": {name: tables.ratios(seconds[name], mine) for name in rivals},
    }


def _command(options: argparse.Namespace) -> str:
    """The command, without the places of files on this machine."""
    names = [] if options.model is not None else ["size", "source", "target"]
    names += ["batch", "dropout", "remat", "steps", "rounds", "check_steps", "only", "device"]
    shown = tables.flags(options, names)
    model = ["--model=WORKDIR"] if options.model is not None else []
    scan = ["--scan_layers"] if options.scan_layers else []
    return " ".join(["toner-jax bench train", *model, *shown, *scan])
