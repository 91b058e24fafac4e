"""Figures as tables, for a terminal and for a page."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from toner_jax.benchmarks.picture import write_picture
from toner_jax.common import cli, console
from toner_jax.common.files import write_atomically
from toner_jax.errors import UserError

Cell = Callable[[dict[str, Any]], str]
Columns = Sequence[tuple[str, Cell]]

_WIDTH = 240  # wider than any table, which is not to be cut where the output is no terminal


def number(value: float | None, form: str) -> str:
    """A figure, or nothing where there is none."""
    return "" if value is None else format(value, form)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The flags of every comparison of contenders: which, and where the figures go."""
    parser.add_argument("--only", default="", help="contenders by name, comma-separated; all by default")
    parser.add_argument("--json", type=cli.output, metavar="FILE", help="write all figures as JSON")
    parser.add_argument(
        "--markdown", type=cli.output, metavar="FILE", help="write a table for docs/benchmarks/"
    )
    parser.add_argument(
        "--picture", type=cli.picture, metavar="FILE", help="an .svg or .png file: the ratios at a glance"
    )


def chosen(only: str, known: Sequence[str]) -> list[str]:
    """The names of the contenders to measure: those of `--only`, or all.

    Raises:
      UserError: one of another name.
    """
    names = only.split(",") if only else list(known)
    for name in names:
        if name not in known:
            raise UserError(f"--only: no contender {name!r}; there are {', '.join(known)}")
    return names


def ratios(theirs: Sequence[float], mine: Sequence[float]) -> dict[str, float]:
    """How many times as fast as a rival, of the same rounds, so that a slow minute of the machine cancels out."""
    found = [a / b for a, b in zip(theirs, mine, strict=True)]
    return {"median": statistics.median(found), "least": min(found), "greatest": max(found)}


def ratio_cell(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.2f}× ({ratio['least']:.2f}–{ratio['greatest']:.2f})"


def deliver(report: dict[str, Any], table: Table, page: str, options: argparse.Namespace) -> None:
    """Writes the files that `add_options` asks for, and shows the table."""
    if options.json:
        write_atomically(options.json, json.dumps(report, indent=2) + "\n")
    if options.markdown:
        write_atomically(options.markdown, page)
    if options.picture:
        try:
            write_picture(report, str(table.title), options.picture)
        except ValueError as error:
            console.warn(f"no picture: {error}")
    console.show_rich(table, Console(width=_WIDTH))


def terminal_table(title: str, columns: Columns, report: dict[str, Any], notes: Sequence[str]) -> Table:
    """A row for each contender of the report."""
    lines = [console.cell(note) for note in notes]
    caption = Text("\n").join(lines)
    out = Table(title=console.cell(title, "italic"), caption=caption, caption_justify="left", box=box.SIMPLE)
    out.add_column("", no_wrap=True)
    for header, _ in columns:
        out.add_column(header.replace("-", "\n"), justify="right", no_wrap=True)
    for contender in report["contenders"]:
        out.add_row(contender["name"], *(cell(contender) for _, cell in columns))
    return out


def page_section(title: str, columns: Columns, report: dict[str, Any], notes: Sequence[str]) -> str:
    """A page's section: the table, what it was measured with, and the command."""
    lines = [
        f"## {title}",
        "",
        "| | " + " | ".join(header for header, _ in columns) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for c in report["contenders"]:
        lines.append(f"| {c['title']} | " + " | ".join(cell(c) for _, cell in columns) + " |")
    lines += ["", *notes, "", "```", report["command"], "```"]
    return "\n".join(lines) + "\n"


def flags(options: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """Options as they are written on a command line, without those that say nothing."""
    return [f"--{n}={getattr(options, n)}" for n in names if getattr(options, n) not in (None, "")]


def versions(report: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in report["versions"].items())
