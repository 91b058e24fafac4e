"""From a configuration and a target to the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax.numpy as jnp
from ml_collections import ConfigDict

from toner_jax.common.console import say
from toner_jax.compiling import models, targets
from toner_jax.compiling.measure import measure
from toner_jax.compiling.programs import Subject
from toner_jax.compiling.report import Setting, make_report
from toner_jax.compiling.roofline import Machine
from toner_jax.parallel.peak import figures
from toner_jax.parallel.runtime import compute_dtype
from toner_jax.parallel.sharding import preset_on
from toner_jax.pipeline.batching import Shape
from toner_jax.runs.placement import training_mesh


@dataclass(frozen=True)
class Asked:
    """What is to be compiled.

    Attributes:
      programs: their kinds.
      shapes: (source, target) lengths of the generator's batches.
      types: how many; None for the configuration's own.
      layers: of the first of two shallow programs; None compiles whole ones.
      growth: whether each is compiled for twice the batch, too.
      examples: sentences of the training split; None where hours are not asked for.
      price: of a device for an hour; None where cost is not asked for.
    """

    programs: Sequence[str]
    shapes: Sequence[Shape]
    types: int | None = None
    layers: int | None = None
    growth: bool = True
    examples: int | None = None
    price: float | None = None


def compile_programs(config: ConfigDict, name: str, target: targets.Target, asked: Asked) -> dict[str, Any]:
    """Compiles a configuration's programs for a target, and reports what they take.

    Args:
      name: of the configuration, for the report.

    Raises:
      UserError: the target or the mesh is none, or the sizes of a model are not known.
    """
    devices = targets.devices(target)
    with TemporaryDirectory() as made:
        models.record(config, Path(made))
        mesh = training_mesh(config, Path(made), devices)
    schema = models.types_of(config, asked.types)
    subject = Subject(config, schema, mesh, asked.shapes)
    known = figures(devices[0].device_kind)
    planned = subject.planned(asked.programs)
    for section in ("generator", "matcher", "decode"):
        if (rows := subject.rows(config[section])) != config[section].batch_size:
            say(
                f"{section}.batch_size={config[section].batch_size}: {rows} on this mesh, the next multiple of "
                "the places that rows are split over"
            )
    machine = Machine(known, [device.process_index for device in mesh.devices.flat]) if known else None
    results = [measure(program, machine, asked.layers, asked.growth and mesh.size > 1) for program in planned]
    setting = Setting(
        config=name,
        target=target,
        kind=devices[0].device_kind,
        platform=devices[0].platform,
        figures=known,
        mesh={axis: int(size) for axis, size in mesh.shape.items()},
        preset=preset_on(mesh, config.sharding),
        dtype=jnp.dtype(compute_dtype(config.dtype, mesh)).name,
        types=len(schema.types),
        epoch=_samples(config, asked.examples) if asked.examples else {},
        epochs={"generator": config.generator.epochs, "matcher": config.matcher.epochs},
        price=asked.price,
    )
    return make_report(setting, results)


def _samples(config: ConfigDict, sentences: int) -> dict[str, float]:
    """Samples of an epoch: of the generator some sentences train type recognition besides."""
    return {"generator": sentences * (1 + config.generator.type_recognition), "matcher": float(sentences)}
