"""Whether the stages of a run belong together: what a reader checks before it uses them.

Every small file is read and compared with what its stage's marker vouches for, and every stage must have been made
from what the earlier ones hold now. Weights are verified where they are restored.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from toner_jax.common.console import warn
from toner_jax.errors import UserError
from toner_jax.runs import parts
from toner_jax.runs.generator import FOLDER as GENERATOR
from toner_jax.runs.marker import MARKER, Marker, complete, damage, read_marker
from toner_jax.runs.matcher import FOLDER as MATCHER
from toner_jax.runs.types_files import FOLDER as TYPES

DATA, SETUP = "data", "setup"


class Trained(NamedTuple):
    """The stages behind a run's models.

    Attributes:
      markers: by their names.
      mixed: what of them was made from other parts than lie there, a line each.
    """

    markers: dict[str, Marker]
    mixed: tuple[str, ...]


def whole(workdir: Path, stage: str) -> Marker:
    """The marker of a complete stage whose files, weights apart, are what it wrote.

    Raises:
      UserError: it is not complete, or a file is missing or damaged.
    """
    marker = complete(workdir, stage)
    if found := damage(workdir, marker):
        raise UserError(f"{found}; put back a copy of it, or start the run again, which says what it takes")
    return marker


def trained(workdir: Path, *, matcher: bool, unfinished: bool = False, accept_mixed: bool = False) -> Trained:
    """All stages behind a run's models.

    Args:
      matcher: the run has type matching.
      unfinished: the generator's stage need not be complete.
      accept_mixed: where a stage was made from other parts than lie there, that is a warning.

    Raises:
      UserError: as `whole`, or stages do not belong together.
    """
    names = [SETUP, MATCHER, TYPES] if matcher else [SETUP]
    markers = {name: whole(workdir, name) for name in names}
    begun = read_marker(workdir / GENERATOR / MARKER) if unfinished else None
    half = begun is not None and not begun.complete
    markers[GENERATOR] = begun if begun is not None and half else whole(workdir, GENERATOR)
    mixed = tuple(line for stage, marker in markers.items() if (line := _mixed(workdir, stage, marker)))
    for line in mixed:
        if not accept_mixed:
            raise UserError(
                f"{line}, so they do not belong together; put back what it was made from, or start the run again, "
                "which says what it takes"
            )
        warn(line)
    return Trained(markers, mixed)


def _mixed(workdir: Path, stage: str, marker: Marker) -> str | None:
    changed = parts.changed(workdir, marker.made_from)
    return (
        f"{workdir / stage}: made from another {', another '.join(changed)} than lies there"
        if changed
        else None
    )
