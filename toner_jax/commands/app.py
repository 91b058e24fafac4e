"""`toner-jax COMMAND …`: the commands there are, and the way to each."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence

from toner_jax.common import cli
from toner_jax.common.console import show

COMMANDS = {
    "train": "train both models on a data set and evaluate them",
    "predict": "find the entities of a file's texts",
    "serve": "answer requests for the entities of texts, and show them on a page in the browser",
    "evaluate": "evaluate a run on a split, another file or another step",
    "compare": "show two runs beside each other, and whether they differ by more than chance",
    "runs": "list the runs below a folder: how far they are, and what they came to",
    "ablate": "tell what each part of the method adds, as the paper's Table 6 does",
    "sweep": "tell what another type threshold would do, as the paper's Figure 3 does",
    "reproduce": "do the runs of a table or figure of the paper, and show both",
    "explain": "ask a language model to explain training entities, to train with (ToNER-EXP)",
    "stats": "say what a data set holds",
    "schema": "begin a schema file with the labels of annotated data",
    "convert": "turn a run into Hugging Face folders, or a Hugging Face model into a checkpoint",
    "compile": "compile a run's programs for devices that are not here: what they take, how fast they can be",
    "bench": "measure the speed of decoding or of reading data",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The whole command line; None for the process's own. Returns the exit status (`toner_jax.common.cli`)."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    return cli.run(lambda: _dispatch(given))


def door(command: str) -> Callable[..., int]:
    """The main function of a program that is one of the commands."""

    def command_main(arguments: Sequence[str] | None = None) -> int:
        return main([command, *(sys.argv[1:] if arguments is None else arguments)])

    return command_main


def _dispatch(arguments: list[str]) -> int | None:
    if arguments[:1] in (["--help"], ["-h"]):
        show(*_overview())
        return cli.OK
    if arguments == ["--version"]:
        from toner_jax import __version__

        show(f"{cli.PROGRAM} {__version__}")
        return cli.OK
    name, rest = cli.choose(arguments, COMMANDS, "command", cli.PROGRAM)
    main: Callable[[list[str]], int | None] = importlib.import_module(f"toner_jax.commands.{name}").main
    return main(rest)


def _overview() -> list[str]:
    return [
        f"usage: {cli.PROGRAM} COMMAND [--flag=value …]",
        "",
        "Type-oriented named entity recognition (ToNER) on JAX.",
        "",
        *(f"  {name:<9} {what}" for name, what in COMMANDS.items()),
        "",
        f"{cli.PROGRAM} COMMAND --help says what each flag does.",
        "Exit status: 0; 1, a comparison that was asked for differs; 2, something to mend, which one line on",
        "standard error names; 3, rows that could not be read stand in the output (predict); 75, stopped by",
        "SIGTERM (train); 130, by Ctrl-C.",
    ]
