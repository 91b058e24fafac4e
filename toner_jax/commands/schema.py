"""`toner-jax schema`: the schema of annotated data, with descriptions to fill in."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from toner_jax.common import cli
from toner_jax.errors import UserError


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
    """
    options = _read(arguments)
    from toner_jax import config
    from toner_jax.data.formats.registry import labels_of, said_format_of
    from toner_jax.data.infer import infer_schema, write_schema_file
    from toner_jax.data.options import DataOptions

    if options.output.exists():
        raise UserError(f"{options.output}: exists; give the schema a new file")
    format = said_format_of(options.input, options.format)
    labels = labels_of(options.input, format, DataOptions.from_section(config.base().data))
    schema = infer_schema(labels, options.output.stem)
    write_schema_file(schema, options.output)
    for type_ in schema.types:
        n = sum(labels[tag] for tag in type_.tags)
        print(f"{type_.name}: {n:,} entities ({', '.join(type_.tags)})")


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser("schema", "Writes the schema of annotated data, with descriptions to fill in.")
    parser.add_argument(
        "--input", type=cli.path, required=True, metavar="PATH", help="a file or folder of the data"
    )
    parser.add_argument(
        "--format", type=cli.some, default="auto", help="as data.format; %(default)s looks at the data"
    )
    parser.add_argument(
        "--output",
        type=cli.path,
        required=True,
        metavar="FILE",
        help="the schema file to write, .json or .yaml",
    )
    return parser.read(arguments)
