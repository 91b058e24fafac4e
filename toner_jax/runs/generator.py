"""The generator stage (§3.1, §3.3, §3.4): fine-tunes Flan-T5 by L = L_g + λ·L_c on NER and type
recognition samples; the step to keep is the one with the best strict span F1 on dev."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from jax.sharding import Mesh

from toner_jax.common.console import say
from toner_jax.evaluation.scoring import strict_counts
from toner_jax.inference.options import DecodeOptions
from toner_jax.models.stacks import Stack
from toner_jax.models.toner import ToNER
from toner_jax.pipeline.features import GeneratorFeatures
from toner_jax.pipeline.samples import GeneratorSamples, dev_sample
from toner_jax.runs import options, setup
from toner_jax.runs.aside import settle
from toner_jax.runs.compute import generator_compute
from toner_jax.runs.recognizers import make_programs, make_recognizer
from toner_jax.runs.stacks import generator_stack
from toner_jax.runs.stage import Run
from toner_jax.runs.type_sources import NONE
from toner_jax.runs.types_files import read_types, types_path
from toner_jax.runs.view import Reads, Settings
from toner_jax.schema import Sentence
from toner_jax.training import state as train_state
from toner_jax.training.loop import DevEvaluation, Fit, evaluation_steps, fit
from toner_jax.training.optimizer import make_optimizer, make_schedule

FOLDER = "generator"

READS = Reads(
    result=(
        "seed", "dropout_prng", "dtype", "tokenizer.generator", "tokenizer.generator_vocab_size", "tokenizer.ids",
        "text", "generator", "matcher.enabled",
    ),
    earlier=("types.training",),
    manner=(
        *options.FIT_KEYS,
        "tokenizer.backend",  # the ids are the same
        "eval.batch_size",  # sentences decoded at a time: their logits are the same up to rounding
        "sharding",  # where parameters and moments live: the same sums, up to rounding
        "generator.remat",  # what is computed twice
    ),
    selection=("eval.every", "eval.start", "eval.dev_max_sentences", "types.evaluation"),
)  # fmt: skip

# Between two evaluations pass at least so many training samples for each dev sentence: decoding one costs
# about as much as training on one, so evaluation stays well below 15 % of the time.
_SAMPLES_PER_EVALUATED = 4


def train_generator(config: Settings, run: Run) -> dict[str, Any]:
    """Trains or resumes the stage.

    Returns:
      {"step", "dev_f1", "tasks"}: the step whose weights are used, its strict span F1 on dev, and the names of the
      tasks that it was trained on.
    """
    begun = time.monotonic()
    model = setup.build_generator(config, run.workdir, run.schema, run.mesh)
    features = setup.generator_features(config, run.workdir / setup.TOKENIZERS, run.schema, run.explanations)
    matched = _read_types(config, run, "train")
    samples = make_samples(config, features, run.splits["train"], matched, run.mesh)
    tx = make_optimizer(options.generator_optimizer(config), samples.steps)
    state = setup.create_state(config, model, tx, run.mesh)
    stack = make_stack(config, model, state, samples, run.mesh)
    trained = setup.build_generator(config, run.workdir, run.schema, run.mesh, stack)
    say(
        f"{FOLDER}: {train_state.count_parameters(state['params']):,} parameters, {samples.steps} steps, "
        f"shapes {' '.join(f'{s}×{t}' for s, t in samples.shapes)}"
    )
    longest = max(t for _, t in samples.shapes)
    scores = _evaluation(config, run, model, features, longest=longest)
    job = Fit(
        stage=FOLDER,
        workdir=run.workdir,
        samples=samples,
        train_step=train_state.make_train_step(
            options.generator_objective(config).loss(trained),
            tx,
            state,
            options.generator_accumulation(config),
        ),
        mesh=run.mesh,
        dev=DevEvaluation(scores, evaluations(config, samples, len(run.splits["dev"]))),
        options=options.fit_options(config),
        lower=options.SMALLER_GENERATOR_STEPS,
        committed=partial(settle, run.workdir, FOLDER),
        learning_rate=make_schedule(options.generator_optimizer(config), samples.steps),
        begun=begun,
        compute=generator_compute(model, run.mesh),
    )
    _, step, score = fit(job, state)
    say(f"{FOLDER}: step {step} is best, strict span F1 {score:.4f} on dev, outputs cut at {longest} tokens")
    return {"step": step, "dev_f1": score, "tasks": [task.name for task in features.tasks]}


def _read_types(config: Settings, run: Run, split: str) -> list[tuple[str, ...]] | None:
    """T′ of train or dev at the δ of training, or None where prompts are to have none."""
    source = config.types.training if split == "train" else config.types.evaluation
    if not config.matcher.enabled or source == NONE:
        return None
    return read_types(types_path(run.workdir, split), run.splits[split])


def make_samples(
    config: Settings,
    features: GeneratorFeatures,
    train: Sequence[Sentence],
    matched: Sequence[Sequence[str]] | None,
    mesh: Mesh,
) -> GeneratorSamples:
    """The stage's training samples, with what long sentences came to said aloud."""
    samples = GeneratorSamples(
        options.generator_sampling(config, mesh), features, train, matched,
        auxiliary_share=config.generator.type_recognition,
        drawn_once=config.generator.type_recognition_once, pool=config.generator.pool,
    )  # fmt: skip
    if samples.plain:
        say(
            f"{FOLDER}: {samples.plain} sentences train as plain NER: without an explanation, or with too long a one"
        )
    if samples.added_parts:
        say(f"{FOLDER}: long training sentences make {samples.added_parts} additional parts")
    return samples


def make_stack(config: Settings, model: ToNER, state: Any, samples: GeneratorSamples, mesh: Mesh) -> Stack:
    """How the layers are compiled, for the stage's largest batches."""
    sampling = options.generator_sampling(config, mesh)
    rooms = [(shape, (sampling.groups * s, sampling.groups * t)) for shape, (s, t) in samples.rooms.items()]
    return generator_stack(config.generator, model, state, mesh, sampling.batch_size, rooms)


def evaluations(config: Settings, samples: GeneratorSamples, dev: int) -> frozenset[int]:
    """The steps after which to evaluate on `dev` sentences, or as many of them as the configuration allows."""
    sentences = min(dev, config.eval.dev_max_sentences or dev)
    apart = _SAMPLES_PER_EVALUATED * sentences / config.generator.batch_size
    every, start = config.eval.every, config.eval.start
    return evaluation_steps(samples.steps, every, start, samples.steps_per_epoch, apart)


def chosen_dev(
    config: Settings, dev: Sequence[Sentence], matched: Sequence[tuple[str, ...]] | None
) -> tuple[list[Sentence], list[tuple[str, ...]] | None]:
    """The dev sentences that stand for all, at most `eval.dev_max_sentences`, and their T′ of `matched`."""
    chosen = dev_sample(config.seed, len(dev), config.eval.dev_max_sentences)
    return [dev[i] for i in chosen], None if matched is None else [matched[i] for i in chosen]


def _evaluation(
    config: Settings, run: Run, model: ToNER, features: GeneratorFeatures, *, longest: int
) -> Callable[[Any], dict[str, float]]:
    """params → {"f1", "precision", "recall"} on at most `eval.dev_max_sentences` of dev, drawn by seed.

    Outputs are cut at `longest`, the longest target of training: an undertrained model that never
    ends its output would otherwise cost far more than it can tell. `decode.*` has no part in this, so
    that it can be changed without training again.
    """
    sentences, types = chosen_dev(config, run.splits["dev"], _read_types(config, run, "dev"))
    # By default the room is that of the evaluation after training, whose programs are then compiled already.
    decode = DecodeOptions(
        max_source=features.max_source,
        max_length=max(longest, features.max_target),
        batch_size=config.eval.batch_size,
        window_overlap=config.text.window_overlap,
    )
    recognizer = make_recognizer(
        features.tasks[0], make_programs(model, run.mesh), run.mesh, decode, limit=longest
    )

    def evaluate(params: Any) -> dict[str, float]:
        found = recognizer(params, sentences, types)
        counts = strict_counts(sentences, [r.entities for r in found])
        return {"f1": counts.f1, "precision": counts.precision, "recall": counts.recall}

    return evaluate
