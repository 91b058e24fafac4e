"""Figures of matplotlib as files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from toner_jax.common.files import describe_failure, write_atomically
from toner_jax.errors import UserError


def new_figure(width: float, height: float) -> Any:
    """An empty figure, in inches."""
    # Only where one is drawn: the import takes as long as a small benchmark's start.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: Path) -> None:
    """Writes it as the .svg or .png file that the name's suffix says; the same figure is the same file, at any time.

    Raises:
      UserError: the file cannot be written.
    """
    form = path.suffix.removeprefix(".")
    drawn = io.BytesIO()
    figure.savefig(drawn, format=form, dpi=150, metadata={"Date": None} if form == "svg" else {})
    try:
        write_atomically(path, drawn.getvalue())
    except OSError as error:
        raise UserError(describe_failure(error)) from error
