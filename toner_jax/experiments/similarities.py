"""What the type matching model of a run tells apart (Figure 4), before and after it was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optax

from toner_jax.common.console import counted
from toner_jax.errors import UserError
from toner_jax.evaluation.baselines import type_prior
from toner_jax.evaluation.scoring import type_counts
from toner_jax.inference.matching import TypeMatcher
from toner_jax.pipeline.features import present_types
from toner_jax.runs import chain, setup
from toner_jax.runs.matcher import FOLDER as MATCHER
from toner_jax.runs.matcher import choose_delta, restore_matcher
from toner_jax.runs.placement import serving_mesh
from toner_jax.runs.reevaluate import read_splits
from toner_jax.runs.restore import read_work_config
from toner_jax.runs.stage import Run
from toner_jax.runs.types_files import matched_at
from toner_jax.schema import Schema, Sentence

BEFORE, AFTER = "before", "after"
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Told:
    """Cosines of a split.

    Attributes:
      weights: "before" or "after" training.
      present, absent: of types that occur in a sentence, and of those that do not.
      figures: {"auc", "type_threshold", "precision", "recall", "f1"}; δ is that of these weights, chosen on dev where
        the configuration says so.
    """

    split: str
    weights: str
    present: np.ndarray
    absent: np.ndarray
    figures: Mapping[str, float]


def tell_apart(workdir: Path) -> tuple[list[Told], list[dict[str, Any]]]:
    """Cosines of each split, and the figures of a baseline that says the same of every sentence: how often types occur.

    Raises:
      UserError: no run with a trained type matching model.
    """
    config = read_work_config(workdir)
    if not config.matcher.enabled:
        raise UserError(f"{workdir}: trained with matcher.enabled=False, so there is no type matching model")
    for stage in (chain.SETUP, MATCHER):
        chain.whole(workdir, stage)
    data = read_splits(workdir, "test")
    run = Run(workdir, data, setup.read_work_schema(workdir), serving_mesh(config))
    restored = restore_matcher(config, run, config.decode.batch_size)
    untrained = setup.create_state(
        config, setup.build_matcher(config, workdir, run.mesh), optax.identity(), run.mesh
    )
    found: list[Told] = []
    for weights, params in ((BEFORE, untrained["params"]), (AFTER, restored.params)):
        rows = {name: _cosines(restored.matcher, params, name, data[name], run.schema) for name in SPLITS}
        delta, _ = choose_delta(config, rows["dev"], present_types(data["dev"], run.schema))
        found += [_told(split, weights, rows[split], data[split], run.schema, delta) for split in SPLITS]
    beta = config.matcher.type_threshold_beta
    shares, priors = present_types(data["train"], run.schema).mean(axis=0), []
    for split in SPLITS:
        named = type_prior(data["train"], data["dev"], data[split], run.schema, beta=beta)
        present = present_types(data[split], run.schema)
        constant = np.broadcast_to(shares, present.shape)
        auc = area_under_curve(constant[present], constant[~present])
        priors.append({"split": split, "auc": auc, **type_counts(data[split], named).to_json()})
    return found, priors


def _cosines(
    matcher: TypeMatcher, params: Any, name: str, sentences: Sequence[Sentence], schema: Schema
) -> np.ndarray:
    with counted(f"matching {name}", len(sentences)):
        return matcher.similarities(params, [s.words for s in sentences], schema)


def _told(
    split: str, weights: str, rows: np.ndarray, sentences: Sequence[Sentence], schema: Schema, delta: float
) -> Told:
    present = present_types(sentences, schema)
    counts = type_counts(sentences, matched_at(rows, schema, delta).types)
    inside, outside = rows[present], rows[~present]
    figures = {
        "auc": area_under_curve(inside, outside),
        "type_threshold": delta,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
    }
    return Told(split, weights, inside, outside, figures)


def area_under_curve(present: np.ndarray, absent: np.ndarray) -> float:
    """The chance that a present type has a higher cosine than an absent one, ties counted half (the area under the
    ROC curve, of all sentences and types together); nan where one kind is missing."""
    if not len(present) or not len(absent):
        return float("nan")
    _, inverse, counts = np.unique(np.concatenate([present, absent]), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]  # of ties their mean
    n = len(present)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(absent)))
