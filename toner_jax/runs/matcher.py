"""The type matching stage (§3.2): trains E_TM by Eq. 4, chooses δ, writes T′ of every split."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax import losses
from toner_jax.common.console import say
from toner_jax.common.files import write_atomically
from toner_jax.errors import UserError
from toner_jax.evaluation.scoring import type_counts
from toner_jax.inference.matching import TypeMatcher, choose_threshold, embed, matched_types
from toner_jax.models.encoder import Encoder
from toner_jax.parallel.mesh import round_batch
from toner_jax.pipeline.batching import HostBatch, choose_lengths, pad_rows, plan_epoch, total_steps
from toner_jax.pipeline.features import MatcherFeatures, present_types
from toner_jax.runs import setup
from toner_jax.schema import Schema, Sentence
from toner_jax.training import state as train_state
from toner_jax.training.checkpoint import Checkpoints
from toner_jax.training.loop import Fit, evaluation_steps, fit
from toner_jax.training.metrics import MetricsWriter
from toner_jax.training.optimizer import adamw, linear_schedule

Splits = Mapping[str, Sequence[Sentence]]
FOLDER = "matcher"


def train_matcher(
    config: ConfigDict, workdir: Path, splits: Splits, schema: Schema, mesh: Mesh
) -> dict[str, Any]:
    """Trains or resumes the stage.

    Returns:
      {"threshold", "step", "dev"}: δ, the step whose weights are used, and type P/R/F on dev at δ.
    """
    c = config.matcher
    model = setup.build_matcher(config, workdir)
    features = setup.matcher_features(config, workdir / setup.TOKENIZERS, model)
    batches, per_epoch = _plan(config, features, splits["train"], schema, mesh)
    steps = total_steps(per_epoch, c.epochs)
    tx = adamw(
        linear_schedule(c.learning_rate, steps, c.warmup),
        weight_decay=c.weight_decay,
        beta2=0.999,
        clip_norm=c.clip_norm,
    )
    state = setup.create_state(config, model, tx, mesh)
    say(f"{FOLDER}: {train_state.count_parameters(state['params']):,} parameters, {steps} steps")
    loss = make_loss(config, model, features.descriptions(schema))
    matcher = TypeMatcher(model, features, mesh, config.eval.batch_size)
    dev = splits["dev"]

    def evaluate(params: Any) -> dict[str, float]:
        similarities = matcher.similarities(params, [s.words for s in dev], schema)
        threshold, _ = _threshold(config, similarities, present_types(dev, schema))
        return {"threshold": threshold, **type_scores(similarities, dev, schema, threshold, c.threshold_beta)}

    with Checkpoints(workdir / FOLDER / "checkpoints", config.checkpoint.keep) as checkpoints:
        last, step, _ = fit(
            Fit(
                stage=FOLDER,
                folder=workdir / FOLDER,
                steps=steps,
                batches=batches,
                train_step=train_state.make_train_step(loss, tx, state),
                mesh=mesh,
                checkpoints=checkpoints,
                metrics=MetricsWriter(workdir),
                checkpoint_every=config.checkpoint.every,
                log_every=config.log_every,
                max_skipped=config.max_skipped,
                evaluate=evaluate,
                evaluate_at=evaluation_steps(
                    steps, config.eval.every, config.eval.start, per_epoch, apart=2 * len(dev) / c.batch_size
                ),
                selection="f_beta",
            ),
            state,
        )
        params = checkpoints.restore_params(step, last["params"])
    return {"step": step, **_write_types(config, workdir, matcher, params, splits, schema)}


def _plan(
    config: ConfigDict, features: MatcherFeatures, train: Sequence[Sentence], schema: Schema, mesh: Mesh
) -> tuple[Any, int]:
    """(first step → batches, steps per epoch). Sentences without types have no term in Eq. 4, so they
    are left out unless `matcher.null_logit` gives them one."""
    used = [s for s in train if s.entities or config.matcher.null_logit]
    if not used:
        raise UserError("the training split has no entities: there is nothing to match types with")
    features.prepare(w for s in used for w in s.words)
    rows = [features.encode(s.words) for s in used]
    lengths = choose_lengths([len(r) for r in rows], config.matcher.max_shapes)
    shapes = [(n, 0) for n in lengths]
    assignment = [int(np.searchsorted(lengths, len(r))) for r in rows]
    present = present_types(used, schema)
    size = round_batch(config.matcher.batch_size, mesh)

    def plan(epoch: int) -> list[Any]:
        return plan_epoch(assignment, shapes, size, np.random.default_rng([config.seed, 1, epoch]))

    per_epoch = len(plan(0))

    def batches(first: int) -> Iterator[HostBatch]:
        step = first
        while step < total_steps(per_epoch, config.matcher.epochs):
            epoch, within = divmod(step, per_epoch)
            for (length, _), chosen in plan(epoch)[within:]:
                real = chosen >= 0
                arrays = {
                    "ids": pad_rows([rows[i] for i in chosen if i >= 0], length, size),
                    "present": np.where(real[:, None], present[chosen], False).astype(np.float32),
                    "weight": real.astype(np.float32),
                }
                yield HostBatch(arrays, [used[i].id for i in chosen if i >= 0])
                step += 1
                if step == total_steps(per_epoch, config.matcher.epochs):
                    return

    return batches, per_epoch


def make_loss(config: ConfigDict, model: Encoder, descriptions: Sequence[np.ndarray]) -> train_state.Loss:
    """Eq. 4; the descriptions are encoded once a step, not once a sentence."""
    c = config.matcher
    types = jnp.asarray(pad_rows(descriptions, max(len(d) for d in descriptions), len(descriptions)))

    def loss(
        params: Any, batch: Mapping[str, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        text_key, type_key = jax.random.split(key)
        deterministic = c.dropout == 0
        x = embed(model, params, batch["ids"], deterministic, rngs={"dropout": text_key})
        t = embed(model, params, types, deterministic, rngs={"dropout": type_key})
        value = losses.type_matching_loss(
            x @ t.T, batch["present"], batch["weight"], c.tau, c.null_cosine if c.null_logit else None
        )
        return value, {"loss": value}

    return loss


def _threshold(config: ConfigDict, similarities: np.ndarray, present: np.ndarray) -> tuple[float, str]:
    if config.matcher.threshold:
        return float(config.matcher.threshold), "config"
    return choose_threshold(similarities, present, config.matcher.threshold_beta)[0], "dev"


def type_scores(
    similarities: np.ndarray, sentences: Sequence[Sentence], schema: Schema, threshold: float, beta: float
) -> dict[str, float]:
    """Type-level scores of T′ at a threshold."""
    counts = type_counts(sentences, [matched_types(row, schema, threshold) for row in similarities])
    return {
        "type_precision": counts.precision,
        "type_recall": counts.recall,
        "type_f1": counts.f1,
        "f_beta": counts.f_beta(beta),
    }


def _write_types(
    config: ConfigDict, workdir: Path, matcher: TypeMatcher, params: Any, splits: Splits, schema: Schema
) -> dict[str, Any]:
    similarities = {
        name: matcher.similarities(params, [s.words for s in sentences], schema)
        for name, sentences in splits.items()
    }
    threshold, source = _threshold(config, similarities["dev"], present_types(splits["dev"], schema))
    scores = type_scores(similarities["dev"], splits["dev"], schema, threshold, config.matcher.threshold_beta)
    write_atomically(
        workdir / FOLDER / "thresholds.json",
        json.dumps({"threshold": threshold, "from": source, "dev": scores}, indent=2) + "\n",
    )
    for name, sentences in splits.items():
        lines = (
            json.dumps(
                {
                    "id": s.id,
                    "types": matched_types(row, schema, threshold),
                    "similarities": {t: round(float(v), 6) for t, v in zip(schema.names, row, strict=True)},
                }
            )
            for s, row in zip(sentences, similarities[name], strict=True)
        )
        write_atomically(workdir / FOLDER / "types" / f"{name}.jsonl", "".join(f"{line}\n" for line in lines))
    if matcher.features.shortened:
        say(
            f"{FOLDER}: {matcher.features.shortened} inputs were longer than {matcher.features.max_length} pieces"
        )
    say(f"{FOLDER}: δ = {threshold:.4f} (from {source}); types of T′ on dev: F1 {scores['type_f1']:.4f}")
    return {"threshold": threshold, "dev": scores}


def read_types(workdir: Path, split: str, sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
    """T′ of each sentence of a split, as the stage wrote it.

    Raises:
      UserError: the file is missing, damaged, or of other sentences.
    """
    return [tuple(entry["types"]) for entry in _read_entries(workdir, split, sentences)]


def read_similarities(
    workdir: Path, split: str, sentences: Sequence[Sentence], schema: Schema
) -> list[list[float]]:
    """The cosines [N][K] behind T′, in schema order; errors as `read_types`."""
    entries = _read_entries(workdir, split, sentences)
    return [[entry["similarities"][name] for name in schema.names] for entry in entries]


def read_threshold(workdir: Path) -> float:
    """δ of the stage."""
    path = workdir / FOLDER / "thresholds.json"
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["threshold"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: does not hold δ ({error!r}); run the matcher stage") from error


def _read_entries(workdir: Path, split: str, sentences: Sequence[Sentence]) -> list[dict[str, Any]]:
    path = workdir / FOLDER / "types" / f"{split}.jsonl"
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        by_id = {entry["id"]: entry for entry in entries}
        return [by_id[s.id] for s in sentences]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: does not hold T′ of the {split} split ({error!r}); run the matcher stage"
        ) from error
