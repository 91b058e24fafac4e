"""`toner-jax train`: a run, from its data to its reports."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toner_jax.commands import config_file
from toner_jax.commands.going_on import goes_on
from toner_jax.common import cli
from toner_jax.common.console import show
from toner_jax.common.files import describe_failure
from toner_jax.errors import UserError

if TYPE_CHECKING:
    from ml_collections import ConfigDict


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
      Ended: Ctrl-C or SIGTERM; the run goes on from there when it is started again.
    """
    options = _read(arguments)
    if options.list_keys:
        from toner_jax.commands.keys import read_keys, table

        show(*table(read_keys()).split("\n"))
        return
    from toner_jax.validation import validate

    with goes_on("from the last checkpoint", "from here"):
        chosen = config_file.load(options.config, options.keys)
        if options.profile:
            chosen.config.profile = options.profile
        validate(chosen.config)  # before JAX is imported, which takes seconds
        _run(chosen.config, options.workdir or Path("runs") / chosen.name, options)


def _run(config: ConfigDict, workdir: Path, options: Namespace) -> None:
    from toner_jax.evaluation.summary import show_run
    from toner_jax.parallel.processes import Wanted, is_first, together
    from toner_jax.parallel.runtime import set_up_compilation
    from toner_jax.runs.plan import describe
    from toner_jax.runs.run import execute

    set_up_compilation()
    p, results = config.processes, {}
    try:
        with together(Wanted(p.coordinator, p.count, p.index, p.cluster, p.share_files)):
            first = is_first()
            if options.dry_run:
                lines = describe(config, workdir, options.restart)
                show(*(lines if first else ()))
            else:
                results = execute(config, workdir, options.restart)
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, a folder that vanished: the user's to mend, like bad input
        mend = "mend it and start the same command again"
        raise UserError(describe_failure(error, workdir, mend)) from error
    if first and "evaluate" in results and sys.stdout is not None:
        show_run(workdir)


def _stages(text: str) -> tuple[str, ...]:
    return tuple(cli.some(text).split(","))


def _read(arguments: Sequence[str]) -> Namespace:
    from toner_jax.commands.keys import help_text

    parser = cli.Parser(
        "train",
        "Trains both models on a data set and evaluates them. Started again, it goes on where it was.",
        help_text,
        takes_keys=True,
    )
    parser.add_argument(
        "--config", type=cli.some, metavar="NAME[:VARIANT]", help="the configuration: a name below, or a file"
    )
    parser.add_argument(
        "--workdir", type=cli.path, metavar="DIR", help="where the run lives; runs/NAME by default"
    )
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help="say what would be done, and how long it takes, without doing it",
    )
    parser.add_argument(
        "--restart",
        type=_stages,
        default=(),
        metavar="STAGE[,STAGE]",
        help="what may be trained anew where it has changed: matcher, generator or both; what it replaces goes once "
        "the new one has a checkpoint",
    )
    parser.add_argument(
        "--profile", nargs="?", type=cli.positive, const=10, metavar="STEPS",
        help="trace so many steps of each training, 10 by default: for Perfetto, and a page of where their time goes",
    )  # fmt: skip
    config_file.add_no_cache(parser)
    parser.add_argument("--keys", dest="list_keys", action="store_true", help="list every key, and end")
    options = parser.read(arguments)
    if options.config is None and not options.list_keys:
        parser.error("the following arguments are required: --config")
    return options
