"""`toner-jax sweep`: what another type threshold δ would do (Figure 3 of the paper)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toner_jax.commands import config_file
from toner_jax.commands.ablate import seeds
from toner_jax.commands.going_on import goes_on
from toner_jax.common import cli
from toner_jax.common.console import counted, show
from toner_jax.common.files import write_atomically
from toner_jax.errors import UserError

_HEADS = ("δ", "precision", "recall", "F1", "T′ precision", "T′ recall", "T′ F1")


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
      Ended: Ctrl-C or SIGTERM; what is trained stays trained.
    """
    options = _read(arguments)
    from toner_jax.parallel.runtime import set_up_compilation

    set_up_compilation()
    if options.mode != "match" and options.thresholds is None:
        raise UserError("name what is to be tried: --thresholds=0.5,0.6,0.7")
    if options.mode != "retrain":
        (_decode if options.mode == "decode" else _match)(options)
        return
    with goes_on():
        _retrain(options)


def _decode(options: argparse.Namespace) -> None:
    """One run, evaluated at each δ."""
    if options.workdir is None:
        raise UserError("--mode=decode evaluates a finished run: give --workdir")
    from toner_jax.api import Ner
    from toner_jax.evaluation.scoring import strict_counts, type_counts
    from toner_jax.experiments.pictures import draw_thresholds
    from toner_jax.experiments.results import table_lines
    from toner_jax.runs import reevaluate

    ner = Ner(options.workdir)
    if not ner.config.matcher.enabled:
        raise UserError(f"{options.workdir}: trained with matcher.enabled=False, so there is no δ")
    sentences = reevaluate.read_splits(options.workdir, options.split)[options.split]
    rows: list[dict[str, Any]] = []
    for delta in options.thresholds:
        with counted(f"{options.split}, δ = {delta:g}", len(sentences)):
            found, matched = ner.recognize(sentences, type_threshold=delta)
        least = ner.config.decode.threshold
        counts = strict_counts(sentences, [r.above(least).entities for r in found])
        types = type_counts(sentences, matched or [])
        rows.append(
            {"type_threshold": delta, **counts.to_json()}
            | {f"types_{name}": value for name, value in types.to_json().items()}
        )
    out = options.out or options.workdir / "sweep"
    title = f"δ on {options.split} of {ner.config.data.name}, by decoding"
    write_atomically(out / "sweep.json", json.dumps(rows, indent=2) + "\n")
    figures = ("precision", "recall", "f1", "types_precision", "types_recall", "types_f1")
    cells = [[f"{row['type_threshold']:g}", *(f"{100 * row[name]:.2f}" for name in figures)] for row in rows]
    lines = table_lines(title, _HEADS, cells)
    write_atomically(out / "sweep.md", "\n".join([*lines, ""]))
    draw_thresholds(rows, ner.type_threshold, title, options.picture or out / "sweep.svg")
    show(*lines, f"table and picture: {out}")


def _match(options: argparse.Namespace) -> None:
    """What the type matching model of a run tells apart, in each split."""
    if options.workdir is None:
        raise UserError("--mode=match looks at the type matching model of a run: give --workdir")
    from toner_jax.experiments.pictures import draw_similarities
    from toner_jax.experiments.results import table_lines
    from toner_jax.experiments.similarities import tell_apart
    from toner_jax.runs.restore import read_work_config

    found, priors = tell_apart(options.workdir)
    out = options.out or options.workdir / "match"
    title = f"Types told apart on {read_work_config(options.workdir).data.name}"
    rows: list[dict[str, Any]] = [{"split": t.split, "weights": t.weights, **t.figures} for t in found]
    scores = ("precision", "recall", "f1")
    cells = [
        [f"{r['split']}, {r['weights']} training", f"{r['auc']:.4f}", f"{r['type_threshold']:.4f}",
         *(f"{100 * r[name]:.2f}" for name in scores)]
        for r in rows
    ]  # fmt: skip
    cells += [
        [
            f"{p['split']}, the same for all",
            f"{p['auc']:.4f}",
            "–",
            *(f"{100 * p[name]:.2f}" for name in scores),
        ]
        for p in priors
    ]
    lines = table_lines(title, ("", "AUC", "δ", "precision", "recall", "F1"), cells)
    write_atomically(out / "match.json", json.dumps({"matcher": rows, "type_prior": priors}, indent=2) + "\n")
    write_atomically(out / "match.md", "\n".join([*lines, ""]))
    draw_similarities(found, title, options.picture or out / "match.svg")
    show(*lines, f"table and picture: {out}")


def _retrain(options: argparse.Namespace) -> None:
    """A generator trained at each δ, of one type matching model a seed."""
    if options.config is None:
        raise UserError("--mode=retrain trains a generator for each δ: give --config")
    from toner_jax.experiments.grid import run_all
    from toner_jax.experiments.pictures import draw_thresholds
    from toner_jax.experiments.results import collect, markdown
    from toner_jax.experiments.variants import thresholds
    from toner_jax.validation import validate

    chosen = config_file.load(options.config, options.keys)
    validate(chosen.config)
    if not chosen.config.matcher.enabled:
        raise UserError("matcher.enabled=False: there is no δ to sweep")
    study = thresholds(chosen.config, options.thresholds)
    out = options.out or Path("runs") / f"{chosen.name}-sweep"
    run_all(chosen.config, study.variants, options.seeds, out)
    results = collect(out, study, options.seeds)
    text = markdown(results)
    rows = [
        {
            "type_threshold": variant.changes["matcher.type_threshold"],
            "f1": row["figures"]["test_f1"]["mean"],
            "types_f1": row["figures"]["types_f1"]["mean"],
        }
        for variant, row in zip(study.variants, results["variants"], strict=True)
    ]
    write_atomically(out / "sweep.md", text)
    write_atomically(out / "sweep.json", json.dumps(results, indent=2) + "\n")
    draw_thresholds(rows, None, study.title, options.picture or out / "sweep.svg")
    show(*text.splitlines(), f"tables and picture: {out}")


def _thresholds(text: str) -> tuple[float, ...]:
    found = tuple(sorted({cli.number(word) for word in cli.words(text)}))
    if not found or not all(-1 <= value <= 1 for value in found):
        raise argparse.ArgumentTypeError("name cosines between -1 and 1, as 0.5,0.6,0.7")
    return found


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        "sweep",
        "Says what another type threshold δ would do: to a finished run that only decodes with it, or to generators "
        "that are trained with it, which share one type matching model a seed; and which types a run's matcher tells "
        "apart.",
        lambda: "--config.KEY=VALUE sets a key of every run that is trained, as for train.",
        takes_keys=True,
    )
    parser.add_argument(
        "--mode",
        type=cli.one_of("decode", "retrain", "match"),
        default="decode",
        help="decode (default), retrain, or match: the cosines of a run's type matching model (Figure 4)",
    )
    parser.add_argument("--thresholds", type=_thresholds, metavar="δ,…", help="as 0.5,0.6,0.7")
    parser.add_argument(
        "--workdir", type=cli.path, metavar="DIR", help="decode, match: the work directory of a run"
    )
    parser.add_argument(
        "--split", type=cli.one_of("dev", "test"), default="test", help="decode: dev or test (default)"
    )
    parser.add_argument("--config", type=cli.some, metavar="NAME[:VARIANT]", help="retrain: as for train")
    parser.add_argument("--seeds", type=seeds, default=(0,), metavar="SEED,…", help="retrain: 0 by default")
    parser.add_argument(
        "--out", type=cli.path, metavar="DIR",
        help="where tables and runs live; WORKDIR/sweep, or runs/NAME-sweep, by default",
    )  # fmt: skip
    parser.add_argument(
        "--picture", type=cli.picture, metavar="FILE", help="an .svg or .png file; sweep.svg by default"
    )
    config_file.add_no_cache(parser)
    return parser.read(arguments)
