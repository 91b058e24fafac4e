"""Evaluates a step of a run on one of its splits or on another file.

    python scripts/evaluate.py --workdir=DIR --split=test [--step=N] [--config.decode.key=value …]

The work directory is all it needs: the data the run was made with need not be there any more.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from toner_jax.errors import UserError
from toner_jax.schema import Sentence


def parse(argv: list[str] | None = None) -> tuple[argparse.Namespace, list[tuple[str, str]]]:
    """The options, and the (key, value) pairs of `--config.key=value`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--split", choices=("train", "dev", "test"), default="test")
    parser.add_argument(
        "--input", type=Path, help="a file to evaluate instead of a split, in the format of data.format"
    )
    parser.add_argument("--step", type=int, help="a generator checkpoint; the chosen one by default")
    parser.add_argument("--threshold", type=float, help="another δ for T′")
    parser.add_argument("--output", type=Path, help="a folder for predictions.jsonl and report.json")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options, rest = parser.parse_known_args(argv)
    overrides = []
    for argument in rest:
        key, equals, value = argument.removeprefix("--config.").partition("=")
        if not argument.startswith("--config.") or not equals:
            raise UserError(f"unknown argument {argument!r}; see --help")
        overrides.append((key, value))
    return options, overrides


def run(options: argparse.Namespace, overrides: list[tuple[str, str]]) -> None:
    from rich.console import Console

    from toner_jax import config as configuration
    from toner_jax.api import Ner
    from toner_jax.common.console import say
    from toner_jax.common.files import write_atomically
    from toner_jax.data.formats.registry import FORMATS
    from toner_jax.data.sentences import load_sentences
    from toner_jax.evaluation.evaluated import Evaluated, write_predictions
    from toner_jax.evaluation.report import make_report
    from toner_jax.evaluation.summary import result_table
    from toner_jax.parallel.runtime import keep_compiled_programs
    from toner_jax.runs.evaluate import make_reference
    from toner_jax.runs.restore import read_work_config
    from toner_jax.runs.stage import read_marker
    from toner_jax.runs.workdir import split_path
    from toner_jax.tasks.type_recognition import TypeRecognition

    keep_compiled_programs()
    config = read_work_config(options.workdir)
    for key, value in overrides:
        old = configuration.get(config, key)
        configuration.override(config, key, value)
        say(f"{key}: {old} in training, {configuration.get(config, key)} here")
    configuration.validate(config)
    ner = Ner(options.workdir, config=config, step=options.step)
    marker = read_marker(options.workdir / "generator" / "stage.json")
    chosen = marker["result"].get("step") if marker else None
    if ner.step != chosen:
        say(f"generator step: {chosen or 'none yet'} was chosen on dev, {ner.step} here")
    if options.threshold is not None:
        say(f"δ: {ner.threshold:.4f} in training, {options.threshold} here")
    splits: dict[str, Sequence[Sentence]] = {
        name: load_sentences(split_path(options.workdir, name)) for name in ("train", "dev")
    }
    name = options.split
    if options.input:
        name = options.input.name
        format = FORMATS.get(config.data.format, FORMATS["columns"])
        splits[name], repairs = format.read(options.input, ner.schema, "input", config.data)
        for reason, count in repairs.items():
            say(f"{name}: repaired {count} {reason}")
    elif name not in splits:
        splits[name] = load_sentences(split_path(options.workdir, name))
    found, matched = ner.recognize(splits[name], threshold=options.threshold)
    named = ner.name_types(splits[name]) if TypeRecognition.name in ner.tasks else None
    evaluated = Evaluated(name, splits[name], found, matched, named, config.decode.threshold, ner.temperature)
    reference = make_reference(config, splits["train"], splits["dev"], ner.schema, ner.word_ids)
    report = make_report(evaluated, reference).to_json()
    if options.output:
        write_predictions(options.output / "predictions.jsonl", evaluated)
        write_atomically(options.output / "report.json", json.dumps(report, indent=2) + "\n")
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        Console().print(result_table(report))


def main(argv: list[str] | None = None) -> int:
    """Exit status 0, or 2 for bad input."""
    try:
        run(*parse(argv))
    except UserError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
