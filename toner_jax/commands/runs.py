"""`toner-jax runs`: the runs below a folder: how far they are, and what they came to."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toner_jax.common import cli
from toner_jax.common.console import cell, show, show_json, show_rich

_ORDERS = {"path": "workdir", "f1": "f1", "started": "started"}


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
    """
    options = _read(arguments)
    from toner_jax.experiments.listing import describe, work_directories

    rows = [describe(workdir, options.split) for workdir in work_directories(options.folder)]
    key = _ORDERS[options.sort]
    rows.sort(key=lambda row: (row[key] is not None, row[key]), reverse=options.sort != "path")
    if options.json:
        show_json(rows)
    elif rows:
        _show(_table(rows, options.folder, options.split))
    else:
        show(f"{options.folder}: no runs there")


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser("runs", "Lists the runs below a folder: how far they are, and what they came to.")
    parser.add_argument("folder", type=cli.path, metavar="FOLDER", help="a folder of work directories")
    parser.add_argument(
        "--split",
        type=cli.one_of("dev", "test"),
        default="test",
        help="the split whose scores are shown: dev or test (default)",
    )
    parser.add_argument(
        "--sort",
        type=cli.one_of(*_ORDERS),
        default="path",
        help="by path (default), f1, the best first, or started, the latest first",
    )
    parser.add_argument("--json", action="store_true", help="print the runs as JSON")
    return parser.read(arguments)


def _show(table: Any) -> None:
    """On a terminal as wide as it is; elsewhere no line is broken."""
    from rich.console import Console

    console = Console()
    show_rich(table, console if console.is_terminal else Console(width=10_000))


def _table(rows: Sequence[dict[str, Any]], folder: Path, split: str) -> Any:
    """With a column for what differs; what all have in common stands below."""
    from rich.table import Table

    columns = {
        "run": [str(Path(row["workdir"]).relative_to(folder)) for row in rows],
        "state": [shortened(row["state"]) for row in rows],
        "data": [row["data"] or "–" for row in rows],
        "model": [row["model"] or "–" for row in rows],
        "seed": ["–" if row["seed"] is None else str(row["seed"]) for row in rows],
        f"{split} F1": [_points(row["f1"]) for row in rows],
        "F1 of T′": [_points(row["types_f1"]) for row in rows],
        "last start": [(row["started"] or "–")[:10] for row in rows],
    }
    common = [n for n in ("data", "model", "seed") if len(rows) > 1 and len(set(columns[n])) == 1]
    same = cell(", ".join(f"{name} {columns[name][0]}" for name in common), "dim")
    table = Table(caption=same, caption_justify="left")
    shown = {name: values for name, values in columns.items() if name not in common}
    for name in shown:
        right = name in ("seed", f"{split} F1", "F1 of T′")
        table.add_column(name, justify="right" if right else "left", overflow="fold", no_wrap=name == "run")
    for values in zip(*shown.values(), strict=True):
        table.add_row(*map(cell, values))
    return table


def shortened(state: str) -> str:
    """A state that fits a line; `json` has all of it."""
    return state if len(state) <= 60 else f"{state[:59]}…"


def _points(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"
