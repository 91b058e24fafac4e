"""`toner-jax compare`: two runs, or two evaluations, of the same sentences beside each other."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from toner_jax.common import cli
from toner_jax.common.console import cell, show, show_json, show_rich


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
    """
    options = _read(arguments)
    from toner_jax.experiments.comparison import compare, read_side

    a, b = (read_side(folder, options.split) for folder in (options.a, options.b))
    found = compare(a, b, options.examples)
    if options.json:
        show_json(found)
    else:
        _show(found)


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        "compare",
        "Compares two runs, or two outputs of evaluate, on the same sentences: what was changed, scores side by side, "
        "and whether the difference is more than chance.",
    )
    for name in ("a", "b"):
        parser.add_argument(
            name, type=cli.path, metavar=name.upper(), help="a work directory, or an output of evaluate"
        )
    parser.add_argument(
        "--split",
        type=cli.one_of("dev", "test"),
        default="test",
        help="of work directories, the split that is compared: dev or test (default)",
    )
    parser.add_argument(
        "--examples", type=_count, default=5, metavar="N",
        help="show at most so many sentences that only one of them has right",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser.read(arguments)


def _count(text: str) -> int:
    value = cli.whole_number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {value}")
    return value


def _show(found: dict[str, Any]) -> None:
    from rich.table import Table

    from toner_jax.evaluation.highlighting import in_brackets

    table = Table(title=cell(f"{found['sentences']:,} sentences", "italic"))
    table.add_column("")
    for name in ("A", "B", "B − A"):
        table.add_column(name, justify="right")
    for title, (a, b) in found["scores"].items():
        table.add_row(cell(title), *_points(a, b))
    for title, (a, b) in found["per_type"].items():
        table.add_row(cell(f"  {title}"), *_points(a, b))
    table.add_section()
    for kind, (a, b) in found["errors"].items():
        table.add_row(cell(f"errors: {kind.replace('_', ' ')}"), f"{a:,}", f"{b:,}", f"{b - a:+,}")
    show(f"A: {found['a']}", f"B: {found['b']}")
    for key, (a, b) in found["changed"].items():
        show(f"  {key}: {a} → {b}")
    show_rich(table)
    show(*_told(found))
    for example in found["examples"]:
        show("", f"{example['id']}: {example['right'].upper()} is right")
        for side in ("a", "b"):
            show(f"  {side.upper()} {in_brackets(example['text'], example[side])}")


def _points(a: float, b: float) -> tuple[str, str, str]:
    return f"{100 * a:.2f}", f"{100 * b:.2f}", f"{100 * (b - a):+.2f}"


def _told(found: dict[str, Any]) -> list[str]:
    difference, counts = found["difference"], found["found"]
    low, high = (100 * value for value in difference["interval"])
    if not counts["a"] and not counts["b"] and not difference["f1"] and low == high == 0:
        return [
            "Both find the same: no gold entity is found by one of them alone, and F1 is the same on every draw."
        ]
    apart = "more than chance" if low > 0 or high < 0 else "which may be chance"
    return [
        f"Strict F1 of B is {100 * difference['f1']:+.2f} points from A's, {apart}: of resampled sentences 95 % lie "
        f"between {low:+.2f} and {high:+.2f}.",
        f"Gold entities: {counts['both']:,} found by both, {counts['a']:,} by A alone, {counts['b']:,} by B alone, "
        f"{counts['neither']:,} by neither.",
    ]
