"""`toner-jax evaluate`: a step of a run, on one of its splits or on another file.

The work directory is all it needs: the data the run was made with need not be there any more.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toner_jax.commands.config_file import check_key
from toner_jax.common import cli
from toner_jax.common.console import show_json, show_rich
from toner_jax.errors import UserError

if TYPE_CHECKING:
    from toner_jax.api import Ner
    from toner_jax.runs.reevaluate import Evaluation


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
    """
    options = _read(arguments)
    from toner_jax.config import base

    for key, _ in options.keys:
        check_key(base(), key)
    _evaluate(options)


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser("evaluate", "Evaluates a run.", _more, takes_keys=True)
    parser.add_argument(
        "--workdir", type=cli.path, required=True, metavar="DIR", help="the work directory of a run"
    )
    splits = cli.one_of("train", "dev", "test")
    parser.add_argument("--split", type=splits, default="test", help="train, dev or test (default)")
    parser.add_argument(
        "--input", type=cli.path, metavar="PATH", help="a file or folder to evaluate instead of a split"
    )
    parser.add_argument(
        "--format", default="", help="what --input is, as data.format, which is the default; auto looks at it"
    )
    parser.add_argument(
        "--step", type=cli.whole_number, help="a generator checkpoint; the chosen one by default"
    )
    parser.add_argument("--threshold", type=cli.number, help="the least score of an entity that counts")
    parser.add_argument("--type_threshold", type=cli.number, help="another δ for T′")
    parser.add_argument(
        "--types", type=cli.some, metavar="SOURCE",
        help="where T′ comes from, as types.evaluation of the run by default: matcher; gold, the types that do occur; "
        "none, prompts without it; random, with the matcher's error rates; a file of T′, or another run",
    )  # fmt: skip
    parser.add_argument(
        "--attribution", action="store_true",
        help="whose errors they are: evaluate with the matcher's T′, with gold types and without T′",
    )  # fmt: skip
    parser.add_argument(
        "--output",
        type=cli.output,
        metavar="DIR",
        help="a folder for predictions and report, .json and .html",
    )
    parser.add_argument(
        "--accept-mixed",
        action="store_true",
        help="stages that do not belong together are a warning, kept in the report",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--no-cache", action="store_true", help="as for train; of --input nothing is ever kept"
    )
    return parser.read(arguments)


def _more() -> str:
    return (
        "--config.KEY=VALUE sets another value than the run's, of decode.*, text.*, mesh.*, sharding,\n"
        "dtype and tokenizer.backend; the rest is fixed by training."
    )


def _evaluate(options: argparse.Namespace) -> None:
    from toner_jax.parallel.processes import Wanted, is_first, together
    from toner_jax.parallel.runtime import set_up_compilation

    set_up_compilation()
    _check_output(options.output)
    with together(Wanted()):
        ner, evaluation = _evaluated(options)
        if not is_first():
            return
        if options.output:
            evaluation.write(options.output, options.workdir, ner)
    _show(evaluation.report, as_json=options.json)


def _check_output(folder: Path | None) -> None:
    """Raises UserError where files of something else lie: only an earlier evaluation is replaced."""
    if folder and folder.is_dir() and any(folder.iterdir()) and not (folder / "report.json").is_file():
        raise UserError(f"--output={folder}: not an empty folder, and no evaluation's; give a new one")


def _evaluated(options: argparse.Namespace) -> tuple[Ner, Evaluation]:
    from toner_jax.api import Ner
    from toner_jax.runs import reevaluate
    from toner_jax.runs.type_sources import FROM_MATCHER, find_source

    config = reevaluate.changed_config(options.workdir, options.keys)
    splits, name = reevaluate.read_splits(options.workdir, options.split), options.split
    if options.input:
        name = options.input.name if options.input.name not in splits else str(options.input.resolve())
        splits[name] = reevaluate.read_input(options.workdir, config, options.input, options.format)
    ner = Ner(options.workdir, config=config, step=options.step, accept_mixed=options.accept_mixed)
    reevaluate.say_choices(options.workdir, ner, options.type_threshold)
    types = FROM_MATCHER
    if ner.config.matcher.enabled:
        source = options.types or ner.config.types.evaluation
        types = find_source(source, name, ner.schema, ner.config.seed)
    elif options.types not in (None, types.name):
        raise UserError("trained with matcher.enabled=False: its prompts have no T′, from wherever")
    made_by = reevaluate.made_by(options.workdir, ner, options.type_threshold, types)
    thresholds = options.threshold, options.type_threshold
    evaluation = reevaluate.evaluate(ner, splits, name, *thresholds, made_by, types)
    if options.attribution:
        evaluation.report["attribution"] = reevaluate.attribution(
            ner, evaluation.evaluated, types, options.type_threshold
        )
    return ner, evaluation


def _show(report: dict[str, Any], *, as_json: bool) -> None:
    from toner_jax.evaluation.summary import result_table

    if as_json:
        show_json(report)
    else:
        show_rich(result_table(report))
