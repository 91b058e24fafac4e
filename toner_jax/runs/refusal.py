"""The error of a run that would give up trained steps unasked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toner_jax.errors import UserError


@dataclass(frozen=True)
class Refusal:
    """Why one stage may not begin.

    Attributes:
      what: the stage's folder, and what is the matter.
      mend: what to do to keep what it holds.
      held: what training it anew gives up, in words.
    """

    stage: str
    what: str
    mend: str
    held: str


class Refused(UserError):
    """Stages would have to be trained anew, which nobody asked for."""

    def __init__(self, refusals: Sequence[Refusal]):
        self.refusals = tuple(refusals)
        mends = " and ".join(dict.fromkeys(r.mend for r in refusals))
        what, stages = "; ".join(r.what for r in refusals), ",".join(r.stage for r in refusals)
        held = "; ".join(r.held if len(refusals) == 1 else f"{r.stage}: {r.held}" for r in refusals)
        super().__init__(
            f"{what}. {mends[0].upper()}{mends[1:]}, or set restart={stages} to train anew, which gives up {held}"
        )

    def __reduce__(self) -> tuple[type[Refused], tuple[tuple[Refusal, ...]]]:
        return type(self), (self.refusals,)
