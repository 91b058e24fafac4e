"""`toner-jax bench tokenize`: words to ids, by both back ends and by transformers' tokenizer."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from toner_jax.benchmarks import tables
from toner_jax.benchmarks.machine import described, machine
from toner_jax.benchmarks.tables import Cell, number
from toner_jax.benchmarks.timing import turns
from toner_jax.common import cli
from toner_jax.common.console import say
from toner_jax.data.corpora.generated import generate
from toner_jax.data.sentences import load_sentences
from toner_jax.errors import UserError
from toner_jax.runs import setup
from toner_jax.runs.workdir import split_path
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece

Ids = list[list[int]]
Encode = Callable[[list[Sequence[str]]], Ids]  # of the words of sentences
TRANSFORMERS = "transformers"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", type=cli.path, help="the work directory of a run: its tokenizer and its texts"
    )
    parser.add_argument(
        "--tokenizer", type=cli.path, metavar="DIR",
        help="or a folder with spiece.model or tokenizer.json, for generated sentences",
    )  # fmt: skip
    parser.add_argument("--sentences", type=cli.positive, default=20_000, help="at most (default: 20,000)")
    parser.add_argument("--rounds", type=cli.positive, default=5, help="how often each is measured")
    tables.add_options(parser)


def run(options: argparse.Namespace) -> None:
    """Measures, prints a table, and writes the files asked for.

    Raises:
      UserError: an option that means nothing, or no tokenizer.
    """
    report = measure(options)
    data = report["data"]
    title = f"Ids of {data['sentences']:,} sentences, {data['words']:,} words"
    note = (
        f"{data['name']}; {data['words_distinct']:,} distinct words. {described(report)}; medians of "
        f"{report['rounds']} rounds. {tables.versions(report)}."
    )
    shown = tables.terminal_table(title, _columns(report), report, report["left_out"])
    page = tables.page_section(title, _columns(report), report, [note, *report["left_out"]])
    tables.deliver(report, shown, page, options)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The report."""
    name, folder, sentences = _subject(options)
    contenders, left_out = _contenders(folder)
    contenders = {name: contenders[name] for name in tables.chosen(options.only, list(contenders))}
    ids = {n: make()(sentences) for n, make in contenders.items()}  # warm: files are read, libraries imported
    seconds: dict[str, list[float]] = {n: [] for n in contenders}
    for contender in turns(list(contenders), options.rounds, say):
        encode = contenders[contender]()  # anew: nothing is remembered from the round before
        begun = time.perf_counter()
        encode(sentences)
        seconds[contender].append(time.perf_counter() - begun)
    return {
        "benchmark": "tokenize",
        "command": _command(options),
        **machine(),
        "data": {
            "name": name,
            "sentences": len(sentences),
            "words": sum(map(len, sentences)),
            "words_distinct": len({w for s in sentences for w in s}),
        },
        "rounds": options.rounds,
        "left_out": left_out,
        "contenders": _figures(sentences, ids, seconds),
    }


def _figures(
    sentences: list[Sequence[str]], ids: dict[str, Ids], seconds: dict[str, list[float]]
) -> list[dict[str, Any]]:
    words, first = sum(map(len, sentences)), next(iter(ids.values()))
    theirs = seconds.get(TRANSFORMERS)
    return [
        {
            "name": name,
            "title": name,
            "words_per_second": words / statistics.median(mine),
            "ids_per_second": sum(map(len, ids[name])) / statistics.median(mine),
            "identical": sum(a == b for a, b in zip(ids[name], first, strict=True)) / len(first),
            "times_as_fast_as": {TRANSFORMERS: tables.ratios(theirs, mine)} if theirs else {},
        }
        for name, mine in seconds.items()
    ]


def _subject(options: argparse.Namespace) -> tuple[str, Path, list[Sequence[str]]]:
    """What is tokenized: its name, the tokenizer's folder, and the words of each sentence.

    Raises:
      UserError: both are given, or none.
    """
    if (options.model is None) == (options.tokenizer is None):
        raise UserError("give --model=WORKDIR or --tokenizer=DIR, and not both")
    if options.model:
        sentences = load_sentences(split_path(options.model, "train"))[: options.sentences]
        return (
            "a run's training data",
            options.model / setup.TOKENIZERS / "generator",
            [s.words for s in sentences],
        )
    made = generate(seed=0, sizes={"train": options.sentences})["train"]
    return "generated sentences", options.tokenizer, [s.words for s in made]


def _contenders(folder: Path) -> tuple[dict[str, Callable[[], Encode]], list[str]]:
    """What makes each of them ready, by name, and what is left out and why.

    Raises:
      UserError: no back end reads the tokenizer.
    """
    found: dict[str, Callable[[], Encode]] = {}
    left_out = []
    for backend in ("tf_text", "hf"):
        try:
            _ours(folder, backend)
        except UserError as error:
            left_out.append(f"{backend}: {error}")
        else:
            found[f"toner_jax-{backend}"] = partial(_ours, folder, backend)
    if not found:
        raise UserError(left_out[0])
    try:
        _transformers(folder)
    except (OSError, ValueError) as error:
        left_out.append(f"transformers reads no tokenizer there: {' '.join(str(error).split())}")
    else:
        found[TRANSFORMERS] = partial(_transformers, folder)
    return found, left_out


def _ours(folder: Path, backend: str) -> Encode:
    word_ids = WordIds(load_sentencepiece(folder, backend))

    def encode(sentences: list[Sequence[str]]) -> Ids:
        word_ids.prepare(w for s in sentences for w in s)
        return [list(word_ids.words(s)) for s in sentences]

    return encode


def _transformers(folder: Path) -> Encode:
    import transformers as library

    # In version 5 there is one class, which is the fast one.
    fast: Any = getattr(library, "T5TokenizerFast", None) or library.T5Tokenizer
    tokenizer = fast.from_pretrained(folder)

    def encode(sentences: list[Sequence[str]]) -> Ids:
        texts = [" ".join(s) for s in sentences]
        ids: Ids = tokenizer(texts, add_special_tokens=False).input_ids
        return ids

    return encode


def _against(contender: dict[str, Any]) -> str:
    ratio = contender["times_as_fast_as"].get(TRANSFORMERS)
    return tables.ratio_cell(ratio) if ratio else ""


def _columns(report: dict[str, Any]) -> tuple[tuple[str, Cell], ...]:
    return (
        ("words/s", lambda c: number(c["words_per_second"], ",.0f")),
        ("ids/s", lambda c: number(c["ids_per_second"], ",.0f")),
        ("identical", lambda c: number(c["identical"], ".1%")),
        ("/ transformers", _against),
    )


def _command(options: argparse.Namespace) -> str:
    """The command, without the places of files on this machine."""
    given = "--model=WORKDIR" if options.model else "--tokenizer=DIR"
    only = [f"--only={options.only}"] if options.only else []
    return " ".join(
        [
            "toner-jax bench tokenize",
            given,
            f"--sentences={options.sentences}",
            f"--rounds={options.rounds}",
            *only,
        ]
    )
