"""The type matching stage (§3.2): trains E_TM by Eq. 4; the step to keep is the one with the best T′ on dev."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jax.sharding import Mesh

from toner_jax.common.console import say
from toner_jax.config import DEV
from toner_jax.evaluation.scoring import type_counts
from toner_jax.inference.matching import TypeMatcher, choose_type_threshold
from toner_jax.models.encoder import Encoder
from toner_jax.models.stacks import Stack
from toner_jax.pipeline.features import present_types
from toner_jax.pipeline.matcher_features import MatcherFeatures
from toner_jax.pipeline.samples import MatcherSamples, matcher_sentences, matcher_texts
from toner_jax.runs import options, setup
from toner_jax.runs.aside import settle
from toner_jax.runs.compute import matcher_compute
from toner_jax.runs.marker import stage_result
from toner_jax.runs.stacks import matcher_stack
from toner_jax.runs.stage import Run
from toner_jax.runs.types_files import Matched, matched_at
from toner_jax.runs.view import Reads, Settings
from toner_jax.schema import Schema, Sentence
from toner_jax.training import state as train_state
from toner_jax.training.loop import DevEvaluation, Fit, evaluation_steps, fit
from toner_jax.training.optimizer import make_optimizer, make_schedule

FOLDER = "matcher"

READS = Reads(
    result=("seed", "dropout_prng", "dtype", "tokenizer.matcher", "tokenizer.matcher_vocab_size", "matcher"),
    manner=(
        *options.FIT_KEYS,
        "tokenizer.backend",  # the ids are the same
        "eval.batch_size",  # sentences encoded at a time: their cosines are the same up to rounding
        "sharding",  # where parameters and moments live: the same sums, up to rounding
        "matcher.remat",  # what is computed twice
    ),
    selection=("eval.every", "eval.start", "matcher.type_threshold", "matcher.type_threshold_beta"),
)  # fmt: skip


def train_matcher(config: Settings, run: Run) -> dict[str, Any]:
    """Trains or resumes the stage.

    Returns:
      {"step", "dev_f_beta"}: the step whose weights are used, and type F-β of T′ on dev.
    """
    step, score = fit_matcher(config, run, FOLDER, run.splits["train"], partial(settle, run.workdir, FOLDER))
    return {"step": step, "dev_f_beta": score}


def fit_matcher(
    config: Settings,
    run: Run,
    folder: str,
    train: Sequence[Sentence],
    committed: Callable[[], None] = lambda: None,
) -> tuple[int, float]:
    """Trains a type matching model, or goes on with it: (the step that is best on dev, type F-β of its T′ there).

    Args:
      folder: of its checkpoints in the work directory, and its name in metrics and messages.
      train: the sentences that it sees.
      committed: as a `Fit` has it.
    """
    begun = time.monotonic()
    model = setup.build_matcher(config, run.workdir, run.mesh)
    # What is wrong with descriptions was said before the stage began (toner_jax.runs.checks).
    features = setup.matcher_features(config, run.workdir / setup.TOKENIZERS, model, told=(run.schema,))
    samples = make_samples(config, features, train, run.schema, run.mesh)
    tx = make_optimizer(options.matcher_optimizer(config), samples.steps)
    state = setup.create_state(config, model, tx, run.mesh)
    say(f"{folder}: {train_state.count_parameters(state['params']):,} parameters, {samples.steps} steps")
    descriptions = features.descriptions(run.schema)
    stack = make_stack(config, model, state, samples, descriptions, run.mesh)
    trained = setup.build_matcher(config, run.workdir, run.mesh, stack)
    loss = options.matcher_objective(config).loss(trained, descriptions)
    dev = _evaluation(config, run, TypeMatcher(model, features, run.mesh, config.eval.batch_size))
    job = Fit(
        stage=folder,
        workdir=run.workdir,
        samples=samples,
        train_step=train_state.make_train_step(loss, tx, state, options.matcher_accumulation(config)),
        mesh=run.mesh,
        dev=DevEvaluation(dev, evaluations(config, run, samples), "f_beta"),
        options=options.fit_options(config),
        lower=options.SMALLER_MATCHER_STEPS,
        committed=committed,
        learning_rate=make_schedule(options.matcher_optimizer(config), samples.steps),
        begun=begun,
        compute=matcher_compute(model, descriptions, run.mesh),
    )
    _, step, score = fit(job, state)
    return step, score


def make_samples(
    config: Settings, features: MatcherFeatures, train: Sequence[Sentence], schema: Schema, mesh: Mesh
) -> MatcherSamples:
    """The stage's training samples."""
    used = matcher_sentences(train, empty=config.matcher.null_logit)
    return MatcherSamples(options.matcher_sampling(config, mesh), matcher_texts(features, used, schema))


def make_stack(
    config: Settings,
    model: Encoder,
    state: Any,
    samples: MatcherSamples,
    descriptions: Sequence[np.ndarray],
    mesh: Mesh,
) -> Stack:
    """How the layers are compiled, for the stage's largest batches and all descriptions."""
    longest, _ = max(samples.shapes)
    texts = options.matcher_sampling(config, mesh).batch_size, longest
    types = len(descriptions), max(len(d) for d in descriptions)
    return matcher_stack(config.matcher, model, state, mesh, (texts, types))


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
        delta, _ = choose_delta(config, similarities, present_types(dev, run.schema))
        matched = matched_at(similarities, run.schema, delta)
        return {"type_threshold": delta, **type_scores(dev, matched.types, beta)}

    return evaluate


def choose_delta(config: Settings, similarities: np.ndarray, present: np.ndarray) -> tuple[float, str]:
    """δ of training, and where it comes from.

    Args:
      similarities: cosines [N, K] of the dev sentences; `present`: bool [N, K], the types that occur in each.
    """
    if config.matcher.type_threshold != DEV:
        return float(config.matcher.type_threshold), "config"
    return choose_type_threshold(similarities, present, config.matcher.type_threshold_beta)[0], "dev"


def type_scores(
    sentences: Sequence[Sentence], matched: Sequence[Sequence[str]], beta: float
) -> dict[str, float]:
    """Type-level scores of T′."""
    counts = type_counts(sentences, matched)
    return {
        "type_precision": counts.precision,
        "type_recall": counts.recall,
        "type_f1": counts.f1,
        "f_beta": counts.f_beta(beta),
    }


@dataclass(frozen=True)
class RestoredMatcher:
    """The type matching model with the weights of the step that its stage chose."""

    matcher: TypeMatcher
    params: Any

    def match(self, sentences: Sequence[Sentence], schema: Schema, delta: float, top_k: int) -> Matched:
        """T′, as `matched_at` has it."""
        rows = self.matcher.similarities(self.params, [s.words for s in sentences], schema)
        return matched_at(rows, schema, delta, top_k)


def restore_matcher(config: Settings, run: Run, batch_size: int) -> RestoredMatcher:
    """The matcher of a run whose matcher stage is complete, for `batch_size` sentences at a time."""
    return restore_step(config, run, FOLDER, stage_result(run.workdir, FOLDER)["step"], batch_size)


def restore_step(config: Settings, run: Run, folder: str, step: int, batch_size: int) -> RestoredMatcher:
    """The type matching model of a step in a folder of the work directory, as `fit_matcher` has left it."""
    encoder = setup.build_matcher(config, run.workdir, run.mesh)
    params = setup.restore_params(run.workdir / folder, step, encoder, run.mesh, config.sharding)
    # What is wrong with descriptions was said before the run began (toner_jax.runs.checks).
    features = setup.matcher_features(config, run.workdir / setup.TOKENIZERS, encoder, told=(run.schema,))
    return RestoredMatcher(TypeMatcher(encoder, features, run.mesh, batch_size), params)
