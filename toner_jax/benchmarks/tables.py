"""Figures as tables, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from toner_jax.common import console

Cell = Callable[[dict[str, Any]], str]
Columns = Sequence[tuple[str, Cell]]

WIDTH = 240  # wider than any table, which is not to be cut where the output is no terminal


def number(value: float | None, form: str) -> str:
    """A figure, or nothing where there is none."""
    return "" if value is None else format(value, form)


def terminal_table(title: str, columns: Columns, report: dict[str, Any], notes: Sequence[str]) -> Table:
    """A row for each contender of the report."""
    lines = [console.cell(note) for note in notes]
    out = Table(title=console.cell(title, "italic"), caption=Text("\n").join(lines), box=box.SIMPLE)
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


def versions(report: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in report["versions"].items())
