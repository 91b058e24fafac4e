"""The programs that a configuration runs, made for shapes: the very train steps, decoding and embedding of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax.compiling import models
from toner_jax.compiling.pieces import PlainPieces
from toner_jax.config import copied
from toner_jax.inference.constrained import GrammarGenerator
from toner_jax.inference.embedding import Embedder
from toner_jax.models import registry
from toner_jax.models.architecture import Kind
from toner_jax.models.bert import flops as bert
from toner_jax.models.stacks import UNROLLED, Stack
from toner_jax.models.t5.flops import training_flops
from toner_jax.parallel.mesh import abstract_batch, batch_divisor, round_batch
from toner_jax.pipeline.batching import Batch, Shape
from toner_jax.pipeline.unpadding import cells, layout_arrays, room
from toner_jax.runs import options, setup
from toner_jax.runs.placed import placed_state
from toner_jax.runs.recognizers import decode_options, make_programs
from toner_jax.runs.stacks import generator_stack, matcher_stack
from toner_jax.schema import Schema
from toner_jax.tasks.entities import Entities
from toner_jax.text.ids import WordIds
from toner_jax.training.optimizer import make_optimizer
from toner_jax.training.state import make_train_step

DESCRIPTION = 24  # pieces of the D_t of a type, which no data tell
_STEPS = 10_000  # of a training; programs of another length differ in constants alone


@dataclass(frozen=True)
class Sizes:
    """How much of a program is compiled: `layers` of each stack (None: all), for `times` its batch."""

    layers: int | None = None
    times: int = 1


@dataclass(frozen=True)
class Planned:
    """A program to be compiled.

    Attributes:
      examples: rows of a run of it, over all devices.
      useful: FLOPs that the model needs for them; None where no one number says it.
      layers: of each stack; None where they differ.
      trains: it is a train step.
      lower: makes it.
    """

    name: str
    examples: int
    useful: float | None
    layers: int | None
    trains: bool
    lower: Callable[[Sizes], jax.stages.Lowered]

    @property
    def kind(self) -> str:
        """The first word of its name: "generator", "matcher", "decode" or "types"."""
        return self.name.split(" ")[0]


@dataclass(frozen=True)
class Subject:
    """A configuration on a mesh.

    Attributes:
      shapes: (source, target) lengths that the generator's batches are padded to.
    """

    config: ConfigDict
    schema: Schema
    mesh: Mesh
    shapes: Sequence[Shape]

    def planned(self, names: Sequence[str]) -> list[Planned]:
        """The programs of these kinds; those of type matching are left out where the configuration has none."""
        matching = self.config.matcher.enabled
        makers: dict[str, Callable[[], list[Planned]]] = {
            "generator": lambda: [self._generator(shape) for shape in self.shapes],
            "matcher": lambda: [self._matcher()] if matching else [],
            "decode": lambda: [self._decode()],
            "types": lambda: [self._types()] if matching else [],
        }
        return [planned for name in names for planned in makers[name]()]

    @property
    def _source(self) -> int:
        return max(source for source, _ in self.shapes)

    def rows(self, section: ConfigDict, times: int = 1) -> int:
        """The rows of a batch of a section of the configuration, as the mesh rounds them."""
        return round_batch(section.batch_size * times, self.mesh)

    def _model(self, kind: Kind, layers: int | None, stack: Stack = UNROLLED) -> Any:
        """The model as a run builds it from what its work directory records."""
        with TemporaryDirectory() as made:
            models.record(self.config, Path(made), layers)
            if kind == "matcher":
                return setup.build_matcher(self.config, Path(made), self.mesh, stack)
            return setup.build_generator(self.config, Path(made), self.schema, self.mesh, stack)

    def _generator(self, shape: Shape) -> Planned:
        section, sizes = self.config.generator, models.model_config(self.config, "generator")
        tx = make_optimizer(options.generator_optimizer(self.config), _STEPS)
        rows = self.rows(section)
        whole = self._model("generator", None)
        state = placed_state(self.config, whole, tx, self.mesh)
        most = shape, (rows * shape[0], rows * shape[1])
        stack = generator_stack(section, whole, state, self.mesh, rows, [most])

        def lower(wanted: Sizes) -> jax.stages.Lowered:
            model = self._model("generator", wanted.layers, stack)
            state = placed_state(self.config, model, tx, self.mesh)
            loss = options.generator_objective(self.config).loss(model)
            batch = self._generator_batch(self.rows(section, wanted.times), shape)
            step = make_train_step(loss, tx, state, options.generator_accumulation(self.config))
            return _lowered(step, state, abstract_batch(batch, self.mesh))

        name = f"generator {shape[0]}×{shape[1]}"
        useful = rows * training_flops(sizes, *shape)
        return Planned(name, rows, useful, models.depth(sizes), True, lower)

    def _generator_batch(self, rows: int, shape: Shape) -> dict[str, np.ndarray]:
        """One without padding: every cell holds a token."""
        source, target = shape
        batch = Batch(
            source=np.zeros((rows, source), np.int32),
            target=np.zeros((rows, target), np.int32),
            pool_mask=np.zeros((rows, source), np.float32),
            present=np.zeros((rows, len(self.schema.types)), np.float32),
            weight=np.zeros(rows, np.float32),
            rows=np.zeros(rows, np.int32),
        ).arrays()
        lengths, groups = np.tile(shape, (rows, 1)), self._groups(self.config.generator, rows)
        most = room(lengths[None], groups)
        return batch | layout_arrays(lengths, np.arange(rows), shape, groups, most)

    def _groups(self, section: Any, rows: int) -> int:
        return options.batch_groups(section, rows, self.mesh)

    def _matcher(self) -> Planned:
        section, sizes = self.config.matcher, models.model_config(self.config, "matcher")
        rows, types, source = self.rows(section), len(self.schema.types), self._source
        descriptions = [np.arange(1, DESCRIPTION + 1, dtype=np.int32)] * types
        tx = make_optimizer(options.matcher_optimizer(self.config), _STEPS)
        whole = self._model("matcher", None)
        state = placed_state(self.config, whole, tx, self.mesh)
        batches = (rows, source), (types, DESCRIPTION)
        stack = matcher_stack(section, whole, state, self.mesh, batches)

        def lower(wanted: Sizes) -> jax.stages.Lowered:
            model = self._model("matcher", wanted.layers, stack)
            state = placed_state(self.config, model, tx, self.mesh)
            loss = options.matcher_objective(self.config).loss(model, descriptions)
            rows = self.rows(section, wanted.times)
            batch = _matcher_batch(rows, source, types, self._groups(section, rows))
            step = make_train_step(loss, tx, state, options.matcher_accumulation(self.config))
            return _lowered(step, state, abstract_batch(batch, self.mesh))

        useful = rows * bert.training_flops(sizes, source) + types * bert.training_flops(sizes, DESCRIPTION)
        return Planned(f"matcher {source}", rows, useful, models.depth(sizes), True, lower)

    def _decode(self) -> Planned:
        sizes = models.model_config(self.config, "generator")
        word_ids = WordIds(PlainPieces(), self.config.tokenizer.ids)
        task = Entities(word_ids, self.schema, options.writing(self.config))

        def lower(wanted: Sizes) -> jax.stages.Lowered:
            config = _with_batch(self.config, wanted.times)
            model = self._model("generator", wanted.layers)
            generator = GrammarGenerator(
                make_programs(model, self.mesh), task, self.mesh, decode_options(config)
            )
            return generator.lower(self._parameters(model), self._source)

        rows = self.rows(self.config.decode)
        return Planned(f"decode {self._source}", rows, None, models.depth(sizes), False, lower)

    def _types(self) -> Planned:
        sizes = models.model_config(self.config, "matcher")

        def embedder(wanted: Sizes) -> tuple[Any, Embedder]:
            model = self._model("matcher", wanted.layers)
            return model, Embedder(model, self.mesh, self.rows(self.config.decode, wanted.times))

        def lower(wanted: Sizes) -> jax.stages.Lowered:
            model, embed = embedder(wanted)
            return embed.lower(self._parameters(model), self._source)

        _, embed = embedder(Sizes())
        rows = embed.many(self._source).tokens * batch_divisor(self.mesh) // self._source
        useful = rows * bert.forward_flops(sizes, self._source)
        return Planned(f"types {self._source}", rows, useful, models.depth(sizes), False, lower)

    def _parameters(self, model: Any) -> Any:
        shapes = jax.eval_shape(registry.initializer(model), jax.random.key(0))
        rules = registry.of(model.config).sharding
        return setup.parameter_targets(shapes, self.mesh, self.config.sharding, rules)


def _lowered(program: Any, *arguments: Any) -> jax.stages.Lowered:
    lowered: jax.stages.Lowered = program.lower(*arguments)
    return lowered


def _with_batch(config: ConfigDict, times: int) -> ConfigDict:
    changed = copied(config)
    changed.decode.batch_size *= times
    return changed


def _matcher_batch(rows: int, source: int, types: int, groups: int) -> dict[str, np.ndarray]:
    return {
        "ids_cells": cells(np.full(rows, source), source, groups, rows // groups * source),
        "number": np.arange(rows, dtype=np.int32),
        "ids": np.zeros((rows, source), np.int32),
        "present": np.zeros((rows, types), np.float32),
        "weight": np.zeros(rows, np.float32),
    }
