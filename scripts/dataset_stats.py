"""What a data set holds: sentences, entities, types, nesting, lengths, and what its splits share.

    python scripts/dataset_stats.py --config=FILE[:variant] [--config.data.dir=DIR] [--json] [--check]

With --tokenizer=DIR (a folder with spiece.model) also lengths in pieces, what passes the limits, and the
alignment ceiling. --check compares with the published sizes, says which copy it is, and exits 1 if it is none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from toner_jax.common.console import show_messages
from toner_jax.data.corpora.published import Comparison, compare, matching_copies
from toner_jax.data.dataset import Dataset
from toner_jax.data.detect import detect
from toner_jax.data.find import SPLITS, data_folder, find_path
from toner_jax.data.formats.columns import tag_scheme
from toner_jax.data.formats.registry import FORMATS
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.data.overlap import repeated_sentences
from toner_jax.data.statistics import split_statistics
from toner_jax.errors import UserError

_USAGE = (
    "python scripts/dataset_stats.py --config=FILE[:variant] [--config.data.dir=DIR …]; see the file's head"
)


def parse(argv: list[str]) -> flags.FlagValues:
    """The command line.

    Raises:
      UserError: a missing or broken config file, an unknown key, a value of the wrong type.
    """
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", None, "The configuration.", flag_values=values, sys_argv=argv)
    flags.DEFINE_list("splits", list(SPLITS), "The splits to read.", flag_values=values)
    flags.DEFINE_string("tokenizer", None, "A folder with spiece.model.", flag_values=values)
    flags.DEFINE_string("picture", None, "An .svg or .png file to draw.", flag_values=values)
    flags.DEFINE_boolean("json", False, "Print JSON.", flag_values=values)
    flags.DEFINE_boolean("check", False, "Compare with the published sizes.", flag_values=values)
    try:
        rest = values(argv)
    except Exception as error:  # config files are programs: whatever they raise is shown as one line
        if isinstance(
            error.__context__, UserError
        ):  # which absl takes for a flag's value that it cannot read
            raise error.__context__ from None
        raise UserError(f"{' '.join(str(error).split()) or type(error).__name__}; usage: {_USAGE}") from error
    if len(rest) > 1:
        raise UserError(f"unexpected argument {rest[1]!r}; usage: {_USAGE}")
    if values.config is None:
        raise UserError(f"--config is missing; usage: {_USAGE}")
    if not values.splits:
        raise UserError(f"--splits is empty: name some of {', '.join(SPLITS)}")
    if values.picture and Path(values.picture).suffix not in (".svg", ".png"):
        raise UserError(f"--picture={values.picture}: name an .svg or .png file")
    return values


def statistics(config: Any, dataset: Dataset, tokenizer: str | None) -> dict[str, Any]:
    """Split → its figures, of `split_statistics`, and `repairs`, `repeated` and with a tokenizer
    `over_limit` (sentences that training splits or inference windows) and `alignment_ceiling`."""
    features = None
    if tokenizer:
        from toner_jax.evaluation.ceiling import alignment_ceiling
        from toner_jax.pipeline.features import GeneratorFeatures
        from toner_jax.tasks.entities import Entities
        from toner_jax.text.ids import WordIds
        from toner_jax.text.tokenizers import load_sentencepiece

        word_ids = WordIds(load_sentencepiece(tokenizer, config.tokenizer.backend))
        task = Entities(word_ids, dataset.schema)
        features = GeneratorFeatures([task], config.text.max_source, config.text.max_target)
    repeated = repeated_sentences(dataset.splits)
    figures: dict[str, Any] = {}
    for split, sentences in dataset.splits.items():
        found = split_statistics(sentences, dataset.schema, features.word_ids if features else None)
        if features:
            found["over_limit"] = sum(not features.fits(s) for s in sentences)
            found["alignment_ceiling"] = alignment_ceiling(sentences, dataset.schema, features.word_ids)
        figures[split] = {**found, "repairs": dict(dataset.repairs[split]), "repeated": repeated[split]}
    return figures


def tables(name: str, figures: dict[str, Any]) -> Any:
    """The figures as a table with a column for each split."""
    from rich.table import Table

    table = Table("", *figures, title=name)
    for column in table.columns[1:]:
        column.justify = "right"

    def row(label: str, values: list[Any]) -> None:
        table.add_row(label, *(f"{v:.4f}" if isinstance(v, float) else f"{v:,}" for v in values))

    splits = list(figures.values())
    for key in ("sentences", "without_entities", "documents", "entities"):
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
    if not rows:
        return f"{name}: no published size is known for these splits", False
    copies = matching_copies(rows)
    if copies:
        return f"{name}: the sizes are those of: {', '.join(copies)}{scheme}", True
    lines = [
        f"  {r.copy}, {r.splits}: {r.published[0]:,} sentences and {r.published[1]:,} entities published, "
        f"{r.found[0]:,} and {r.found[1]:,} found"
        for r in rows
        if r.published != r.found
    ]
    return "\n".join([f"{name}: the sizes are of no published copy{scheme}", *lines]), False


def schemes(options: DataOptions, dataset: Dataset) -> str:
    """Which tagging schemes the column files use, in brackets; nothing for other formats."""
    found = set()
    detected = options.format == "auto"
    for split in dataset.splits if detected or options.format == "columns" else ():
        path = find_path(options, split, FORMATS["columns"].suffixes, folders=detected)
        if path is None or (detected and detect(path, FORMATS, data_folder(options)) != "columns"):
            continue
        tokens, tags = options.token_column, options.tag_columns
        found.add(tag_scheme(path, dataset.schema, token_column=tokens, tag_columns=tags))
    return f" ({', '.join(sorted(found))})" if found else ""


def run(argv: list[str]) -> int:
    from rich.console import Console

    options = parse(argv)
    config = options.config
    data = DataOptions.from_section(config.data)
    dataset = load_dataset(data, options.splits)
    figures = statistics(config, dataset, options.tokenizer)
    name = config.data.name
    sizes = {split: (f["sentences"], f["entities"]) for split, f in figures.items()}
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        Console().print(tables(name, figures))
        for note in dataset.notes:
            print(note)
    if options.picture:
        from toner_jax.evaluation.charts import dataset_picture

        dataset_picture(dataset.splits, dataset.schema, Path(options.picture))
    if options.check:
        text, matches = verdict(name, compare(name, sizes), schemes(data, dataset))
        print(text, file=sys.stderr if options.json else sys.stdout)
        return 0 if matches else 1
    return 0


def main(argv: list[str] | None = None) -> int:
    """Exit status 0, 1 if --check finds no published copy, or 2 for bad input."""
    show_messages()
    try:
        return run(sys.argv if argv is None else argv)
    except UserError as error:
        print(f"dataset_stats: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
