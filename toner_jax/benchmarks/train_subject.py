"""What `toner-jax bench train` gives to all contenders: one generator, how it is trained, and the same batches."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from toner_jax.config import base
from toner_jax.data.sentences import load_sentences
from toner_jax.models.stacks import UNROLLED, Stack
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.flops import attention_flops, token_flops, training_flops
from toner_jax.models.toner import ToNER
from toner_jax.parallel.mesh import batch_divisor, make_mesh, round_batch
from toner_jax.parallel.runtime import compute_dtype
from toner_jax.pipeline.batching import HostBatch, Shape
from toner_jax.pipeline.samples import GeneratorSamples
from toner_jax.pipeline.unpadding import layout_arrays, room
from toner_jax.runs import options as run_options
from toner_jax.runs import setup
from toner_jax.runs.generator import make_samples
from toner_jax.runs.restore import read_work_config
from toner_jax.runs.types_files import read_types, types_path
from toner_jax.runs.view import Settings
from toner_jax.runs.workdir import split_path
from toner_jax.schema import Schema, Sentence
from toner_jax.training.objectives import GeneratorObjective
from toner_jax.training.optimizer import OptimizerOptions
from toner_jax.training.state import Seed

_TYPES = 4  # of random batches: as many as CoNLL-2003 has
_END = 1  # T5's id of the end of a sequence


@dataclass(frozen=True)
class TrainSubject:
    """A generator with random weights, and the batches of one round.

    Attributes:
      name: of the data.
      preset: how state is sharded.
      batches: of a round, in order; those of one shape need one compiled program.
    """

    name: str
    model: ToNER
    objective: GeneratorObjective
    optimizer: OptimizerOptions
    batches: Sequence[HostBatch]
    mesh: Mesh
    seed: Seed
    preset: str

    def without_dropout(self) -> TrainSubject:
        """The same, so that libraries that draw other random numbers compute the same losses."""
        return replace(self, model=self.model.clone(config=replace(self.model.config, dropout_rate=0.0)))

    def first(self, steps: int) -> TrainSubject:
        """The same with so many batches."""
        return replace(self, batches=self.batches[:steps])

    def one_of_each_shape(self) -> TrainSubject:
        """The same with the first batch of each shape."""
        first = {batch.shape: batch for batch in reversed(self.batches)}
        return replace(self, batches=list(first.values()))

    @property
    def shapes(self) -> list[Shape]:
        """Those of the batches, each once."""
        return list(dict.fromkeys(batch.shape for batch in self.batches))

    def work(self) -> Work:
        """What a round consists of."""
        arrays = [batch.arrays for batch in self.batches]
        lengths = [(batch.lengths["source"], batch.lengths["target"]) for batch in self.batches]
        config = self.model.config
        computed = [(a["source_cells"].size, a["target_cells"].size) for a in arrays]
        return Work(
            examples=int(sum(a["weight"].sum() for a in arrays)),
            source_tokens=int(sum(s.sum() for s, _ in lengths)),
            target_tokens=int(sum(t.sum() for _, t in lengths)),
            positions=sum(s + t for s, t in computed),
            flops=sum(
                token_flops(config, *tokens) + len(b.arrays["source"]) * attention_flops(config, *b.shape)
                for tokens, b in zip(computed, self.batches, strict=True)
            ),
            real_flops=sum(
                training_flops(config, int(s), int(t))
                for sources, targets in lengths
                for s, t in zip(sources, targets, strict=True)
                if s
            ),
        )


@dataclass(frozen=True)
class Work:
    """The work of one round.

    Attributes:
      examples: rows of weight 1.
      source_tokens, target_tokens: real ones, of the `positions` that there are with padding.
      flops: of what is computed, padding included; `real_flops` of the real tokens alone.
    """

    examples: int
    source_tokens: int
    target_tokens: int
    positions: int
    flops: float
    real_flops: float

    @property
    def tokens(self) -> int:
        return self.source_tokens + self.target_tokens

    @property
    def padding_share(self) -> float:
        return 1 - self.tokens / self.positions


@dataclass(frozen=True)
class Asked:
    """What the command line says of a subject; None for the run's own, or else the base configuration's."""

    steps: int
    batch: int | None = None
    dropout: float | None = None
    stack: Stack = UNROLLED


def of_run(workdir: Path, asked: Asked) -> TrainSubject:
    """A run's generator before its training, and the first batches of its training data.

    Raises:
      UserError: the folder is no run, or its matcher, whose T′ stand in the prompts, is not trained.
    """
    config = read_work_config(workdir)
    generator = config.generator
    generator.batch_size = asked.batch or generator.batch_size
    generator.dropout = generator.dropout if asked.dropout is None else asked.dropout
    text = read_text(workdir, config)
    return of_samples(workdir, config, text, text.samples(config), asked)


@dataclass(frozen=True)
class TrainText:
    """A run's training sentences and their T′, of which samples are made."""

    workdir: Path
    schema: Schema
    sentences: Sequence[Sentence]
    matched: Sequence[tuple[str, ...]] | None
    mesh: Mesh

    def samples(self, config: Settings) -> GeneratorSamples:
        """Made from the words on, with a tokenizer that has met none of them."""
        features = setup.generator_features(config, self.workdir / setup.TOKENIZERS, self.schema)
        return make_samples(config, features, self.sentences, self.matched, self.mesh)


def read_text(workdir: Path, config: Settings, most: int = 0) -> TrainText:
    """The first `most` sentences; 0 for all.

    Raises:
      UserError: as of `of_run`.
    """
    train = load_sentences(split_path(workdir, "train"))
    matched = read_types(types_path(workdir, "train"), train) if config.matcher.enabled else None
    most = most or len(train)
    mesh = make_mesh(config.mesh.data, config.mesh.fsdp, config.mesh.tensor)
    chosen = None if matched is None else matched[:most]
    return TrainText(workdir, setup.read_work_schema(workdir), train[:most], chosen, mesh)


def of_samples(
    workdir: Path, config: Settings, text: TrainText, samples: GeneratorSamples, asked: Asked
) -> TrainSubject:
    """A run's generator before its training, and the first batches of its samples."""
    mesh = text.mesh
    return TrainSubject(
        name=config.data.name,
        model=setup.build_generator(config, workdir, text.schema, mesh, asked.stack),
        objective=run_options.generator_objective(config),
        optimizer=run_options.generator_optimizer(config),
        batches=list(islice(samples.batches(0), asked.steps)),
        mesh=mesh,
        seed=Seed(config.seed, config.dropout_prng),
        preset=config.sharding,
    )


def of_size(config: T5Config, source: int, target: int, asked: Asked) -> TrainSubject:
    """A generator of these sizes, with random ids without padding in every batch, trained by the base configuration."""
    settings, mesh = base(), make_mesh()
    dropout = settings.generator.dropout if asked.dropout is None else asked.dropout
    rows = round_batch(asked.batch or settings.generator.batch_size, mesh)
    rng = np.random.default_rng(settings.seed)
    return TrainSubject(
        name="random ids",
        model=ToNER(
            replace(config, dropout_rate=dropout),
            compute_dtype(settings.dtype, mesh),
            asked.stack,
            num_types=_TYPES,
        ),
        objective=run_options.generator_objective(settings),
        optimizer=run_options.generator_optimizer(settings),
        batches=[
            _random_batch(rng, config.vocab_size, rows, (source, target), mesh) for _ in range(asked.steps)
        ],
        mesh=mesh,
        seed=Seed(settings.seed),
        preset=settings.sharding,
    )


def _random_batch(
    rng: np.random.Generator, vocabulary: int, rows: int, shape: Shape, mesh: Mesh
) -> HostBatch:
    source, target = (rng.integers(_END + 1, vocabulary, (rows, n), np.int32) for n in shape)
    source[:, -1] = target[:, -1] = _END
    arrays: dict[str, Any] = {
        "source": source,
        "target": target,
        "pool_mask": np.ones(source.shape, np.float32),
        "present": rng.integers(0, 2, (rows, _TYPES)).astype(np.float32),
        "weight": np.ones(rows, np.float32),
    }
    lengths, groups = np.tile(shape, (rows, 1)), batch_divisor(mesh)
    arrays |= layout_arrays(lengths, np.arange(rows), shape, groups, room(lengths[None], groups))
    return HostBatch(
        arrays, [str(i) for i in range(rows)], shape, {"source": lengths[:, 0], "target": lengths[:, 1]}
    )


def described(subject: TrainSubject) -> dict[str, Any]:
    """The model and the data, for a report."""
    config, work = subject.model.config, subject.work()
    source = statistics.fmean(n for b in subject.batches for n in _lengths(b, "source"))
    target = statistics.fmean(n for b in subject.batches for n in _lengths(b, "target"))
    return {
        "model": {
            "d_model": config.d_model,
            "layers": [config.num_layers, config.num_decoder_layers],
            "vocabulary": config.vocab_size,
            "dtype": jax.numpy.dtype(subject.model.dtype).name,
            "dropout": config.dropout_rate,
            "remat": subject.model.stack.remat,
            "scan_layers": subject.model.stack.scan,
        },
        "data": {
            "name": subject.name,
            "batch": len(subject.batches[0].arrays["source"]),
            "shapes": subject.shapes,
            "source_tokens": source,
            "target_tokens": target,
            "padding_share": work.padding_share,
        },
    }


def _lengths(batch: HostBatch, name: str) -> list[int]:
    """Of the rows that count."""
    return [n for n in batch.lengths[name].tolist() if n]
