"""Whether the stages of a run belong together: what a reader checks before it uses them.

Every small file is read and compared with what its stage's marker vouches for, and every stage must have been made
from what the earlier ones hold now. Weights are verified where they are restored.
"""

from __future__ import annotations

from pathlib import Path

from toner_jax.errors import UserError
from toner_jax.runs import parts
from toner_jax.runs.generator import FOLDER as GENERATOR
from toner_jax.runs.marker import MARKER, Marker, complete, damage, read_marker
from toner_jax.runs.matched_types import FOLDER as TYPES
from toner_jax.runs.matcher import FOLDER as MATCHER

DATA, SETUP = "data", "setup"


def whole(workdir: Path, stage: str) -> Marker:
    """The marker of a complete stage whose files, weights apart, are what it wrote.

    Raises:
      UserError: it is not complete, a file is missing or damaged, or it was made from other parts than lie there.
    """
    marker = complete(workdir, stage)
    if found := damage(workdir, marker):
        raise UserError(f"{found}; put back a copy of it, or start the run again, which says what it takes")
    _check_parts(workdir, stage, marker)
    return marker


def trained(workdir: Path, *, matcher: bool, unfinished: bool = False) -> dict[str, Marker]:
    """The markers of all stages behind a run's models.

    Args:
      matcher: the run has type matching.
      unfinished: the generator's stage need not be complete.

    Raises:
      UserError: as `whole`.
    """
    names = [SETUP, MATCHER, TYPES] if matcher else [SETUP]
    markers = {name: whole(workdir, name) for name in names}
    begun = read_marker(workdir / GENERATOR / MARKER) if unfinished else None
    if begun is not None and not begun.complete:
        _check_parts(workdir, GENERATOR, begun)
        return {**markers, GENERATOR: begun}
    return {**markers, GENERATOR: whole(workdir, GENERATOR)}


def _check_parts(workdir: Path, stage: str, marker: Marker) -> None:
    if changed := parts.changed(workdir, marker.made_from):
        raise UserError(
            f"{workdir / stage}: made from another {', another '.join(changed)} than lies there, so they do not belong "
            "together; put back what it was made from, or start the run again, which says what it takes"
        )
