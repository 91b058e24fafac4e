"""From a configuration to tokenizers, models and features: what stages and predict have in common."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax.common.files import write_atomically
from toner_jax.errors import UserError
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.model import Bert
from toner_jax.models.hf import weights as hf_weights
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.copy_init import copying
from toner_jax.models.toner import ToNER
from toner_jax.parallel.runtime import compute_dtype
from toner_jax.parallel.sharding import state_shardings
from toner_jax.pipeline.corpus import generator_corpus, matcher_corpus
from toner_jax.pipeline.features import GeneratorFeatures, check_room
from toner_jax.pipeline.matcher_features import MatcherFeatures
from toner_jax.runs.export import pretrained
from toner_jax.runs.view import Reads
from toner_jax.schema import Schema, Sentence, read_schema
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.registry import make_task
from toner_jax.tasks.type_recognition import TypeRecognition
from toner_jax.text import tokenizers
from toner_jax.text.ids import WordIds
from toner_jax.text.train_tokenizers import train_sentencepiece, train_wordpiece
from toner_jax.training.checkpoint import Checkpoints

# In the work directory:
SCHEMA = "schema.json"
MODELS = "models.json"  # both architectures
TOKENIZERS = "tokenizers"  # generator/spiece.model, matcher/vocab.txt

READS = Reads(
    result=(
        "tokenizer.generator", "tokenizer.matcher", "tokenizer.generator_vocab_size", "tokenizer.matcher_vocab_size",
        "generator.checkpoint", "generator.model", "matcher.enabled", "matcher.checkpoint", "matcher.model",
    ),
    # Only the size of a trained vocabulary is asked for, and both backends read it from the same file.
    manner=("tokenizer.backend",),
)  # fmt: skip


def prepare(config: ConfigDict, workdir: Path, train: Sequence[Sentence], schema: Schema) -> dict[str, Any]:
    """Puts into the work directory all that later stages and predict need besides weights: the schema,
    both tokenizers, and both architectures."""
    write_atomically(workdir / SCHEMA, json.dumps(schema.to_json(), indent=2) + "\n")
    _prepare_tokenizer(
        workdir,
        "generator",
        tokenizers.SENTENCEPIECE_FILE,
        config.tokenizer.generator or config.generator.checkpoint,
        lambda folder: train_sentencepiece(
            folder, generator_corpus(train, schema), config.tokenizer.generator_vocab_size
        ),
    )
    models = {"generator": asdict(_generator_config(config, workdir))}
    if config.matcher.enabled:
        _prepare_tokenizer(
            workdir,
            "matcher",
            tokenizers.WORDPIECE_FILE,
            config.tokenizer.matcher or config.matcher.checkpoint,
            lambda folder: train_wordpiece(
                folder, matcher_corpus(train, schema), config.tokenizer.matcher_vocab_size
            ),
        )
        models["matcher"] = asdict(_matcher_config(config, workdir))
    write_atomically(workdir / MODELS, json.dumps(models, indent=2) + "\n")
    return {}


def _prepare_tokenizer(
    workdir: Path, model: str, file: str, source: str, train: Callable[[Path], Any]
) -> None:
    """The tokenizer of a checkpoint, or without one a tokenizer trained on the training split."""
    folder = workdir / TOKENIZERS / model
    folder.mkdir(parents=True, exist_ok=True)
    if not source:
        train(folder)
        return
    found = hf_weights.resolve(source)
    if not (found / file).is_file():
        raise UserError(f"{source}: no {file}; set --config.tokenizer.{model} to a folder that has it")
    for name in (file, "tokenizer_config.json"):
        if (found / name).is_file():
            shutil.copy(found / name, folder / name)


def _generator_config(config: ConfigDict, workdir: Path) -> T5Config:
    if config.generator.checkpoint:
        return pretrained.t5_config(config.generator.checkpoint)
    vocab = tokenizers.load_sentencepiece(
        workdir / TOKENIZERS / "generator", config.tokenizer.backend
    ).vocab_size
    return T5Config(vocab_size=vocab, **config.generator.model.to_dict())


def _matcher_config(config: ConfigDict, workdir: Path) -> BertConfig:
    if config.matcher.checkpoint:
        return pretrained.bert_config(config.matcher.checkpoint)
    vocab = tokenizers.load_wordpiece(workdir / TOKENIZERS / "matcher", config.tokenizer.backend).vocab_size
    return BertConfig(vocab_size=vocab, pooler=False, **config.matcher.model.to_dict())


def read_work_schema(workdir: Path) -> Schema:
    """The schema of a work directory."""
    return read_schema(workdir / SCHEMA)


def _architecture(workdir: Path, model: str) -> dict[str, Any]:
    try:
        return json.loads((workdir / MODELS).read_text(encoding="utf-8"))[model]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{workdir / MODELS}: does not describe the {model} ({error!r})") from error


def generator_word_ids(config: ConfigDict, tokenizer_folder: Path) -> WordIds:
    """How words become ids with a folder's `generator/` tokenizer."""
    return WordIds(tokenizers.load_sentencepiece(tokenizer_folder / "generator", config.tokenizer.backend))


def training_tasks(config: ConfigDict) -> tuple[str, ...]:
    """The names of the tasks that the configuration trains a generator on, the main one first."""
    auxiliary = (TypeRecognition.name,) if config.generator.type_recognition else ()
    return (Entities.name, *auxiliary)


def generator_features(config: ConfigDict, tokenizer_folder: Path, schema: Schema) -> GeneratorFeatures:
    """The features of the tasks that the configuration trains a generator on.

    Raises:
      UserError: the schema leaves no room for text within text.max_source.
    """
    word_ids = generator_word_ids(config, tokenizer_folder)
    tasks = [make_task(name, word_ids, schema) for name in training_tasks(config)]
    for task in tasks:
        check_room(task, config.text.max_source)
    return GeneratorFeatures(tasks, config.text.max_source, config.text.max_target)


def matcher_features(config: ConfigDict, tokenizer_folder: Path, limit: int) -> MatcherFeatures:
    """The matcher's features with a folder's `matcher/` tokenizer; `limit` is the model's positions."""
    tokenizer = tokenizers.load_wordpiece(tokenizer_folder / "matcher", config.tokenizer.backend)
    return MatcherFeatures(tokenizer, limit)


def build_matcher(config: ConfigDict, workdir: Path) -> Bert:
    """The type matching model, of the architecture that the work directory records."""
    bert = replace(BertConfig(**_architecture(workdir, "matcher")), dropout_rate=config.matcher.dropout)
    return Bert(bert, compute_dtype(config), config.matcher.remat)


def build_generator(config: ConfigDict, workdir: Path, schema: Schema) -> ToNER:
    """The generator, of the architecture that the work directory records."""
    t5 = replace(T5Config(**_architecture(workdir, "generator")), dropout_rate=config.generator.dropout)
    return ToNER(t5, compute_dtype(config), config.generator.remat, num_types=len(schema.types))


def init_matcher(model: Bert) -> Callable[[jax.Array], Any]:
    """key → parameters."""
    ids = jnp.zeros((1, 8), jnp.int32)
    return lambda key: model.init(key, ids, ids)["params"]


def init_generator(model: ToNER) -> Callable[[jax.Array], Any]:
    """key → parameters, by the config's initialisation."""
    if model.config.init not in ("t5", "copy"):
        raise UserError(f"generator.model.init={model.config.init!r}: choose one of t5, copy")
    ids = jnp.zeros((1, 8), jnp.int32)

    def init(key: jax.Array) -> Any:
        params = model.init(key, ids, ids, ids, ids)["params"]
        return copying(params, model.config, key) if model.config.init == "copy" else params

    return init


def restore_params(stage: Path, step: int, init: Callable[[jax.Array], Any], mesh: Mesh, preset: str) -> Any:
    """The parameters of a stage's folder at a step, placed as training places them.

    Raises:
      UserError: there is no such step, or it is damaged.
    """
    shapes = jax.eval_shape(init, jax.random.key(0))
    with Checkpoints(stage / "checkpoints", read_only=True) as checkpoints:
        return checkpoints.restore_params(step, parameter_targets(shapes, mesh, preset))


def parameter_targets(shapes: Any, mesh: Mesh, preset: str) -> Any:
    """Shapes of parameters with the shardings that training gives them: what a restore asks for."""
    shardings = state_shardings({"params": shapes}, mesh, preset)["params"]
    return jax.tree.map(
        lambda shape, sharding: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding),
        shapes,
        shardings,
    )
