"""`toner-jax reproduce`: a table or a figure of the paper by runs, beside what is printed there."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toner_jax.commands import config_file
from toner_jax.commands.ablate import seeds
from toner_jax.commands.going_on import goes_on
from toner_jax.common import cli
from toner_jax.common.console import say, show
from toner_jax.common.files import write_atomically
from toner_jax.errors import UserError

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from toner_jax.experiments.variants import Study

_Runs = Mapping[str, Mapping[str, tuple[Path, "Study | None"]]]


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
      Ended: Ctrl-C or SIGTERM; what is trained stays trained.
    """
    options = _read(arguments)
    if (options.table is None) == (options.figure is None):
        raise UserError("name one: --table=3 to 7, or --figure=3 to 5")
    kind, number = ("table", options.table) if options.table else ("figure", options.figure)
    from toner_jax.experiments.reproduction import FIGURES, TABLES, run_or_collect

    known = (TABLES if kind == "table" else FIGURES).get(int(number))
    if known is None:
        raise UserError(f"--{kind}={number}: there are tables 3 to 7 and figures 3 to 5 to reproduce")
    if other := [name for name in (*options.datasets, *options.dirs) if name not in known]:
        raise UserError(f"{other[0]}: {kind} {number} has {', '.join(known)}")
    datasets = [name for name in known if not options.datasets or name in options.datasets]
    with goes_on():
        chosen = {(d, v): _config(d, v, options) for d in datasets for v in options.variants}
        runs = run_or_collect(
            kind, int(number), chosen, options.out, None if options.collect else partial(_run, options.seeds)
        )
        _tell(kind, int(number), runs, options)


def _config(dataset: str, variant: str, options: argparse.Namespace) -> ConfigDict:
    from toner_jax.validation import validate

    config = config_file.load(f"{dataset}:{variant}", options.keys).config
    if dataset in options.dirs:
        config.data.dir = options.dirs[dataset]
    validate(config)
    return config


def _run(seeds: Sequence[int], config: ConfigDict, study: Study | None, folder: Path) -> None:
    from toner_jax.experiments.grid import run_all, train_matcher
    from toner_jax.parallel.runtime import set_up_compilation

    set_up_compilation()
    if study is not None:
        run_all(config, study.variants, seeds, folder)
        return
    for seed in seeds:
        train_matcher(config, seed, folder)


def _tell(kind: str, number: int, runs: _Runs, options: argparse.Namespace) -> None:
    from toner_jax.experiments import reproduction

    name, title = f"{kind}{number}", reproduction.title_of(kind, number)
    lines, rows = [f"# {title}", ""], {}
    for dataset, of_variant in runs.items():
        if (kind, number) == ("figure", 4):
            _draw_matchers(dataset, of_variant, options)
            continue
        studies = {variant: (out, study) for variant, (out, study) in of_variant.items() if study is not None}
        rows[dataset] = (
            reproduction.rows_of(number, dataset, studies, options.seeds)
            if kind == "table"
            else reproduction.our_rows(studies, options.seeds)
        )
        lines += [
            f"#{line}" if line.startswith("# ") else line
            for line in reproduction.markdown(dataset, rows[dataset])
        ]
        lines.append("")
        _draw(f"{title}: {dataset}", rows[dataset], options.out / f"{name}-{dataset}.svg")
    if not rows:
        return
    write_atomically(options.out / f"{name}.md", "\n".join(lines))
    write_atomically(
        options.out / f"{name}.json", json.dumps({"title": title, "datasets": rows}, indent=2) + "\n"
    )
    show(*lines, f"tables and pictures: {options.out}")


def _draw(title: str, rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    from toner_jax.experiments.pictures import draw_variants

    shown = [
        {
            "title": row["model"],
            "figures": {"test_f1": row["f1"] if row["ours"] else {"by_seed": {}, "mean": None, "sd": None}},
            "published": None if row["ours"] else row["f1"]["mean"],
        }
        for row in rows
    ]
    draw_variants({"title": title, "variants": shown}, path, "F1 of unique pairs on test (%)")


def _draw_matchers(dataset: str, of_variant: Mapping[str, Any], options: argparse.Namespace) -> None:
    """Figure 4 of each type matching model that is there."""
    from toner_jax.experiments.grid import matcher_of
    from toner_jax.experiments.pictures import draw_similarities
    from toner_jax.experiments.similarities import tell_apart

    for variant, (folder, _) in of_variant.items():
        workdir = matcher_of(folder, options.seeds[0])
        if not workdir.is_dir():
            say(f"{workdir}: no type matching model yet")
            continue
        found, _ = tell_apart(workdir)
        path = options.out / f"figure4-{dataset}-{variant}.svg"
        draw_similarities(found, f"Figure 4: {dataset}, {variant}", path)
        show(f"picture: {path}")


def _dirs(text: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in cli.words(text)]
    if not all(name and equals and folder for name, equals, folder in pairs):
        raise argparse.ArgumentTypeError("name the folder of each data set, as jnlpba=DIR,ace2004=DIR")
    return {name: folder for name, _, folder in pairs}


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        "reproduce",
        "Does the runs of a table or a figure of the paper, or collects those that are there, and shows them beside "
        "what the paper has, baselines included. Tables and figures share their runs.",
        lambda: "--config.KEY=VALUE sets a key of every run, as for train.",
        takes_keys=True,
    )
    parser.add_argument("--table", type=cli.whole_number, metavar="N", help="the number of a table, 3 to 7")
    parser.add_argument("--figure", type=cli.whole_number, metavar="N", help="the number of a figure, 3 to 5")
    parser.add_argument(
        "--datasets",
        type=cli.words,
        default=(),
        metavar="NAME,…",
        help="some of those it has; all by default",
    )
    parser.add_argument(
        "--dirs",
        type=_dirs,
        default={},
        metavar="NAME=DIR,…",
        help="where data sets lie, if not where their configurations say",
    )
    parser.add_argument(
        "--variants", type=cli.words, default=("large", "xl"), metavar="NAME,…",
        help="of the configurations; large,xl by default, scratch for small models from random weights",
    )  # fmt: skip
    parser.add_argument("--seeds", type=seeds, default=(0,), metavar="SEED,…", help="0 by default")
    parser.add_argument(
        "--out",
        type=cli.path,
        default=Path("runs/paper"),
        metavar="DIR",
        help="where the runs live; runs/paper",
    )
    parser.add_argument(
        "--collect", action="store_true", help="train nothing: tell of the runs that are there"
    )
    config_file.add_no_cache(parser)
    return parser.read(arguments)
