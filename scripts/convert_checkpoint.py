"""Converts between a run's checkpoints and Hugging Face folders.

    python scripts/convert_checkpoint.py --from=WORKDIR --to=FOLDER [--step=N] [--dtype=bfloat16]

writes FOLDER/generator and FOLDER/matcher, which PyTorch's `from_pretrained` loads, and

    python scripts/convert_checkpoint.py --from=HF_FOLDER_OR_ID --to=FOLDER [--dtype=bfloat16]

an Orbax checkpoint that a run starts from: --config.generator.checkpoint=FOLDER, or matcher.checkpoint.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from toner_jax.common.console import show_messages
from toner_jax.errors import UserError


def main(argv: list[str] | None = None) -> int:
    """The command line; exit status 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="source", required=True, help="a work directory, or a model to import")
    parser.add_argument("--to", dest="target", type=Path, required=True, help="a new or empty folder")
    parser.add_argument(
        "--step", type=int, help="a generator checkpoint of the run; the chosen one by default"
    )
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    options = parser.parse_args(argv)
    from toner_jax.runs.export.convert import convert

    show_messages()
    try:
        print(convert(options.source, options.target, options.step, options.dtype))
    except UserError as error:
        print(f"toner_jax: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
