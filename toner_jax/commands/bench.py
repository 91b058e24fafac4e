"""`toner-jax bench`: how fast the package is, beside other libraries on the same weights and machine.

docs/benchmarks/README.md says what is measured and what is not. Everything runs on CPU, with two threads.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from toner_jax.common import cli
from toner_jax.common.console import show

BENCHMARKS = {"decode": "the generator's decoding", "data": "reading data and making samples"}


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
    """
    if list(arguments[:1]) in (["--help"], ["-h"]):
        lines = [f"  {name:<7} {what}" for name, what in BENCHMARKS.items()]
        show(f"usage: {cli.PROGRAM} bench BENCHMARK [--flag=value …]", "", *lines)
        return
    name, rest = cli.choose(arguments, BENCHMARKS, "benchmark", f"{cli.PROGRAM} bench")
    from toner_jax.benchmarks.machine import limit_threads

    limit_threads()
    parser = cli.Parser(f"bench {name}", f"Measures {BENCHMARKS[name]}, on CPU, with two threads.")
    benchmark = importlib.import_module(f"toner_jax.benchmarks.{name}")
    benchmark.add_options(parser)
    benchmark.run(parser.read(rest))
