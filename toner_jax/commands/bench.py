"""`toner-jax bench`: how fast the package is, beside other libraries on the same weights and machine.

docs/benchmarks/README.md says what is measured and what is not.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from toner_jax.common import cli
from toner_jax.common.console import show

BENCHMARKS = {
    "train": "the generator's train step",
    "epoch": "an epoch of the generator's training, from text",
    "match": "type matching: embedding texts, and its train step",
    "decode": "the generator's decoding",
    "growth": "how cost grows with sizes, batches, lengths, types and sentences",
    "data": "reading data and making samples",
    "tokenize": "words to ids",
    "serve": "the service: requests read together, and one by one",
}
_ON_DEVICES = ("train", "epoch", "match", "decode", "growth", "serve")  # the others compute nothing there


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
    """
    if list(arguments[:1]) in (["--help"], ["-h"]):
        lines = [f"  {name:<8} {what}" for name, what in BENCHMARKS.items()]
        show(f"usage: {cli.PROGRAM} bench BENCHMARK [--flag=value …]", "", *lines)
        return
    name, rest = cli.choose(arguments, BENCHMARKS, "benchmark", f"{cli.PROGRAM} bench")
    parser = cli.Parser(f"bench {name}", f"Measures {BENCHMARKS[name]}.")
    parser.set_defaults(device="cpu")
    if name in _ON_DEVICES:
        parser.add_argument(
            "--device", type=cli.one_of("auto", "cpu"), default="auto",
            help="auto (default): the accelerators, where there are any; cpu: two threads of it",
        )  # fmt: skip
    benchmark = importlib.import_module(f"toner_jax.benchmarks.{name}")
    benchmark.add_options(parser)
    options = parser.read(rest)
    from toner_jax.benchmarks.machine import prepare

    prepare(options.device)
    benchmark.run(options)
