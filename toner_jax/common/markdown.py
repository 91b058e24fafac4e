"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Container[str]) -> list[str]:
    """The lines of a table.

    Args:
      numbers: those of the heads whose columns stand to the right.
    """
    rule = ["---:" if head in numbers else "---" for head in heads]
    return [_line(heads), _line(rule), *map(_line, rows)]


def _line(cells: Iterable[str]) -> str:
    bar = "\\|"
    return f"| {' | '.join(cell.replace('|', bar) for cell in cells)} |"
