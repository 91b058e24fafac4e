"""`toner-jax bench data`: reading a data set of OntoNotes' size and making the generator's samples of it."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from toner_jax.benchmarks.machine import machine
from toner_jax.common import cli
from toner_jax.common.console import say
from toner_jax.common.files import write_atomically
from toner_jax.config import base
from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.errors import UserError
from toner_jax.pipeline.features import GeneratorFeatures
from toner_jax.schema import Sentence
from toner_jax.tasks.entities import Entities
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece

_SENTENCES_A_FILE = 40


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tokenizer",
        type=cli.path,
        required=True,
        metavar="DIR",
        help="a folder with spiece.model or tokenizer.json",
    )
    parser.add_argument(
        "--backend", type=cli.one_of("tf_text", "hf"), default="tf_text", help="tf_text (default) or hf"
    )
    parser.add_argument("--sentences", type=cli.whole_number, default=75_000, help="how many")
    parser.add_argument("--json", type=cli.output, metavar="FILE", help="write the figures as JSON")


def run(options: argparse.Namespace) -> None:
    """Measures and prints seconds and peak memory.

    Raises:
      UserError: too few sentences, or no tokenizer.
    """
    if options.sentences < 3:
        raise UserError("--sentences is at least 3")
    word_ids = WordIds(load_sentencepiece(options.tokenizer, options.backend))
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = _write_corpus(Path(folder), options.sentences)
        begun = time.perf_counter()
        dataset = load_dataset(data)
        seconds["read"] = time.perf_counter() - begun
    sentences = [s for split in dataset.splits.values() for s in split]
    features = GeneratorFeatures([Entities(word_ids, dataset.schema)])
    begun = time.perf_counter()
    features.prepare(sentences)
    for sentence in sentences:
        for part in features.split(sentence):
            features.example(features.tasks[0], part, part.types())
    seconds["samples"] = time.perf_counter() - begun
    import resource  # there is none on Windows, where nothing else of the package would miss it

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    report = {
        "benchmark": "data",
        **machine(),
        "sentences": len(sentences),
        "entities": sum(len(s.entities) for s in sentences),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "peak_bytes": peak,
    }
    if options.json:
        write_atomically(options.json, json.dumps(report, indent=2) + "\n")
    say(
        f"{len(sentences):,} sentences in CoNLL-2012 files: read in {seconds['read']:.1f} s, samples with prompts in "
        f"{seconds['samples']:.1f} s, peak memory {peak / 2**30:.2f} GiB"
    )


def _write_corpus(folder: Path, count: int) -> DataOptions:
    """A data set of so many generated sentences, in three splits, as CoNLL-2012 files."""
    sizes = {"train": count * 8 // 10, "dev": count // 10}
    sizes["test"] = count - sum(sizes.values())
    for split, made in generate(seed=0, sizes=sizes).items():
        _write_conll2012(folder / {"dev": "development"}.get(split, split), made)
    data = base().data
    schema = folder / "schema.json"
    schema.write_text(json.dumps(SCHEMA.to_json()))
    data.update(name="ontonotes", format="ontonotes", dir=str(folder), schema=str(schema), cache=False)
    return DataOptions.from_section(data)


def _write_conll2012(folder: Path, sentences: Sequence[Sentence]) -> None:
    """Files of a few dozen sentences, one document each, with the columns of the shared task."""
    folder.mkdir()
    for k in range(0, len(sentences), _SENTENCES_A_FILE):
        name = f"nw/made/{folder.name}_{k // _SENTENCES_A_FILE:05}"
        lines = [f"#begin document ({name}); part 000"]
        for s in sentences[k : k + _SENTENCES_A_FILE]:
            opened, closed = [""] * len(s.words), [0] * len(s.words)
            for e in s.entities:
                opened[e.start] += f"({e.type}"
                closed[e.end - 1] += 1
            for i, word in enumerate(s.words):
                cell = opened[i] + "*" + ")" * closed[i]
                lines.append(f"{name} 0 {i} {word} NN * - - - - {cell} -")
            lines.append("")
        lines.append("#end document")
        path = folder / f"{k // _SENTENCES_A_FILE:05}.v4_gold_conll"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
