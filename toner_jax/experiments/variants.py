"""What the runs of an experiment differ in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from toner_jax.config import FLAN_SIZES, copied, set_flan
from toner_jax.config_keys import get
from toner_jax.data.explanations import TEMPLATE
from toner_jax.errors import ParameterError, UserError
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
        changed = copied(config)
        with changed.unlocked():
            for key, value in {**self.changes, "seed": seed}.items():
                changed.update_from_flattened_dict({key: value})
        return changed


WHOLE = "tr"  # the folder of runs of the configuration itself, which studies share

# Table 6, from the bottom: what each rung leaves off.
_OFF = {"matcher.enabled": False, "generator.lambda_c": 0.0, "generator.type_recognition": 0.0}
_RUNGS = (
    ("base", "generator alone", ()),
    ("f_tm", "+ type matching f_TM (§3.2)", ("matcher.enabled",)),
    ("tc", "+ type classification TC (§3.3)", ("matcher.enabled", "generator.lambda_c")),
    (WHOLE, "+ type recognition TR (§3.4)", tuple(_OFF)),
)


@dataclass(frozen=True)
class Study:
    """Runs that answer one question together.

    Attributes:
      name: as a command line has it.
      title: as tables have it.
      against: "before", each variant is compared with the one before it; or "first", with the first.
    """

    name: str
    title: str
    variants: tuple[Variant, ...]
    against: str = "first"


def parts(config: ConfigDict) -> Study:
    """The rungs of Table 6: each has one part more than the one before, the last is the configuration itself.

    Raises:
      UserError: the configuration leaves a part off itself, so that two rungs would be equal.
    """
    if off := [key for key, off in _OFF.items() if get(config, key) == off]:
        raise UserError(
            f"{', '.join(off)}: the configuration leaves it off itself; an ablation needs all parts"
        )
    size = config.generator.checkpoint.rpartition("-")[2]
    printed = (
        [r.f1 for r in RESULTS if r.table == 6 and f"-{size}" in r.model] if config.data.name == CONLL else []
    )
    rungs = tuple(
        Variant(
            folder,
            title,
            {key: off for key, off in _OFF.items() if key not in kept},
            printed[i] if len(printed) == len(_RUNGS) else None,
        )
        for i, (folder, title, kept) in enumerate(_RUNGS)
    )
    return Study("parts", f"Parts of ToNER on {config.data.name}", rungs, "before")


_SOURCES: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("", "the matcher's, which has seen the sentence", {}),
    ("cross_fitted", "cross-fitted, tested with the matcher's", {"types.training": "cross_fitted"}),
    ("oracle_train", "gold, tested with the matcher's", {"types.training": "gold"}),
    ("oracle_test", "the matcher's, tested with gold", {"types.evaluation": "gold"}),
    ("oracle", "gold, tested with gold", {"types.training": "gold", "types.evaluation": "gold"}),
    ("random", "random, tested with random", {"types.training": "random", "types.evaluation": "random"}),
    ("none", "none", {"matcher.enabled": False}),
)


def whole(config: ConfigDict) -> Study:
    """The configuration itself."""
    return Study("whole", f"ToNER on {config.data.name}", (Variant(WHOLE, "ToNER", {}),))


def type_sources(config: ConfigDict) -> Study:
    """T′ of the generator's training from each source."""
    variants = tuple(
        Variant(f"types_{folder}" if folder else WHOLE, f"T′ {title}", changes)
        for folder, title, changes in _SOURCES
    )
    return Study("types", f"Where T′ comes from, on {config.data.name}", variants)


_KEY = "generator.explanations"
_EXPLANATIONS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("", "without explanations", {_KEY: ""}),
    ("explained", "with explanations (§3.5)", {}),
    ("shuffled", "with those of other sentences", {"generator.explanation_control": "shuffled"}),
    ("key_words", "with their key words alone", {"generator.explanation_control": "key_words"}),
)


def explanations(config: ConfigDict) -> Study:
    """ToNER-EXP and its controls; of the template where the configuration has no explanations."""
    source = config.generator.explanations or TEMPLATE
    whole = "" if config.generator.explanations else WHOLE
    variants = tuple(
        Variant(
            f"exp_{folder or 'plain'}" if folder or not whole else whole, title, {_KEY: source, **changes}
        )
        for folder, title, changes in _EXPLANATIONS
    )
    return Study("explanations", f"Explanations ({Path(source).name}) on {config.data.name}", variants)


def sizes(config: ConfigDict, names: Sequence[str]) -> Study:
    """Figure 5 and Table 7: ToNER and ToNER-EXP of each size.

    Args:
      names: sizes of Flan-T5, or of random weights factors of the configuration's width.

    Raises:
      UserError: there is no such size.
    """
    source = config.generator.explanations or TEMPLATE
    found = []
    for name in names:
        changes = _size(config, name)
        for exp in (False, True):
            model = f"ToNER-{name}{'-EXP' if exp else ''}"
            printed = [r.f1 for r in RESULTS if (r.dataset, r.model) == (config.data.name, model)]
            explained = {_KEY: source if exp else ""}
            found.append(
                Variant(
                    f"size_{name}{'_exp' if exp else ''}",
                    model,
                    {**changes, **explained},
                    printed[0] if printed else None,
                )
            )
    return Study("sizes", f"Explanations and size on {config.data.name}", tuple(found), "before")


def _size(config: ConfigDict, name: str) -> dict[str, Any]:
    if config.generator.checkpoint:
        changed = copied(config)
        if name not in FLAN_SIZES:
            raise ParameterError("sizes", name, f"choose among {', '.join(FLAN_SIZES)}")
        set_flan(changed, name)
        return {key: get(changed, key) for key in ("generator.checkpoint", "generator.batch_size")}
    if not name.isdigit() or not int(name):
        raise ParameterError("sizes", name, "of random weights a size is a factor of their width, such as 2")
    widths = ("d_model", "d_ff", "num_heads")
    return {f"generator.model.{w}": int(name) * config.generator.model[w] for w in widths}


def thresholds(config: ConfigDict, values: Sequence[float]) -> Study:
    """A variant for each δ of training and evaluation (Figure 3)."""
    variants = tuple(Variant(f"delta_{v:g}", f"δ = {v:g}", {"matcher.type_threshold": v}) for v in values)
    return Study("thresholds", f"δ on {config.data.name}, by training", variants)


# By what a command line calls them; `sizes` is asked for with the sizes.
STUDIES: Mapping[str, Callable[[ConfigDict], Study]] = {
    "parts": parts,
    "types": type_sources,
    "explanations": explanations,
}
