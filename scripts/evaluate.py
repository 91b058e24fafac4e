"""Evaluates a step of a run on one of its splits or on another file.

    python scripts/evaluate.py --workdir=DIR --split=test [--step=N] [--config.decode.key=value …]
    python scripts/evaluate.py --workdir=DIR --input=PATH [--format=auto]

The work directory is all it needs: the data the run was made with need not be there any more.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from toner_jax.common.console import show_messages
from toner_jax.errors import UserError


def parse(argv: list[str] | None = None) -> tuple[argparse.Namespace, list[tuple[str, str]]]:
    """The options, and the (key, value) pairs of `--config.key=value`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--split", choices=("train", "dev", "test"), default="test")
    parser.add_argument("--input", type=Path, help="a file or folder to evaluate instead of a split")
    parser.add_argument(
        "--format", default="", help="what --input is, as data.format, which is the default; auto looks at it"
    )
    parser.add_argument("--step", type=int, help="a generator checkpoint; the chosen one by default")
    parser.add_argument(
        "--threshold", type=float, help="the least score of an entity; decode.threshold by default"
    )
    parser.add_argument("--type_threshold", type=float, help="δ of the type matcher; the run's by default")
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

    from toner_jax.api import Ner
    from toner_jax.evaluation.summary import result_table
    from toner_jax.parallel.runtime import keep_compiled_programs
    from toner_jax.runs import reevaluate

    show_messages()
    keep_compiled_programs()
    config = reevaluate.changed_config(options.workdir, overrides)
    splits, name = reevaluate.read_splits(options.workdir, options.split), options.split
    if options.input:
        name = options.input.name if options.input.name not in splits else str(options.input.resolve())
        splits[name] = reevaluate.read_input(options.workdir, config, options.input, options.format)
    ner = Ner(options.workdir, config=config, step=options.step)
    reevaluate.say_choices(options.workdir, ner, options.type_threshold)
    evaluation = reevaluate.evaluate(ner, splits, name, options.threshold, options.type_threshold)
    if options.output:
        evaluation.write(options.output)
    if options.json:
        print(json.dumps(evaluation.report, indent=2))
    else:
        Console().print(result_table(evaluation.report))


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
