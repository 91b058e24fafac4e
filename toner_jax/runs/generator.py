"""The generator stage (§3.1, §3.3, §3.4): fine-tunes Flan-T5 by L = L_g + λ·L_c on NER and type
recognition samples; the step to keep is the one with the best strict span F1 on dev."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax import losses
from toner_jax.common.console import say
from toner_jax.errors import UserError
from toner_jax.evaluation.scoring import strict_counts
from toner_jax.inference._task_adapter import FeaturesTask
from toner_jax.inference.constrained import GrammarGenerator
from toner_jax.inference.options import DecodeOptions
from toner_jax.inference.recognize import Recognizer
from toner_jax.models.hf import weights as hf_weights
from toner_jax.models.t5.decoder import T5Decoder
from toner_jax.models.t5.model import shift_right
from toner_jax.models.toner import ToNER
from toner_jax.parallel.mesh import round_batch
from toner_jax.pipeline.batching import (
    HostBatch,
    Shape,
    assign,
    choose_shapes,
    collate,
    plan_epoch,
    total_steps,
)
from toner_jax.pipeline.features import Example, GeneratorFeatures
from toner_jax.runs import setup
from toner_jax.runs.export import pretrained
from toner_jax.runs.matcher import read_types
from toner_jax.schema import Schema, Sentence
from toner_jax.training import state as train_state
from toner_jax.training.checkpoint import Checkpoints
from toner_jax.training.loop import Fit, evaluation_steps, fit
from toner_jax.training.metrics import MetricsWriter
from toner_jax.training.optimizer import adamw, linear_schedule

FOLDER = "generator"
# Between two evaluations pass at least so many training samples for each dev sentence: decoding one costs
# about as much as training on one, so evaluation stays well below 15 % of the time.
_SAMPLES_PER_EVALUATED = 4


def train_generator(
    config: ConfigDict,
    workdir: Path,
    train: Sequence[Sentence],
    dev: Sequence[Sentence],
    schema: Schema,
    mesh: Mesh,
) -> dict[str, Any]:
    """Trains or resumes the stage.

    Returns:
      {"step", "dev_f1"}: the step whose weights are used, and its strict span F1 on dev.
    """
    c = config.generator
    model = setup.build_generator(config, workdir, schema)
    features = setup.generator_features(config, workdir / setup.TOKENIZERS, schema)
    data = TrainingData(config, features, train, read_types_if_enabled(config, workdir, "train", train), mesh)
    tx = adamw(
        linear_schedule(c.learning_rate, data.steps, c.warmup),
        weight_decay=c.weight_decay,
        beta2=c.beta2,
        clip_norm=c.clip_norm,
    )
    state = train_state.create_state(
        setup.init_generator(model), tx, config.seed, mesh, config.sharding,
        pretrained.loader(c.checkpoint, hf_weights.load_t5),
    )  # fmt: skip
    say(
        f"{FOLDER}: {train_state.count_parameters(state['params']):,} parameters, {data.steps} steps, "
        f"shapes {' '.join(f'{s}×{t}' for s, t in data.shapes)}"
    )
    loss = make_loss(config, model)
    longest = max(t for _, t in data.shapes)
    evaluate = _make_evaluation(config, workdir, model, features, dev, mesh, longest)
    with Checkpoints(workdir / FOLDER / "checkpoints", config.checkpoint.keep) as checkpoints:
        _, step, score = fit(
            Fit(
                stage=FOLDER,
                folder=workdir / FOLDER,
                steps=data.steps,
                batches=data.batches,
                train_step=train_state.make_train_step(loss, tx, state),
                mesh=mesh,
                checkpoints=checkpoints,
                metrics=MetricsWriter(workdir),
                checkpoint_every=config.checkpoint.every,
                log_every=config.log_every,
                max_skipped=config.max_skipped,
                evaluate=evaluate,
                evaluate_at=generator_evaluations(config, data, len(dev)),
            ),
            state,
        )
    say(f"{FOLDER}: step {step} is best, strict span F1 {score:.4f} on dev")
    return {"step": step, "dev_f1": score}


def read_types_if_enabled(
    config: ConfigDict, workdir: Path, split: str, sentences: Sequence[Sentence]
) -> list[tuple[str, ...]] | None:
    """T′ of a split from the matcher stage, or None when type matching is off."""
    return read_types(workdir, split, sentences) if config.matcher.enabled else None


class TrainingData:
    """The generator's samples and their order.

    Every sentence gives one NER sample an epoch, and with probability `type_recognition` one of the
    auxiliary task, drawn anew each epoch from (seed, epoch).
    """

    def __init__(
        self,
        config: ConfigDict,
        features: GeneratorFeatures,
        train: Sequence[Sentence],
        matched: Sequence[Sequence[str]] | None,
        mesh: Mesh,
    ):
        self._config = config
        self._pool = config.generator.pool
        self._size = round_batch(config.generator.batch_size, mesh)
        features.prepare(train)
        parts = [
            (part, None if matched is None else matched[i])
            for i, sentence in enumerate(train)
            for part in features.split(sentence)
        ]
        if len(parts) > len(train):
            say(f"{FOLDER}: long training sentences make {len(parts) - len(train)} additional parts")
        self._count = len(parts)
        self._ids = [part.id for part, _ in parts]
        self.examples: list[Example] = [features.ner(part, types) for part, types in parts]
        self._share = config.generator.type_recognition
        if self._share:
            self.examples += [features.type_recognition(part) for part, _ in parts]
        self.shapes: tuple[Shape, ...] = choose_shapes(self.examples, config.generator.max_shapes)
        self._assignment = np.array([assign(e, self.shapes) for e in self.examples])
        epochs = config.generator.epochs
        lengths = [len(self._plan(epoch)) for epoch in range(int(np.ceil(epochs)))]
        self._ends = np.cumsum(lengths)
        self.steps_per_epoch = lengths[0]
        last = lengths[-1] * (epochs - np.floor(epochs)) if epochs % 1 else lengths[-1]
        self.steps = total_steps(1, sum(lengths[:-1]) + float(last))

    def _plan(self, epoch: int) -> list[tuple[Shape, np.ndarray]]:
        rng = np.random.default_rng([self._config.seed, 2, epoch])
        chosen = np.arange(self._count)
        if self._share:
            also = np.flatnonzero(rng.random(self._count) < self._share)
            chosen = np.concatenate([chosen, self._count + also])
        plan = plan_epoch(self._assignment[chosen], self.shapes, self._size, rng)
        return [(shape, np.where(rows < 0, -1, chosen[rows])) for shape, rows in plan]

    def batches(self, first: int) -> Iterator[HostBatch]:
        """The batches from step `first` (0-based) on."""
        epoch = int(np.searchsorted(self._ends, first, side="right"))
        begin = int(self._ends[epoch - 1]) if epoch else 0
        step = first
        while step < self.steps:
            for shape, rows in self._plan(epoch)[step - begin :]:
                arrays = collate(self.examples, rows, shape, self._pool).arrays()
                yield HostBatch(arrays, [self._ids[i % self._count] for i in rows if i >= 0])
                step += 1
                if step == self.steps:
                    return
            begin, epoch = int(self._ends[epoch]), epoch + 1


def generator_evaluations(config: ConfigDict, data: TrainingData, dev: int) -> frozenset[int]:
    """The steps after which to evaluate on `dev` sentences, or as many of them as the config allows."""
    sentences = min(dev, config.eval.dev_max_sentences or dev)
    apart = _SAMPLES_PER_EVALUATED * sentences / config.generator.batch_size
    return evaluation_steps(data.steps, config.eval.every, config.eval.start, data.steps_per_epoch, apart)


def dev_sample(config: ConfigDict, count: int) -> list[int]:
    """Which of dev's `count` sentences stand for all: at most `eval.dev_max_sentences`, drawn by seed."""
    limit = config.eval.dev_max_sentences or count
    return sorted(np.random.default_rng([config.seed, 3]).permutation(count)[:limit].tolist())


def make_loss(config: ConfigDict, model: ToNER) -> train_state.Loss:
    """Eq. 6 of a batch (`toner_jax.pipeline.batching.Batch.arrays`)."""
    c = config.generator

    def loss(
        params: Any, batch: Mapping[str, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        source, target = batch["source"], batch["target"]
        outputs: Any = model.apply(
            {"params": params},
            source,
            (source != 0).astype(jnp.float32),
            shift_right(target),
            batch["pool_mask"],
            c.dropout == 0,
            rngs={"dropout": key},
        )
        logits, types = outputs
        generation = losses.generation_loss(logits, target, batch["weight"], c.loss_normalization)
        classification = losses.type_classification_loss(types, batch["present"], batch["weight"])
        total = losses.generator_loss(generation, classification, c.lambda_c)
        return total, {"loss": total, "generation_loss": generation, "classification_loss": classification}

    return loss


def _make_evaluation(
    config: ConfigDict,
    workdir: Path,
    model: ToNER,
    features: GeneratorFeatures,
    dev: Sequence[Sentence],
    mesh: Mesh,
    max_length: int,
) -> Any:
    """params → {"f1", "precision", "recall"} on at most `eval.dev_max_sentences` of dev, drawn by seed.

    Outputs are cut at `max_length`, the longest target of training: an undertrained model that never
    ends its output would otherwise cost far more than it can tell. `decode.*` has no part in this, so
    that it can be changed without training again.
    """
    if not any(s.entities for s in dev):
        raise UserError("the dev split has no entities: no step can be chosen on it")
    matched = read_types_if_enabled(config, workdir, "dev", dev)
    chosen = dev_sample(config, len(dev))
    sentences = [dev[i] for i in chosen]
    types = None if matched is None else [matched[i] for i in chosen]
    # The room is that of the evaluation after training, whose programs are then compiled already.
    room = max(max_length, config.decode.max_length or features.max_target)
    options = DecodeOptions(features.max_source, room, config.eval.batch_size)
    task, make_decoder = FeaturesTask(features), partial(T5Decoder, model)
    generate = GrammarGenerator(make_decoder, task, mesh, options, limit=max_length)
    recognizer = Recognizer(generate, features, overlap=config.text.window_overlap)

    def evaluate(params: Any) -> dict[str, float]:
        found = recognizer(params, sentences, types)
        counts = strict_counts(sentences, [r.entities for r in found])
        return {"f1": counts.f1, "precision": counts.precision, "recall": counts.recall}

    return evaluate
