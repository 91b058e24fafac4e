"""The mesh that a run works on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax.common.console import say
from toner_jax.errors import UserError
from toner_jax.models import registry
from toner_jax.parallel.mesh import all_devices, make_mesh
from toner_jax.parallel.peak import memory_limit
from toner_jax.parallel.placement import Work, choose
from toner_jax.parallel.sharding import AUTO
from toner_jax.runs import setup
from toner_jax.training.state import count_parameters

_SOURCE, _TARGET = 128, 32  # tokens of a sample, as NER has them, for an estimate of what a step moves


def training_mesh(config: ConfigDict, prepared: Path, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """The mesh of the configuration, or, where that leaves it open, the one that suits the generator.

    Args:
      prepared: a folder that holds what `setup.prepare` made; its models are asked for alone.
      devices: None for all that are here.

    Raises:
      UserError: its sizes do not multiply to the number of devices.
    """
    devices = all_devices() if devices is None else devices
    if config.sharding != AUTO or _sizes(config) != (-1, 1, 1) or len(devices) == 1:
        return configured_mesh(config, devices)
    chosen = choose(_work(config, prepared), len(devices), memory_limit(devices[0]))
    say(f"mesh: {chosen}")
    return make_mesh(*chosen.sizes, devices)


def configured_mesh(config: ConfigDict, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """The mesh of the configuration as it stands.

    Raises:
      UserError: as `make_mesh`.
    """
    return make_mesh(*_sizes(config), devices)


def serving_mesh(config: ConfigDict) -> Mesh:
    """The mesh of a configuration, or, where the devices here are others than it was made for, one of rows alone."""
    try:
        return configured_mesh(config)
    except UserError:
        return make_mesh()


def _sizes(config: ConfigDict) -> tuple[int, int, int]:
    return config.mesh.data, config.mesh.fsdp, config.mesh.tensor


def _work(config: ConfigDict, prepared: Path) -> Work:
    sizes = setup.recorded(prepared, "generator")
    model = registry.of(sizes).module(sizes, num_types=1)
    shapes = jax.eval_shape(registry.initializer(model), jax.random.key(0))
    return Work(
        parameters=count_parameters(shapes),
        width=sizes.d_model,
        heads=sizes.num_heads,
        encoder_layers=sizes.num_layers,
        decoder_layers=sizes.num_decoder_layers,
        source=config.generator.batch_size * _SOURCE,
        target=config.generator.batch_size * _TARGET,
    )
