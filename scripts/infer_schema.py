"""Writes the schema of annotated data, with descriptions to fill in.

python scripts/infer_schema.py --input=train.jsonl --output=schema.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from toner_jax.common.console import show_messages
from toner_jax.errors import UserError


def main(argv: list[str] | None = None) -> int:
    """Exit status 0, or 2 for bad input."""
    from toner_jax import config
    from toner_jax.data.formats.registry import format_of, labels_of
    from toner_jax.data.infer import infer_schema, write_schema_file
    from toner_jax.data.options import DataOptions

    parser = argparse.ArgumentParser(prog="infer_schema", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--input", type=Path, required=True, help="a file or folder of the data")
    parser.add_argument("--format", default="auto", help="as data.format; %(default)s looks at the data")
    parser.add_argument("--output", type=Path, required=True, help="the schema file to write")
    options = parser.parse_args(argv)
    show_messages()
    try:
        if options.output.exists():
            raise UserError(f"{options.output}: exists; give the schema a new file")
        format = format_of(options.input, options.format)
        if options.format == "auto":
            print(f"{options.input.name}: detected format {format}", file=sys.stderr)
        labels = labels_of(options.input, format, DataOptions.from_section(config.base().data))
        schema = infer_schema(labels, options.output.stem)
        write_schema_file(schema, options.output)
    except UserError as error:
        print(f"infer_schema: {error}", file=sys.stderr)
        return 2
    for type_ in schema.types:
        n = sum(labels[tag] for tag in type_.tags)
        print(f"{type_.name}: {n:,} entities ({', '.join(type_.tags)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
