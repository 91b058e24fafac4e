"""From a configuration to tokenizers, models and features: what stages and predict have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import optax
from jax.sharding import Mesh

from toner_jax.common.files import copy_file, write_atomically
from toner_jax.common.memory import told_of_memory
from toner_jax.errors import UserError
from toner_jax.models import registry
from toner_jax.models.architecture import Kind
from toner_jax.models.encoder import Encoder
from toner_jax.models.hf.hub import resolve
from toner_jax.models.stacks import UNROLLED, Stack
from toner_jax.models.tokenizer import TokenizerKind
from toner_jax.models.toner import ToNER
from toner_jax.parallel.runtime import compute_dtype
from toner_jax.parallel.sharding import ShardingRules, parameter_shardings, placed
from toner_jax.pipeline.corpus import generator_corpus, matcher_corpus
from toner_jax.pipeline.features import GeneratorFeatures, check_room
from toner_jax.pipeline.matcher_features import MatcherFeatures
from toner_jax.runs import options
from toner_jax.runs.export import pretrained
from toner_jax.runs.view import Reads, Settings
from toner_jax.schema import Schema, Sentence, read_schema
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.explanations import Explanations
from toner_jax.tasks.registry import make_task
from toner_jax.tasks.type_recognition import TypeRecognition
from toner_jax.text import tokenizers
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizer_files import TOKENIZER_JSON
from toner_jax.text.train_tokenizers import Corpus
from toner_jax.training import state as train_state
from toner_jax.training.gathered import open_checkpoints

# In the work directory:
SCHEMA = "schema.json"
MODELS = "models.json"  # {"generator" or "matcher": {"model_type", "config"}}
TOKENIZERS = "tokenizers"  # a folder for each model

# What a tokenizer of a run without a checkpoint learns from.
_CORPORA = {"generator": generator_corpus, "matcher": matcher_corpus}

READS = Reads(
    result=(
        "tokenizer.generator", "tokenizer.matcher", "tokenizer.generator_vocab_size", "tokenizer.matcher_vocab_size",
        "generator.checkpoint", "generator.model", "matcher.enabled", "matcher.checkpoint", "matcher.model",
    ),
    # Only the size of a trained vocabulary is asked for, and both backends read it from the same file.
    manner=("tokenizer.backend",),
)  # fmt: skip


def prepare(
    config: Settings,
    workdir: Path,
    train: Sequence[Sentence],
    schema: Schema,
    explanations: Sequence[str] | None = None,
) -> None:
    """Puts into a work directory, or a folder that `install` copies there, all that later stages and predict need
    besides weights: the schema, and the tokenizers and architectures of both models. `explanations`, where they are
    trained with, are what a tokenizer of a run without a checkpoint learns from, too."""
    write_atomically(workdir / SCHEMA, json.dumps(schema.to_json(), indent=2) + "\n")
    kinds: list[Kind] = ["generator", "matcher"] if config.matcher.enabled else ["generator"]
    learnt = {kind: partial(_CORPORA[kind], train, schema, explanations) for kind in kinds}
    models = {kind: _prepare_model(config, workdir, kind, learnt[kind]) for kind in kinds}
    write_atomically(workdir / MODELS, json.dumps(models, indent=2) + "\n")


def _prepare_model(
    config: Settings, workdir: Path, kind: Kind, corpus: Callable[[], Corpus]
) -> dict[str, Any]:
    """Prepares a model's tokenizer; what `models.json` says of the model."""
    checkpoint, folder = getattr(config, kind).checkpoint, workdir / TOKENIZERS / kind
    model = pretrained.read_config(checkpoint, kind) if checkpoint else None
    architecture = registry.of(model) if model else registry.SCRATCH[kind]
    tokenizer = architecture.tokenizer
    folder.mkdir(parents=True, exist_ok=True)
    if source := getattr(config.tokenizer, kind) or checkpoint:
        loaded = _copy_tokenizer(config, source, folder, kind, tokenizer)
    else:
        tokenizer.train(folder, corpus(), getattr(config.tokenizer, f"{kind}_vocab_size"))
        loaded = tokenizer.load(folder, config.tokenizer.backend)
    if model is None:
        model = architecture.scratch(vocab_size=loaded.vocab_size, **getattr(config, kind).model.to_dict())
    elif loaded.vocab_size > model.vocab_size:
        raise UserError(
            f"{source}: its tokenizer has ids up to {loaded.vocab_size - 1}, and {checkpoint} has embeddings for "
            f"{model.vocab_size}; resize them (resize_token_embeddings of transformers), or set tokenizer.{kind} to "
            "the tokenizer of the checkpoint"
        )
    return registry.config_to_json(model)


def _copy_tokenizer(config: Settings, source: str, folder: Path, kind: Kind, wanted: TokenizerKind) -> Any:
    """Copies a tokenizer; it is loaded where it comes from, so that an error names files that the user knows."""
    found = resolve(source)
    if not any((found / name).is_file() for name in (wanted.file, TOKENIZER_JSON)):
        raise UserError(
            f"{source}: no {wanted.file} or {TOKENIZER_JSON}; set tokenizer.{kind} to a folder that has one"
        )
    loaded = wanted.load(found, config.tokenizer.backend)
    pretrained.copy_tokenizer(found, folder, wanted.file)
    return loaded


def install(prepared: Path, workdir: Path) -> dict[str, Any]:
    """Puts into the work directory what `prepare` made elsewhere, before it was known that the run may begin."""
    # One by one: the work directory keeps its own mode, which is not that of a temporary folder.
    for made in sorted(prepared.rglob("*")):
        target = workdir / made.relative_to(prepared)
        if made.is_dir():
            target.mkdir(exist_ok=True)
        else:
            copy_file(made, target)
    return {}


def read_work_schema(workdir: Path) -> Schema:
    """The schema of a work directory."""
    return read_schema(workdir / SCHEMA)


def recorded(workdir: Path, kind: Kind) -> Any:
    """The config of a model that `prepare` recorded.

    Raises:
      UserError: it is not there.
    """
    path = workdir / MODELS
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))[kind]
        return registry.config_from_json(recorded, kind, path)
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: does not describe the {kind} ({error!r})") from error


def generator_word_ids(config: Settings, tokenizer_folder: Path) -> WordIds:
    """How words become ids with a folder's `generator/` tokenizer."""
    # Every generator comes with SentencePiece: targets and grammars are made of its pieces.
    tokenizer = tokenizers.load_sentencepiece(tokenizer_folder / "generator", config.tokenizer.backend)
    return WordIds(tokenizer, config.tokenizer.ids)


def training_tasks(config: Settings) -> tuple[str, ...]:
    """The names of the tasks that the configuration trains a generator on, the main one first."""
    auxiliary = (TypeRecognition.name,) if config.generator.type_recognition else ()
    return (Explanations.name if config.generator.explanations else Entities.name, *auxiliary)


def generator_features(
    config: Settings, tokenizer_folder: Path, schema: Schema, explanations: Mapping[str, str] | None = None
) -> GeneratorFeatures:
    """The features of the tasks that the configuration trains a generator on.

    Args:
      explanations: of training sentences, where they are trained with (`runs.explanations`).

    Raises:
      UserError: the schema leaves no room for text within text.max_source.
    """
    word_ids = generator_word_ids(config, tokenizer_folder)
    written = options.writing(config)
    tasks = [make_task(name, word_ids, schema, written) for name in training_tasks(config)]
    plain = None
    if explanations is not None:
        # What has none, and the parts of long sentences, whose explanation tells of the whole.
        tasks[0] = Explanations(word_ids, schema, written, explanations)
        plain = Entities(word_ids, schema, written)
    for task in tasks:
        check_room(task, config.text.max_source)
    return GeneratorFeatures(tasks, config.text.max_source, config.text.max_target, plain)


def matcher_features(
    config: Settings, tokenizer_folder: Path, encoder: Encoder, told: Iterable[Schema] = ()
) -> MatcherFeatures:
    """The matcher's features with a folder's `matcher/` tokenizer; `told` as `MatcherFeatures` has it."""
    kind = registry.of(encoder.config).tokenizer
    tokenizer = kind.load(tokenizer_folder / "matcher", config.tokenizer.backend)
    return MatcherFeatures(tokenizer, encoder.max_length, told)


def build_matcher(config: Settings, workdir: Path, mesh: Mesh, stack: Stack = UNROLLED) -> Encoder:
    """The type matching model, of the architecture that the work directory records; `stack` is how it is trained."""
    c = replace(recorded(workdir, "matcher"), dropout_rate=config.matcher.dropout)
    model: Encoder = registry.of(c).module(c, compute_dtype(config.dtype, mesh), stack)
    return model


def build_generator(
    config: Settings, workdir: Path, schema: Schema, mesh: Mesh, stack: Stack = UNROLLED
) -> ToNER:
    """The generator, of the architecture that the work directory records; `stack` is how it is trained."""
    c = replace(recorded(workdir, "generator"), dropout_rate=config.generator.dropout)
    dtype = compute_dtype(config.dtype, mesh)
    model: ToNER = registry.of(c).module(c, dtype, stack, num_types=len(schema.types))
    return model


def create_state(
    config: Settings, model: Any, tx: optax.GradientTransformation, mesh: Mesh
) -> train_state.State:
    """A model's train state, born sharded from the configuration's checkpoint, or from random weights.

    Raises:
      UserError: memory runs out.
    """
    architecture = registry.of(model.config)
    with told_of_memory(f"{architecture.kind}: parameters and moments", options.SMALLER_MODEL):
        return train_state.create_state(
            registry.initializer(model),
            tx,
            train_state.Seed(config.seed, config.dropout_prng),
            mesh,
            config.sharding,
            architecture.sharding,
            pretrained.loader(getattr(config, architecture.kind).checkpoint, architecture.hf),
        )


def restore_params(stage: Path, step: int, model: Any, mesh: Mesh, preset: str) -> Any:
    """A model's parameters from a stage's folder at a step, placed as training places them.

    Raises:
      UserError: there is no such step, it is damaged, or memory runs out.
    """
    shapes = jax.eval_shape(registry.initializer(model), jax.random.key(0))
    targets = parameter_targets(shapes, mesh, preset, registry.of(model.config).sharding)
    with (
        told_of_memory(f"{stage}: restoring parameters", options.SMALLER_MODEL),
        open_checkpoints(stage / "checkpoints", read_only=True) as checkpoints,
    ):
        return checkpoints.restore_params(step, targets)


def parameter_targets(shapes: Any, mesh: Mesh, preset: str, rules: ShardingRules) -> Any:
    """Shapes of parameters with the shardings that training gives them: what a restore asks for."""
    return placed(shapes, parameter_shardings(shapes, mesh, rules, preset))
