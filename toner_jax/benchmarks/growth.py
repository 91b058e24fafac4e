"""`toner-jax bench growth`: how the cost of training, matching and making samples grows with what there is more of."""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from toner_jax.benchmarks import match_subject, tables, train_subject
from toner_jax.benchmarks.machine import described, machine
from toner_jax.benchmarks.matchers import Ours as Matcher
from toner_jax.benchmarks.tables import Cell, number
from toner_jax.benchmarks.timing import turns
from toner_jax.benchmarks.train_subject import Asked
from toner_jax.benchmarks.trainers import Ours as Trainer
from toner_jax.common import cli
from toner_jax.common.console import say
from toner_jax.config import base
from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.t5.config import T5Config
from toner_jax.parallel.mesh import make_mesh
from toner_jax.pipeline.corpus import generator_corpus
from toner_jax.pipeline.features import GeneratorFeatures
from toner_jax.pipeline.samples import GeneratorSamples, SamplingOptions
from toner_jax.tasks.entities import Entities
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import SentencePieceTokenizer, load_sentencepiece
from toner_jax.text.train_tokenizers import train_sentencepiece

Call = Callable[[], Any]

# The models of `:scratch`, and the batches that the axes begin from.
_T5 = T5Config(
    vocab_size=2_000, d_model=128, d_kv=32, d_ff=256, num_layers=2, num_decoder_layers=2, num_heads=4
)  # fmt: skip
_BERT = BertConfig(
    vocab_size=2_000, hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=256,
    pooler=False,
)  # fmt: skip
_BATCH, _SOURCE, _TARGET, _STEPS = 16, 128, 32, 2
_FEW = 4  # examples of a batch with many types: attention grows with the square of their prompts
_PIECES = 3  # of the name of a type and what stands around it in a prompt
_DESCRIPTION = 24  # pieces of D_t
_LEARNT_FROM = 2_000  # sentences, by the tokenizer


@dataclass(frozen=True)
class Axis:
    """What there is more of.

    Attributes:
      title: what is timed, of what.
      values: of which there is so much.
      make: value → what is timed, ready, as often as `per_call` says.
    """

    title: str
    values: Sequence[int]
    make: Callable[[int], Call]
    per_call: int = _STEPS


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=cli.positive, default=3, help="how often each is measured")
    tables.add_options(parser)


def run(options: argparse.Namespace) -> None:
    """Measures, prints a table, and writes the files asked for.

    Raises:
      UserError: an option that means nothing.
    """
    axes = {name: AXES[name] for name in tables.chosen(options.only, list(AXES))}
    report = measure(axes, options)
    title = "How cost grows"
    shown = tables.terminal_table(title, _COLUMNS, report, [])
    page = tables.page_section(title, _COLUMNS, report, [_setting(report)])
    tables.deliver(report, shown, page, options)


def measure(axes: Mapping[str, Axis], options: argparse.Namespace) -> dict[str, Any]:
    """The report."""
    points = [p for name, axis in axes.items() for p in _points(name, axis, options.rounds)]
    return {
        "benchmark": "growth",
        "command": _command(options),
        **machine(make_mesh()),
        "rounds": options.rounds,
        "contenders": points,
    }


def _points(name: str, axis: Axis, rounds: int) -> list[dict[str, Any]]:
    """The figures of an axis; its points are timed in turns."""
    say(f"{name}: {axis.title}")
    calls = {value: axis.make(value) for value in axis.values}
    for call in calls.values():  # warm
        call()
    seconds: dict[int, list[float]] = {value: [] for value in axis.values}
    for value in turns(axis.values, rounds, say):
        begun = time.perf_counter()
        calls[value]()
        seconds[value].append(time.perf_counter() - begun)
    found = {value: statistics.median(seconds[value]) / axis.per_call for value in axis.values}
    first = axis.values[0]
    return [
        {
            "name": f"{name} {value:,}",
            "title": f"{axis.title}: {value:,}" if value == first else f"… {value:,}",
            "axis": name,
            "value": value,
            "ms": 1e3 * found[value],
            "times": found[value] / found[first],
            "exponent": None if value == first else _exponent(value / first, found[value] / found[first]),
        }
        for value in axis.values
    ]


def _exponent(more: float, longer: float) -> float:
    """a of longer = more^a."""
    return math.log(longer) / math.log(more)


def _train_step(
    config: T5Config = _T5, batch: int = _BATCH, source: int = _SOURCE, target: int = _TARGET
) -> Call:
    """Steps of the generator's training on ids drawn at random."""
    trainer = Trainer(train_subject.of_size(config, source, target, Asked(_STEPS, batch)))
    trainer.prepare()
    return trainer.train


def _wider(width: int) -> Call:
    return _train_step(replace(_T5, d_model=width, d_kv=width // 4, d_ff=2 * width))


def _deeper(layers: int) -> Call:
    return _train_step(replace(_T5, num_layers=layers, num_decoder_layers=layers))


def _matching(types: int) -> match_subject.MatchSubject:
    """Texts and as many types, each with a description."""
    subject = match_subject.of_size(_BERT, match_subject.Asked(texts=256, batch=_BATCH, dropout=0.1))
    rng = np.random.default_rng(0)
    batches = []
    for batch in subject.batches[:_STEPS]:
        present = rng.random((len(batch.arrays["weight"]), types)) < 2 / types
        batches.append(replace(batch, arrays={**batch.arrays, "present": present.astype(np.float32)}))
    descriptions = [rng.integers(5, _BERT.vocab_size, _DESCRIPTION).astype(np.int32) for _ in range(types)]
    return replace(subject, batches=batches, descriptions=descriptions)


def _samples(sentences: int) -> Call:
    """Makes the samples of generated sentences, words to ids included, and an epoch's batches."""
    train = generate(seed=0, sizes={"train": sentences})["train"]

    def make() -> None:
        features = GeneratorFeatures([Entities(WordIds(_tokenizer()), SCHEMA)])
        options = SamplingOptions(seed=0, epochs=1.0, batch_size=_BATCH, max_shapes=4)
        samples = GeneratorSamples(options, features, train, None, auxiliary_share=0.0, pool="text")
        for _ in samples.batches(0):
            pass

    return make


@cache
def _tokenizer() -> SentencePieceTokenizer:
    """Of generated sentences."""
    sentences = generate(seed=1, sizes={"train": _LEARNT_FROM})["train"]
    with tempfile.TemporaryDirectory() as folder:
        train_sentencepiece(folder, generator_corpus(sentences, SCHEMA), _T5.vocab_size)
        return load_sentencepiece(folder, base().tokenizer.backend)


AXES = {
    "width": Axis("a train step by the width of the model", (128, 256, 512), _wider),
    "layers": Axis("a train step by the layers of either stack", (2, 4, 8), _deeper),
    "batch": Axis("a train step by the examples of a batch", (8, 16, 32, 64), lambda n: _train_step(batch=n)),
    "length": Axis(
        "a train step by the pieces of a prompt, a quarter as many of its target",
        (64, 128, 256, 512),
        lambda n: _train_step(source=n, target=n // 4),
    ),
    "types": Axis(
        "a train step of four examples by the types in their prompts",
        (4, 20, 100, 500),
        lambda n: _train_step(batch=_FEW, source=_SOURCE + _PIECES * n),
    ),
    "matched": Axis(
        "a train step of type matching by the types", (4, 20, 100, 500), lambda n: Matcher(_matching(n)).train
    ),
    "corpus": Axis("samples and batches of an epoch by its sentences", (1_000, 4_000, 16_000), _samples, 1),
}

_COLUMNS: tuple[tuple[str, Cell], ...] = (
    ("ms", lambda c: number(c["ms"], ",.1f")),
    ("/ the first", lambda c: number(c["times"], ",.2f") + "×"),
    ("exponent", lambda c: number(c["exponent"], ".2f")),
)


def _setting(report: dict[str, Any]) -> str:
    """What it was measured with, for a page."""
    return (
        f"Models of `:scratch` (width {_T5.d_model}, {_T5.num_layers} + {_T5.num_decoder_layers} layers), batches of "
        f"{_BATCH}, prompts of {_SOURCE} and targets of {_TARGET} pieces where nothing else is said. An exponent of 1 "
        f"is growth in proportion, from the first value on. {described(report)}; medians of {report['rounds']} rounds. "
        f"{tables.versions(report)}."
    )


def _command(options: argparse.Namespace) -> str:
    return " ".join(["toner-jax bench growth", *tables.flags(options, ["rounds", "only", "device"])])
