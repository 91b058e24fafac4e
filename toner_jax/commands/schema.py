"""`toner-jax schema`: the schema of annotated data, with descriptions to fill in."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toner_jax.commands.config_file import add_no_cache
from toner_jax.common import cli
from toner_jax.common.console import say, show
from toner_jax.errors import UserError

if TYPE_CHECKING:
    from toner_jax.data.options import DataOptions
    from toner_jax.schema import Schema


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
    """
    options = _read(arguments)
    from toner_jax.data.formats.registry import said_format_of
    from toner_jax.data.infer import infer_schema, write_schema_file

    data = _data_options(options.keys)
    if options.output.exists():
        raise UserError(f"{options.output}: exists; give the schema a new file")
    formats = [said_format_of(path, options.format) for path in options.input]
    inputs = list(zip(options.input, formats, strict=True))
    labels = {label for path, format in inputs for label in _count(path, format, None, data)}
    schema = infer_schema(labels, options.output.stem)
    # Anew, as training will read them: where labels are one type, `I-PER` after `B-Per` begins no entity.
    counts = [(path, _count(path, format, schema, data)) for path, format in inputs]
    write_schema_file(schema, options.output)
    for type_ in schema.types:
        without = [path.name for path, its in counts if not its.get(type_.name)]
        absent = f", none in {', '.join(without)}" if without else ""
        times = sum(its.get(type_.name, 0) for _, its in counts)
        show(f"{type_.name}: {times:,} entities ({', '.join(type_.tags)}){absent}")


def _count(path: Path, format: str, schema: Schema | None, options: DataOptions) -> dict[str, int]:
    """The types of a file or folder by how often, without a schema its labels; with one, what was mended or left out
    in it is said."""
    from toner_jax.data.formats.format import count_labels
    from toner_jax.data.formats.registry import read_path

    read = read_path(path, format, schema, "", options)
    for reason, times in read.repairs.items() if schema else ():
        say(f"{path.name}: {reason}: {times:,}, the first at {read.repairs.places(reason)[0]}")
    return count_labels(read)


def _data_options(keys: Sequence[tuple[str, str]]) -> DataOptions:
    """The defaults of the configuration's data section, with the keys of it that are given."""
    from toner_jax import config
    from toner_jax.commands.config_file import check_key
    from toner_jax.config_keys import set_key
    from toner_jax.data.options import DataOptions

    base = config.base()
    for key, text in keys:
        check_key(base, key)
        if not key.startswith("data."):
            raise UserError(f"{key}: has no part in reading data; give keys of data")
        set_key(base, key, text)
    return DataOptions.from_section(base.data)


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        "schema", "Writes the schema of annotated data, with descriptions to fill in.", _more, takes_keys=True
    )
    parser.add_argument(
        "--input", type=cli.path, action="append", required=True, metavar="PATH",
        help="a file or folder of the data; of train, dev and test, give each",
    )  # fmt: skip
    parser.add_argument(
        "--format", type=cli.some, default="auto", help="as data.format; %(default)s looks at the data"
    )
    parser.add_argument(
        "--output",
        type=cli.output,
        required=True,
        metavar="FILE",
        help="the schema file to write, .json or .yaml",
    )
    add_no_cache(parser)
    return parser.read(arguments)


def _more() -> str:
    return "--config.data.KEY=VALUE says how to read them, as for train: --config.data.token_column=1."
