"""What the runs of an experiment differ in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_collections import ConfigDict

from toner_jax.config_keys import get
from toner_jax.evaluation.paper import CONLL, RESULTS


@dataclass(frozen=True)
class Variant:
    """One kind of run.

    Attributes:
      folder: of its runs, in the experiment's.
      title: as tables have it.
      changes: to the experiment's configuration, by key.
      published: the paper's F1 of it, per cent; None where there is none.
    """

    folder: str
    title: str
    changes: Mapping[str, Any]
    published: float | None = None

    def of(self, config: ConfigDict, seed: int) -> ConfigDict:
        """The configuration of one of its runs."""
        changed = config.copy_and_resolve_references()
        with changed.unlocked():
            for key, value in {**self.changes, "seed": seed}.items():
                changed.update_from_flattened_dict({key: value})
        return changed


# Table 6, from the bottom: what each rung leaves off.
_OFF = {"matcher.enabled": False, "generator.lambda_c": 0.0, "generator.type_recognition": 0.0}
_RUNGS = (
    ("base", "generator alone", ()),
    ("f_tm", "+ type matching f_TM (§3.2)", ("matcher.enabled",)),
    ("tc", "+ type classification TC (§3.3)", ("matcher.enabled", "generator.lambda_c")),
    ("tr", "+ type recognition TR (§3.4)", tuple(_OFF)),
)


def ablation(config: ConfigDict) -> tuple[Variant, ...]:
    """The rungs of Table 6: each has one part more than the one before, the last is the configuration itself."""
    size = config.generator.checkpoint.rpartition("-")[2]
    printed = (
        [r.f1 for r in RESULTS if r.table == 6 and f"-{size}" in r.model] if config.data.name == CONLL else []
    )
    return tuple(
        Variant(
            folder,
            title,
            {key: off for key, off in _OFF.items() if key not in kept},
            printed[i] if len(printed) == len(_RUNGS) else None,
        )
        for i, (folder, title, kept) in enumerate(_RUNGS)
    )


def missing_parts(config: ConfigDict) -> list[str]:
    """The keys of parts that a configuration leaves off itself, so that two rungs of its ablation would be equal."""
    return [key for key, off in _OFF.items() if get(config, key) == off]


def thresholds(values: Sequence[float]) -> tuple[Variant, ...]:
    """A variant for each δ of training and evaluation (Figure 3)."""
    return tuple(Variant(f"delta_{v:g}", f"δ = {v:g}", {"matcher.type_threshold": v}) for v in values)
