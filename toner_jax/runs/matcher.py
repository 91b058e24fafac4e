"""The type matching stage (§3.2): trains E_TM by Eq. 4, chooses δ, writes T′ of every split."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh

from toner_jax.common.console import say
from toner_jax.common.files import write_atomically
from toner_jax.common.memory import told_of_memory
from toner_jax.config import DEV
from toner_jax.errors import UserError
from toner_jax.evaluation.scoring import type_counts
from toner_jax.inference.matching import TypeMatcher, choose_type_threshold, matched_types
from toner_jax.pipeline.features import present_types
from toner_jax.pipeline.matcher_features import MatcherFeatures
from toner_jax.pipeline.samples import MatcherSamples
from toner_jax.runs import options, setup
from toner_jax.runs.stage import Run
from toner_jax.runs.view import Reads, Settings
from toner_jax.schema import Schema, Sentence
from toner_jax.training import state as train_state
from toner_jax.training.checkpoint import Checkpoints
from toner_jax.training.loop import DevEvaluation, Fit, evaluation_steps, fit
from toner_jax.training.optimizer import make_optimizer

FOLDER = "matcher"

READS = Reads(
    result=(
        "seed", "dtype", "tokenizer.matcher", "tokenizer.matcher_vocab_size", "matcher",
        "eval.every", "eval.start",
    ),
    manner=(
        *options.FIT_KEYS,
        "tokenizer.backend",  # the ids are the same
        "eval.batch_size",  # sentences encoded at a time: their cosines are the same up to rounding
        "sharding",  # where parameters and moments live: the same sums, up to rounding
    ),
)  # fmt: skip


def train_matcher(config: Settings, run: Run) -> dict[str, Any]:
    """Trains or resumes the stage.

    Returns:
      {"type_threshold", "step", "dev"}: δ, the step whose weights are used, and type P/R/F on dev at δ.
    """
    model = setup.build_matcher(config, run.workdir)
    # What is wrong with descriptions was said before the stage began (toner_jax.runs.checks).
    features = setup.matcher_features(config, run.workdir / setup.TOKENIZERS, model, told=(run.schema,))
    samples = make_samples(config, features, run.splits["train"], run.schema, run.mesh)
    tx = make_optimizer(options.matcher_optimizer(config), samples.steps)
    state = setup.create_state(config, model, tx, run.mesh)
    say(f"{FOLDER}: {train_state.count_parameters(state['params']):,} parameters, {samples.steps} steps")
    loss = options.matcher_objective(config).loss(model, features.descriptions(run.schema))
    matcher = TypeMatcher(model, features, run.mesh, config.eval.batch_size)
    job = Fit(
        stage=FOLDER,
        workdir=run.workdir,
        samples=samples,
        train_step=train_state.make_train_step(loss, tx, state),
        mesh=run.mesh,
        dev=DevEvaluation(_evaluation(config, run, matcher), evaluations(config, run, samples), "f_beta"),
        options=options.fit_options(config),
        lower=options.SMALLER_MATCHER_STEPS,
    )
    last, step, _ = fit(job, state)
    with Checkpoints(job.checkpoints, read_only=True) as checkpoints:
        params = checkpoints.restore_params(step, last["params"])
    return {"step": step, **_write_types(config, run, matcher, params)}


def make_samples(
    config: Settings, features: MatcherFeatures, train: Sequence[Sentence], schema: Schema, mesh: Mesh
) -> MatcherSamples:
    """The stage's training samples."""
    sampling = options.matcher_sampling(config, mesh)
    return MatcherSamples(sampling, features, train, schema, empty=config.matcher.null_logit)


def evaluations(config: Settings, run: Run, samples: MatcherSamples) -> frozenset[int]:
    """The steps after which to evaluate."""
    apart = 2 * len(run.splits["dev"]) / config.matcher.batch_size
    every, start = config.eval.every, config.eval.start
    return evaluation_steps(samples.steps, every, start, samples.steps_per_epoch, apart)


def _evaluation(config: Settings, run: Run, matcher: TypeMatcher) -> Callable[[Any], dict[str, float]]:
    """params → δ and type-level scores on dev."""
    dev, beta = run.splits["dev"], config.matcher.type_threshold_beta

    def evaluate(params: Any) -> dict[str, float]:
        similarities = matcher.similarities(params, [s.words for s in dev], run.schema)
        delta, _ = _type_threshold(config, similarities, present_types(dev, run.schema))
        return {"type_threshold": delta, **type_scores(similarities, dev, run.schema, delta, beta)}

    return evaluate


def _type_threshold(config: Settings, similarities: np.ndarray, present: np.ndarray) -> tuple[float, str]:
    """δ, and where it comes from."""
    if config.matcher.type_threshold != DEV:
        return float(config.matcher.type_threshold), "config"
    return choose_type_threshold(similarities, present, config.matcher.type_threshold_beta)[0], "dev"


def type_scores(
    similarities: np.ndarray,
    sentences: Sequence[Sentence],
    schema: Schema,
    type_threshold: float,
    beta: float,
) -> dict[str, float]:
    """Type-level scores of T′ at δ = `type_threshold`."""
    counts = type_counts(sentences, [matched_types(row, schema, type_threshold) for row in similarities])
    return {
        "type_precision": counts.precision,
        "type_recall": counts.recall,
        "type_f1": counts.f1,
        "f_beta": counts.f_beta(beta),
    }


def _write_types(config: Settings, run: Run, matcher: TypeMatcher, params: Any) -> dict[str, Any]:
    """Chooses δ on dev, and writes it and T′ of every split."""
    schema, dev = run.schema, run.splits["dev"]
    with told_of_memory(f"{FOLDER}: T′", "lower eval.batch_size"):
        similarities = {
            name: matcher.similarities(params, [s.words for s in sentences], schema)
            for name, sentences in run.splits.items()
        }
    delta, source = _type_threshold(config, similarities["dev"], present_types(dev, schema))
    scores = type_scores(similarities["dev"], dev, schema, delta, config.matcher.type_threshold_beta)
    write_atomically(
        run.workdir / FOLDER / "thresholds.json",
        json.dumps({"type_threshold": delta, "from": source, "dev": scores}, indent=2) + "\n",
    )
    for name, sentences in run.splits.items():
        lines = (
            json.dumps(
                {
                    "id": s.id,
                    "types": matched_types(row, schema, delta),
                    "similarities": {t: round(float(v), 6) for t, v in zip(schema.names, row, strict=True)},
                }
            )
            for s, row in zip(sentences, similarities[name], strict=True)
        )
        write_atomically(_types_path(run.workdir, name), "".join(f"{line}\n" for line in lines))
    features = matcher.features
    if features.shortened:
        say(f"{FOLDER}: {features.shortened} inputs were longer than {features.max_length} pieces")
    say(f"{FOLDER}: δ = {delta:.4f} (from {source}); types of T′ on dev: F1 {scores['type_f1']:.4f}")
    return {"type_threshold": delta, "dev": scores}


def _types_path(workdir: Path, split: str) -> Path:
    return workdir / FOLDER / "types" / f"{split}.jsonl"


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


def read_type_threshold(workdir: Path) -> float:
    """δ of the stage."""
    path = workdir / FOLDER / "thresholds.json"
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["type_threshold"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: does not hold δ ({error!r}); run the matcher stage") from error


def _read_entries(workdir: Path, split: str, sentences: Sequence[Sentence]) -> list[dict[str, Any]]:
    path = _types_path(workdir, split)
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        by_id = {entry["id"]: entry for entry in entries}
        return [by_id[s.id] for s in sentences]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: does not hold T′ of the {split} split ({error!r}); run the matcher stage"
        ) from error
