"""What the models of a configuration hold of each device, known from shapes alone."""

from __future__ import annotations

from typing import Any

import optax
from jax.sharding import Mesh

from toner_jax.models import registry
from toner_jax.parallel.sharding import placed, state_shardings
from toner_jax.runs.view import Settings
from toner_jax.training import state as train_state


def placed_state(
    config: Settings, model: Any, tx: optax.GradientTransformation, mesh: Mesh
) -> train_state.State:
    """The shapes of a train state, with the shardings that `setup.create_state` gives its arrays."""
    shapes = train_state.abstract_state(registry.initializer(model), tx, config.dropout_prng)
    shardings = state_shardings(shapes, mesh, config.sharding, registry.of(model.config).sharding)
    state: train_state.State = placed(shapes, shardings)
    return state
