"""What `toner-jax bench match` gives to all contenders: one type matching model, texts, and batches to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh

from toner_jax.config import base
from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.data.sentences import load_sentences
from toner_jax.errors import UserError
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.flops import forward_flops
from toner_jax.models.bert.model import Bert
from toner_jax.parallel.mesh import make_mesh, round_batch
from toner_jax.parallel.runtime import compute_dtype
from toner_jax.pipeline.batching import HostBatch
from toner_jax.pipeline.features import present_types
from toner_jax.pipeline.samples import (
    MatcherSamples,
    MatcherTexts,
    matcher_sentences,
    matcher_texts,
)
from toner_jax.runs import options as run_options
from toner_jax.runs import setup
from toner_jax.runs.restore import read_work_config
from toner_jax.runs.view import Settings
from toner_jax.runs.workdir import split_path
from toner_jax.training.objectives import MatcherObjective
from toner_jax.training.optimizer import OptimizerOptions
from toner_jax.training.state import Seed

SIZES = {
    "minilm": BertConfig(num_hidden_layers=6),  # all-MiniLM-L6
    "gte-small": BertConfig.gte("small"),
    "gte-base": BertConfig.gte("base"),
    "gte-large": BertConfig.gte("large"),
}
_CLS, _SEP, _FIRST_WORD = 101, 102, 999  # of BERT's English vocabulary
_LETTERS = 6  # of a piece: how many pieces stand for a word where there is no vocabulary


@dataclass(frozen=True)
class MatchSubject:
    """A type matching model with random weights, and what it is measured on.

    Attributes:
      name: of the data.
      rows: ids of each text; `descriptions`, of each type.
      batches: one epoch of training, padded to few lengths.
      batch_size: texts that are embedded at a time.
    """

    name: str
    model: Bert
    rows: Sequence[np.ndarray]
    descriptions: Sequence[np.ndarray]
    batches: Sequence[HostBatch]
    batch_size: int
    objective: MatcherObjective
    optimizer: OptimizerOptions
    mesh: Mesh
    seed: Seed
    preset: str

    def without_dropout(self) -> MatchSubject:
        """The same, so that libraries that draw other random numbers compute the same losses."""
        return replace(self, model=self.model.clone(config=replace(self.model.config, dropout_rate=0.0)))

    def first(self, steps: int) -> MatchSubject:
        """The same with so many batches."""
        return replace(self, batches=self.batches[:steps])

    @property
    def embedding_flops(self) -> float:
        """Of the texts' real tokens."""
        return sum(forward_flops(self.model.config, len(row)) for row in self.rows)

    @property
    def examples(self) -> int:
        """Of an epoch of training."""
        return sum(len(batch.ids) for batch in self.batches)


@dataclass(frozen=True)
class Asked:
    """What the command line says of a subject."""

    texts: int
    batch: int
    dropout: float


def of_run(workdir: Path, asked: Asked) -> MatchSubject:
    """A run's type matching model before its training, and the first of its training sentences.

    Raises:
      UserError: the folder is no run, or one without type matching.
    """
    config = read_work_config(workdir)
    if not config.matcher.enabled:
        raise UserError(f"{workdir}: this run has no type matching model")
    config.matcher.dropout = asked.dropout
    mesh = make_mesh(config.mesh.data, config.mesh.fsdp, config.mesh.tensor)
    schema = setup.read_work_schema(workdir)
    model: Any = setup.build_matcher(config, workdir, mesh)
    features = setup.matcher_features(config, workdir / setup.TOKENIZERS, model)
    sentences = load_sentences(split_path(workdir, "train"))[: asked.texts]
    used = matcher_sentences(sentences, empty=config.matcher.null_logit)
    return MatchSubject(
        name=config.data.name,
        model=model,
        rows=matcher_texts(features, sentences, schema).rows,
        descriptions=features.descriptions(schema),
        batches=_epoch(config, matcher_texts(features, used, schema), asked, mesh),
        batch_size=round_batch(asked.batch, mesh),
        objective=run_options.matcher_objective(config),
        optimizer=run_options.matcher_optimizer(config),
        mesh=mesh,
        seed=Seed(config.seed, config.dropout_prng),
        preset=config.sharding,
    )


def of_size(config: BertConfig, asked: Asked) -> MatchSubject:
    """A model of these sizes, trained by the base configuration, and random ids: as many for each text as a generated
    sentence would have."""
    settings, mesh = base(), make_mesh()
    sentences = generate(seed=0, sizes={"train": asked.texts})["train"]
    rng = np.random.default_rng(settings.seed)
    rows = {s.id: _random_ids(rng, s.words, config) for s in sentences}
    used = matcher_sentences(sentences, empty=settings.matcher.null_logit)
    ids = [rows[s.id] for s in used]
    lengths = np.array([len(row) for row in ids])
    trained = MatcherTexts(ids, lengths, present_types(used, SCHEMA), [s.id for s in used])
    return MatchSubject(
        name="random ids",
        model=Bert(replace(config, dropout_rate=asked.dropout), compute_dtype(settings.dtype, mesh)),
        rows=list(rows.values()),
        descriptions=[_random_ids(rng, t.text.split(), config) for t in SCHEMA.types],
        batches=_epoch(settings, trained, asked, mesh),
        batch_size=round_batch(asked.batch, mesh),
        objective=run_options.matcher_objective(settings),
        optimizer=run_options.matcher_optimizer(settings),
        mesh=mesh,
        seed=Seed(settings.seed),
        preset=settings.sharding,
    )


def _random_ids(rng: np.random.Generator, words: Sequence[str], config: BertConfig) -> np.ndarray:
    count = min(sum(1 + len(w) // _LETTERS for w in words), config.max_position_embeddings - 2)
    return np.array([_CLS, *rng.integers(_FIRST_WORD, config.vocab_size, count), _SEP], np.int32)


def _epoch(settings: Settings, texts: MatcherTexts, asked: Asked, mesh: Mesh) -> list[HostBatch]:
    """The batches of one epoch."""
    settings.matcher.batch_size, settings.matcher.epochs = asked.batch, 1.0
    return list(MatcherSamples(run_options.matcher_sampling(settings, mesh), texts).batches(0))
