"""Measures how fast the package is, beside other libraries on the same weights and machine.

    python scripts/benchmark.py decode --model=WORKDIR [--split=test] [--sentences=N] [--rounds=N]
        [--json=FILE] [--markdown=FILE]
    python scripts/benchmark.py data --tokenizer=DIR [--sentences=N] [--json=FILE]

docs/benchmarks/README.md says what is measured and what is not. Everything runs on CPU, with two threads.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.machine import limit_threads
from toner_jax.common.console import show_messages
from toner_jax.errors import UserError


def main(argv: list[str] | None = None) -> int:
    """Exit status 0, 2 for bad input, 130 when interrupted."""
    limit_threads()
    from benchmarks import data, decode

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="benchmark", required=True)
    decode.add_options(commands.add_parser("decode", help="the generator's decoding"))
    data.add_options(commands.add_parser("data", help="reading data and making samples"))
    options = parser.parse_args(argv)
    show_messages()
    try:
        {"decode": decode.run, "data": data.run}[options.benchmark](options)
    except UserError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
