"""`toner-jax compile`: a configuration's programs, compiled for devices that need not be here.

docs/compile.md says what the figures mean and what they rest on.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Sequence

from toner_jax.commands import config_file
from toner_jax.common import cli
from toner_jax.common.console import show, show_rich
from toner_jax.common.files import write_atomically

PROGRAMS = ("generator", "matcher", "decode", "types")
_SHAPE = (128, 32)  # what most prompts and targets of the benchmark sets fit in
_WIDTH = 400  # wider than any table, which is not to be cut where the output is no terminal


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
    """
    options = _read(arguments)
    from toner_jax.compiling import targets

    target = targets.find(options.devices)
    from toner_jax.validation import validate

    chosen = config_file.load(options.config, options.keys)
    validate(chosen.config)
    targets.prepare(target)  # which starts JAX
    from rich.console import Console

    from toner_jax.compiling.plan import Asked, compile_programs
    from toner_jax.compiling.table import table, write_picture

    asked = Asked(
        programs=options.programs,
        shapes=options.shape or [_SHAPE],
        types=options.types,
        layers=options.layers,
        growth=not options.no_growth,
        examples=options.examples,
        price=options.price,
    )
    report = compile_programs(chosen.config, options.config, target, asked)
    if options.json:
        write_atomically(options.json, json.dumps(report, indent=2) + "\n")
    if options.picture:
        write_picture(report, options.picture)
    show_rich(table(report), Console(width=_WIDTH))
    show(*report["assumptions"])


def _shape(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)[,x×](\d+)", text)
    if not found or not int(found.group(1)) or not int(found.group(2)):
        raise argparse.ArgumentTypeError(f"expected two lengths, as 128,32 or 128×32, not {text!r}")
    return int(found.group(1)), int(found.group(2))


def _price(text: str) -> float:
    price = cli.number(text)
    if not 0 < price < math.inf:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return price


def _programs(text: str) -> list[str]:
    choose = cli.one_of(*PROGRAMS)
    return [choose(name) for name in cli.words(text)]


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        "compile",
        "Compiles a configuration's programs for devices that need not be here, and says what they take.",
        _more,
        takes_keys=True,
    )
    parser.add_argument(
        "--devices", type=cli.some, required=True, metavar="[[HOSTSx]COUNTx]NAME",
        help="as 8xa100-80gb, 2x8xa100-80gb (two hosts), h100, 16xv5e, 8xcpu",
    )  # fmt: skip
    parser.add_argument(
        "--config", type=cli.some, required=True, metavar="NAME[:VARIANT]", help="as for train"
    )
    parser.add_argument(
        "--programs", type=_programs, default=list(PROGRAMS), metavar="KIND[,KIND]",
        help=f"of {', '.join(PROGRAMS)} (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--shape", type=_shape, action="append", metavar="SOURCE,TARGET",
        help="lengths of the generator's batches, 128,32 by default; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--layers", type=cli.positive, metavar="N",
        help="compile programs of N and 2N layers and continue their figures to the model's depth",
    )  # fmt: skip
    parser.add_argument("--types", type=cli.positive, metavar="K", help="types of a schema that is not known")
    parser.add_argument(
        "--examples", type=cli.positive, metavar="N", help="training sentences: how long an epoch takes"
    )
    parser.add_argument(
        "--price", type=_price, metavar="PRICE",
        help="of a device for an hour, in any currency: what a training costs, with --examples",
    )  # fmt: skip
    parser.add_argument("--no-growth", action="store_true", help="do not compile for twice the batch, too")
    parser.add_argument("--json", type=cli.output, metavar="FILE", help="write all figures as JSON")
    parser.add_argument(
        "--picture", type=cli.picture, metavar="FILE", help="an .svg or .png file: what fits where"
    )
    return parser.read(arguments)


def _more() -> str:
    return (
        "--config.KEY=VALUE sets a key, as for train: --config.mesh.fsdp=8. No checkpoint, data or accelerator is\n"
        "needed, but the compilers: pip install 'toner-jax[compile]'."
    )
