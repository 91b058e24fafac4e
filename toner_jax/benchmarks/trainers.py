"""One generator's train step in this package, and what every contender of `toner-jax bench train` can do."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol

import jax

from toner_jax.benchmarks.train_subject import TrainSubject
from toner_jax.common.console import Compilations
from toner_jax.models import registry
from toner_jax.parallel.mesh import shard_batch
from toner_jax.parallel.peak import peak_bytes
from toner_jax.pipeline.batching import HostBatch, Shape
from toner_jax.training.optimizer import make_optimizer
from toner_jax.training.state import State, create_state, make_train_step

# The learning rate falls over so many steps, so that it stays what it is during a measurement; it does not rise first.
_STEPS = 10_000_000


class Trainer(Protocol):
    """One way to train; each begins with the same weights.

    Attributes:
      name, title: in figures and on pages.
      ready_seconds: what `prepare` took, which no rate holds.
      planned_bytes: the memory that the compiled program was planned with; None where nothing is planned.
    """

    name: str
    title: str
    ready_seconds: float
    planned_bytes: int | None

    def prepare(self) -> None:
        """Compiles what is to be timed, or takes the first steps where nothing is compiled."""

    def train(self) -> list[float]:
        """The losses of a round, when the device has finished it."""

    def peak_bytes(self) -> int | None:
        """The most memory of a device at a time; None where it does not tell."""


class Ours:
    """The generator stage's own train step."""

    name, title = "toner_jax", "toner_jax"

    def __init__(self, subject: TrainSubject):
        self._subject = subject
        self.ready_seconds = 0.0
        self.planned_bytes: int | None = None
        self._tx = make_optimizer(replace(subject.optimizer, warmup=0.0), _STEPS)
        architecture = registry.of(subject.model.config)
        self._state: State = create_state(
            registry.initializer(subject.model),
            self._tx,
            subject.seed,
            subject.mesh,
            subject.preset,
            architecture.sharding,
        )
        self._programs: dict[Shape, Any] = {}
        self._batches = [self._on_device(batch) for batch in subject.batches]

    @property
    def params(self) -> Any:
        """The parameters as they are now."""
        return self._state["params"]

    def prepare(self) -> None:
        begun = time.perf_counter()
        loss = self._subject.objective.loss(self._subject.model)
        step: Any = make_train_step(loss, self._tx, self._state)
        compilations = Compilations("train step", self._subject.shapes)
        for batch, arrays in zip(self._subject.batches, self._batches, strict=True):
            if batch.shape not in self._programs:
                with compilations.compiling(batch.shape):  # of a large model, minutes
                    program = step.lower(self._state, arrays).compile()
                self._programs[batch.shape] = program
                self.planned_bytes = max(self.planned_bytes or 0, _planned(program))
        self.ready_seconds = time.perf_counter() - begun

    def train(self) -> list[float]:
        return self._train(zip(self._subject.batches, self._batches, strict=True))

    def train_on(self, batches: Iterable[HostBatch]) -> list[float]:
        """As `train`, of batches that come one by one, in shapes of the subject's."""
        return self._train((batch, self._on_device(batch)) for batch in batches)

    def _train(self, batches: Iterable[tuple[HostBatch, Any]]) -> list[float]:
        metrics = []
        for batch, arrays in batches:
            self._state, values = self._programs[batch.shape](self._state, arrays)
            metrics.append(values["loss"])
        losses = [float(loss) for loss in metrics]
        jax.block_until_ready(self._state)
        return losses

    def peak_bytes(self) -> int | None:
        found = [peak_bytes(device) for device in self._subject.mesh.local_devices]
        return None if None in found else max(n for n in found if n is not None)

    def _on_device(self, batch: HostBatch) -> Any:
        mesh = self._subject.mesh
        placed = shard_batch(dict(batch.arrays), mesh)
        return jax.device_put(placed, mesh.devices.flat[0]) if mesh.size == 1 else placed


def _planned(program: Any) -> int:
    """Bytes of a device that a compiled program needs for its arguments, results and all in between."""
    m = program.memory_analysis()
    shared = m.alias_size_in_bytes  # the state, which a step gives back where it took it
    return int(m.argument_size_in_bytes + m.output_size_in_bytes - shared + m.temp_size_in_bytes)
