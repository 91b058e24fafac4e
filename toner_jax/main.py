"""The run: `python -m toner_jax.main --config=FILE[:variant] --workdir=DIR [--config.key=value …]`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from toner_jax.common.console import show_messages
from toner_jax.errors import UserError
from toner_jax.training.interrupts import Preempted, install

_USAGE = "python -m toner_jax.main --config=FILE[:variant] [--workdir=DIR] [--dry_run] [--config.key=value …]"
EXIT_BAD_INPUT = 2
EXIT_PREEMPTED = 75
EXIT_INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Runs the command line and returns its exit status: 0, 2 for bad input, 130 for Ctrl-C, 75 for SIGTERM."""
    show_messages()
    try:
        options = _parse(sys.argv if argv is None else argv)
        from toner_jax.evaluation.summary import show_run
        from toner_jax.parallel.runtime import keep_compiled_programs
        from toner_jax.runs.plan import describe
        from toner_jax.runs.run import execute

        keep_compiled_programs()
        install()
        if options.dry_run:
            print(describe(options.config, options.workdir, options.restart))
            return 0
        results = execute(options.config, options.workdir, options.restart)
        if "evaluate" in results:
            show_run(options.workdir)
    except UserError as error:
        print(f"toner_jax: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("toner_jax: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Preempted:
        print("toner_jax: stopped by SIGTERM; the same command goes on from here", file=sys.stderr)
        return EXIT_PREEMPTED
    except OSError as error:  # a full disk, a folder that vanished: the user's to mend, like bad input
        where = error.filename or options.workdir
        print(
            f"toner_jax: {where}: {error.strerror or error}; mend it and start the same command again",
            file=sys.stderr,
        )
        return EXIT_BAD_INPUT
    return 0


@dataclass(frozen=True)
class _Options:
    config: Any
    workdir: Path
    restart: bool
    dry_run: bool


def _parse(argv: list[str]) -> _Options:
    """The command line.

    Raises:
      UserError: a missing or broken config file, an unknown key, a value of the wrong type.
    """
    values = flags.FlagValues()
    holder = config_flags.DEFINE_config_file(
        "config", None, "The run's configuration.", flag_values=values, sys_argv=argv
    )
    flags.DEFINE_string("workdir", None, "Where the run lives.", flag_values=values)
    flags.DEFINE_boolean(
        "restart", False, "Train half-trained stages with changed settings anew.", flag_values=values
    )
    flags.DEFINE_boolean("dry_run", False, "Say what would be done, without training.", flag_values=values)
    flags.DEFINE_boolean("help", False, "Show this text.", flag_values=values)
    try:
        rest = values(argv)
    except Exception as error:  # config files are programs: whatever they raise is shown as one line
        if isinstance(
            error.__context__, UserError
        ):  # which absl takes for a flag's value that it cannot read
            raise error.__context__ from None
        raise UserError(_flag_problem(error)) from error
    if values.help:
        print(f"usage: {_USAGE}")
        raise SystemExit(0)
    if len(rest) > 1:
        raise UserError(f"unexpected argument {rest[1]!r}; usage: {_USAGE}")
    if values.config is None:
        raise UserError(f"--config is missing; usage: {_USAGE}")
    path = Path(config_flags.get_config_filename(values[holder.name]).partition(":")[0])
    if not path.is_file():
        raise UserError(f"--config: no such file {path}")
    workdir = Path(values.workdir or Path("runs") / path.stem)
    return _Options(values.config, workdir, values.restart, values.dry_run)


def _flag_problem(error: Exception) -> str:
    """What went wrong, as one line without a file's worth of context."""
    text = " ".join(str(error).split()).strip("'\"")
    return f"{text or type(error).__name__}; usage: {_USAGE}"


if __name__ == "__main__":
    sys.exit(main())
