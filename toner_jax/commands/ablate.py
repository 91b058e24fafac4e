"""`toner-jax ablate`: what each part of ToNER adds (Table 6 of the paper), and what its inputs are worth, on any data
set."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from toner_jax.commands import config_file
from toner_jax.commands.going_on import goes_on
from toner_jax.common import cli
from toner_jax.common.console import show
from toner_jax.common.files import write_atomically

_STUDIES = ("parts", "types", "explanations", "sizes")


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
      Ended: Ctrl-C or SIGTERM; what is done stays done.
    """
    options = _read(arguments)
    from toner_jax.validation import validate

    with goes_on():
        chosen = config_file.load(options.config, options.keys)
        validate(chosen.config)
        _run(chosen, options)


def _run(chosen: config_file.Chosen, options: argparse.Namespace) -> None:
    from toner_jax.experiments import variants
    from toner_jax.experiments.grid import run_all
    from toner_jax.experiments.pictures import draw_variants
    from toner_jax.experiments.results import collect, markdown
    from toner_jax.parallel.runtime import set_up_compilation

    if options.study == "sizes":
        study = variants.sizes(chosen.config, options.sizes)
    else:
        study = variants.STUDIES[options.study](chosen.config)
    out = options.out or Path("runs") / f"{chosen.name}-ablation"
    if not options.collect:
        set_up_compilation()
        run_all(chosen.config, study.variants, options.seeds, out)
    results = collect(out, study, options.seeds)
    text = markdown(results)
    write_atomically(out / f"{study.name}.md", text)
    write_atomically(out / f"{study.name}.json", json.dumps(results, indent=2) + "\n")
    draw_variants(results, options.picture or out / f"{study.name}.svg")
    show(*text.splitlines(), f"tables and picture: {out}")


def seeds(text: str) -> tuple[int, ...]:
    """Seeds of a command line, each once."""
    found = tuple(dict.fromkeys(cli.whole_number(word) for word in cli.words(text)))
    if not found:
        raise argparse.ArgumentTypeError("name at least one seed, as 0,1,2")
    return found


def sizes(text: str) -> tuple[str, ...]:
    """Sizes of a command line, each once."""
    found = tuple(dict.fromkeys(cli.words(text)))
    if not found:
        raise argparse.ArgumentTypeError("name at least one size, as large,xl")
    return found


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        "ablate",
        "Trains and evaluates runs that differ in one thing. parts: the rungs of the paper's Table 6, the generator "
        "alone, with type matching, with type classification, with type recognition. types: T′ from each source. "
        "explanations: ToNER-EXP and its controls. sizes: ToNER and ToNER-EXP of each size (Figure 5, Table 7). Runs "
        "of a seed share one type matching model.",
        lambda: "--config.KEY=VALUE sets a key of every run, as for train.",
        takes_keys=True,
    )
    parser.add_argument(
        "--config",
        type=cli.some,
        required=True,
        metavar="NAME[:VARIANT]",
        help="as for train",
    )
    parser.add_argument(
        "--study",
        type=cli.one_of(*_STUDIES),
        default="parts",
        help=f"{', '.join(_STUDIES)}; parts by default",
    )
    parser.add_argument(
        "--sizes", type=sizes, default=("large", "xl"), metavar="SIZE,…",
        help="sizes: of Flan-T5, or of random weights factors of their width; large,xl by default",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=cli.path, metavar="DIR", help="where the runs live; runs/NAME-ablation by default"
    )
    parser.add_argument("--seeds", type=seeds, default=(0,), metavar="SEED,…", help="0 by default")
    parser.add_argument(
        "--collect", action="store_true", help="train nothing: tell of the runs that are there"
    )
    parser.add_argument(
        "--picture", type=cli.picture, metavar="FILE", help="an .svg or .png file; STUDY.svg by default"
    )
    config_file.add_no_cache(parser)
    return parser.read(arguments)
