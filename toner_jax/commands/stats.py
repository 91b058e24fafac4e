"""`toner-jax stats`: what a data set holds: sentences, entities, types, nesting, lengths, what its splits share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from toner_jax.commands import config_file
from toner_jax.common import cli
from toner_jax.common.console import cell, say, show, show_json, show_rich

if TYPE_CHECKING:
    from toner_jax.data.corpora.published import Comparison
    from toner_jax.data.dataset import Dataset
    from toner_jax.schema import Sentence

SPLITS = ("train", "dev", "test")


def main(arguments: Sequence[str]) -> int:
    """Runs the command. Returns 0, or 1 if --check finds no published copy.

    Raises:
      UserError: bad input.
    """
    options = _read(arguments)
    config = config_file.load(options.config, options.keys).config
    from toner_jax.data.load import load_dataset
    from toner_jax.data.options import DataOptions

    dataset = load_dataset(DataOptions.from_section(config.data), options.splits)
    figures = statistics(config, dataset, options.tokenizer)
    _show(config.data.name, figures, dataset, options)
    if not options.check:
        return cli.OK
    from toner_jax.data.corpora.published import compare

    name = config.data.name
    sizes = {split: (f["sentences"], f["entities"]) for split, f in figures.items()}
    raw = [split for split, sentences in dataset.splits.items() if any(s.raw for s in sentences)]
    text, matches = verdict(name, compare(name, sizes, raw), schemes(dataset))
    for line in text.split("\n"):
        (say if options.json else show)(line)
    return cli.OK if matches else 1


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser("stats", "Says what a data set holds.", _more, takes_keys=True)
    parser.add_argument(
        "--config", type=cli.some, required=True, metavar="NAME[:VARIANT]",
        help="as for train, which lists them, or a file",
    )  # fmt: skip
    parser.add_argument(
        "--splits",
        type=cli.words,
        default=list(SPLITS),
        metavar="NAME,…",
        help="train, dev and test by default",
    )
    parser.add_argument(
        "--tokenizer", type=cli.some, metavar="DIR",
        help="a folder with spiece.model or tokenizer.json: lengths in pieces, what passes the limits, the alignment "
        "ceiling",
    )  # fmt: skip
    parser.add_argument("--picture", type=cli.picture, metavar="FILE", help="an .svg or .png file to draw")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument(
        "--repairs", action="store_true", help="list everything that was mended or left out, with its place"
    )
    parser.add_argument(
        "--check", action="store_true",
        help="compare with the published sizes and say which copy it is; exit status 1 if it is none",
    )  # fmt: skip
    config_file.add_no_cache(parser)
    return parser.read(arguments)


def _more() -> str:
    return "--config.KEY=VALUE as for train: --config.data.dir=DIR, where the data are."


def _show(name: str, figures: dict[str, Any], dataset: Dataset, options: argparse.Namespace) -> None:
    if options.json:
        for split, repairs in dataset.repairs.items() if options.repairs else ():
            figures[split]["repaired_at"] = repairs.to_json()
        show_json(figures)
    else:
        show_rich(tables(name, figures))
        show(*dataset.notes)
        for split, repairs in dataset.repairs.items() if options.repairs else ():
            show(*(f"{split}: {reason}: {place}" for reason in repairs for place in repairs.places(reason)))
            show(*_unreachable(split, dataset.splits[split]))
    if options.picture:
        from toner_jax.evaluation.charts import dataset_picture

        dataset_picture(dataset.splits, dataset.schema, options.picture)


def _unreachable(split: str, sentences: Iterable[Sentence]) -> Iterator[str]:
    """A line for each entity that begins or ends inside a word: offsets that are off, it may be."""
    for s in sentences:
        for e in s.unreachable:
            yield (
                f"{split}: unreachable: {s.id}: {s.text[e.start : e.end]!r} ({e.type}), characters {e.start} to "
                f"{e.end} of {s.text!r}"
            )


def statistics(config: Any, dataset: Dataset, tokenizer: str | None) -> dict[str, Any]:
    """Split → its figures, of `split_statistics`, and `repairs`, `repeated` and with a tokenizer
    `over_limit` (sentences that training splits or inference windows) and `alignment_ceiling`."""
    features = None
    if tokenizer:
        from toner_jax.evaluation.ceiling import alignment_ceiling
        from toner_jax.pipeline.features import GeneratorFeatures
        from toner_jax.runs.options import writing
        from toner_jax.tasks.entities import Entities
        from toner_jax.text.ids import WordIds
        from toner_jax.text.tokenizers import load_sentencepiece

        word_ids = WordIds(load_sentencepiece(tokenizer, config.tokenizer.backend), config.tokenizer.ids)
        task = Entities(word_ids, dataset.schema, writing(config))
        features = GeneratorFeatures([task], config.text.max_source, config.text.max_target)
    from toner_jax.data.overlap import repeated_sentences
    from toner_jax.data.statistics import split_statistics

    repeated = repeated_sentences(dataset.splits)
    figures: dict[str, Any] = {}
    for split, sentences in dataset.splits.items():
        found = split_statistics(sentences, dataset.schema, features.word_ids if features else None)
        if features:
            found["over_limit"] = sum(not features.fits(s) for s in sentences)
            found["alignment_ceiling"] = alignment_ceiling(
                sentences, dataset.schema, features.word_ids, unique_pairs=task.writing.unique_pairs
            )
        figures[split] = {**found, "repairs": dict(dataset.repairs[split]), "repeated": repeated[split]}
    return figures


def tables(name: str, figures: dict[str, Any]) -> Any:
    """The figures as a table with a column for each split."""
    from rich.table import Table

    table = Table("", *figures, title=cell(name, "italic"))
    for column in table.columns[1:]:
        column.justify = "right"

    def row(label: str, values: list[Any]) -> None:
        table.add_row(cell(label), *(f"{v:.4f}" if isinstance(v, float) else f"{v:,}" for v in values))

    splits = list(figures.values())
    for key in ("sentences", "without_entities", "documents", "entities", "unreachable"):
        row(key.replace("_", " "), [s[key] for s in splits])
    for type_ in splits[0]["per_type"]:
        row(f"  {type_}", [s["per_type"][type_] for s in splits])
    for depth in sorted({d for s in splits for d in s["depth"]}, key=int):
        row(f"entities at depth {depth}", [s["depth"].get(depth, 0) for s in splits])
    for unit in ("words", "pieces"):
        for key in ("mean", "p50", "p99", "max") if unit in splits[0] else ():
            row(f"{unit}, {key}", [s[unit][key] for s in splits])
    for key in ("unknown", "over_limit", "alignment_ceiling"):
        if key in splits[0]:
            row(key.replace("_", " "), [s[key] for s in splits])
    for split in figures:
        row(f"also in {split}", [s["repeated"][split] for s in splits])
    for reason in dict.fromkeys(r for s in splits for r in s["repairs"]):
        row(f"repaired: {reason}", [s["repairs"].get(reason, 0) for s in splits])
    return table


def verdict(name: str, rows: list[Comparison], scheme: str) -> tuple[str, bool]:
    """What the comparison with the published sizes says, and whether some copy matches."""
    from toner_jax.data.corpora.published import matching_copies

    if not rows:
        return f"{name}: no published size is known for these splits", False
    copies = matching_copies(rows)
    if copies:
        ours = [
            f"; {r.splits} came as raw text, which is split into sentences here, {r.found[0]:,} for {r.published[0]:,}"
            for r in rows
            if r.copy in copies and r.published[0] != r.found[0]
        ]
        return f"{name}: the sizes are those of: {', '.join(copies)}{scheme}{''.join(ours)}", True
    lines = [
        f"  {r.copy}, {r.splits}: {r.published[0]:,} sentences and {r.published[1]:,} entities published, "
        f"{r.found[0]:,} and {r.found[1]:,} found"
        for r in rows
        if not r.agrees
    ]
    return "\n".join([f"{name}: the sizes are of no published copy{scheme}", *lines]), False


def schemes(dataset: Dataset) -> str:
    """By which schemes tags were read, in brackets; nothing where there are none."""
    found = {repairs.scheme for repairs in dataset.repairs.values()} - {""}
    return f" ({', '.join(sorted(found))})" if found else ""
