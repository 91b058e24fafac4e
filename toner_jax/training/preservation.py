"""Which checkpoints are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from toner_jax.training.quiet_orbax import PolicyCheckpointInfo, PreservationContext, PreservationPolicy


@dataclass
class LatestAndBest(PreservationPolicy):  # type: ignore[misc]  # Orbax has no types
    """Keeps the newest `latest` steps and the best one. Orbax's own `BestN` forgets metrics on a restart."""

    latest: int
    best: Callable[[], int | None]

    def should_preserve(
        self, checkpoints: Sequence[PolicyCheckpointInfo], *, context: PreservationContext
    ) -> Sequence[bool]:
        newest = sorted(c.step for c in checkpoints)[-self.latest :]
        return [c.step in newest or c.step == self.best() for c in checkpoints]
