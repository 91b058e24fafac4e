"""`toner-jax schema`: the schema of annotated data, with descriptions to fill in."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toner_jax.commands.config_file import add_no_cache
from toner_jax.common import cli
from toner_jax.errors import UserError

if TYPE_CHECKING:
    from toner_jax.data.options import DataOptions


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
    """
    options = _read(arguments)
    from toner_jax.data.infer import infer_schema, write_schema_file

    data = _data_options(options.keys)
    if options.output.exists():
        raise UserError(f"{options.output}: exists; give the schema a new file")
    labels = [_labels(path, options.format, data) for path in options.input]
    total = sum(labels, Counter[str]())
    schema = infer_schema(total, options.output.stem)
    write_schema_file(schema, options.output)
    for type_ in schema.types:
        without = [
            p.name
            for p, its in zip(options.input, labels, strict=True)
            if not any(its[t] for t in type_.tags)
        ]
        absent = f", none in {', '.join(without)}" if without else ""
        print(
            f"{type_.name}: {sum(total[t] for t in type_.tags):,} entities ({', '.join(type_.tags)}){absent}"
        )


def _labels(path: Path, format: str, options: DataOptions) -> Counter[str]:
    """The labels of a file or folder by how often; what was mended or left out in it is said."""
    from toner_jax.common.console import say
    from toner_jax.data.formats.format import count_labels
    from toner_jax.data.formats.registry import read_path, said_format_of

    read = read_path(path, said_format_of(path, format), None, "", options)
    for reason, times in read.repairs.items():
        say(f"{path.name}: {reason}: {times:,}, the first at {read.repairs.places(reason)[0]}")
    return Counter(count_labels(read))


def _data_options(keys: Sequence[tuple[str, str]]) -> DataOptions:
    """The defaults of the configuration's data section, with the keys of it that are given."""
    from toner_jax import config
    from toner_jax.commands.config_file import check_key
    from toner_jax.data.options import DataOptions

    base = config.base()
    for key, text in keys:
        check_key(base, key)
        if not key.startswith("data."):
            raise UserError(f"{key}: has no part in reading data; give keys of data")
        config.set_key(base, key, text)
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
        type=cli.path,
        required=True,
        metavar="FILE",
        help="the schema file to write, .json or .yaml",
    )
    add_no_cache(parser)
    return parser.read(arguments)


def _more() -> str:
    return "--config.data.KEY=VALUE says how to read them, as for train: --config.data.token_column=1."
