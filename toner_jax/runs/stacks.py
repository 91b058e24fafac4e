"""How a training's layers are compiled, and what its backward pass computes again: as asked, or as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax.sharding import Mesh

from toner_jax.common.console import in_bytes, say
from toner_jax.models import registry
from toner_jax.models.activations import GRADIENTS, KEPT
from toner_jax.models.stacks import REMAT, Stack
from toner_jax.parallel.peak import memory_limit
from toner_jax.parallel.sharding import device_bytes
from toner_jax.pipeline.batching import Shape
from toner_jax.pipeline.unpadding import Room
from toner_jax.runs.view import Settings

_AUTO = "auto"
_SHARE = 0.9  # of a device's memory that estimates may take


def generator_stack(
    section: Settings, model: Any, state: Any, mesh: Mesh, rows: int, rooms: Sequence[tuple[Shape, Room]]
) -> Stack:
    """Of a generator, for batches of so many rows.

    Args:
      state: its train state, or the shapes of one with their shardings.
      rooms: the shapes of batches, each with the source and target tokens of all its rows.
    """
    return _stack(
        section,
        model,
        state,
        mesh,
        lambda count, size: max(count(model.config, rows, shape, tokens, size) for shape, tokens in rooms),
    )


def matcher_stack(
    section: Settings, model: Any, state: Any, mesh: Mesh, batches: Sequence[tuple[int, int]]
) -> Stack:
    """Of a type matching model, whose step encodes `batches` of so many rows and positions each."""
    return _stack(
        section,
        model,
        state,
        mesh,
        lambda count, size: sum(count(model.config, rows, length, size) for rows, length in batches),
    )


def _stack(section: Settings, model: Any, state: Any, mesh: Mesh, kept: Callable[[Any, int], float]) -> Stack:
    """`kept`: (the architecture's `activation_bytes`, bytes of a number) → bytes of all activations."""
    architecture = registry.of(model.config)
    remat = section.remat
    if remat == _AUTO:
        count, size = architecture.activation_bytes, jnp.dtype(model.dtype).itemsize
        remat = (
            _chosen(architecture.kind, section, kept(count, size), model, state, mesh) if count else REMAT[0]
        )
    return Stack(remat, section.scan_layers)


def _chosen(name: str, section: Settings, kept: float, model: Any, state: Any, mesh: Mesh) -> str:
    """The first of REMAT that fits, or the last."""
    limit = memory_limit(mesh.devices.flat[0])
    if limit is None:
        return REMAT[0]
    kept /= mesh.size * section.microbatches
    held = device_bytes(state)
    size = jnp.dtype(model.dtype).itemsize
    beside = held + GRADIENTS * device_bytes(state["params"]) * size / 4
    fitting = [remat for remat in REMAT if beside + KEPT[remat] * kept <= _SHARE * limit]
    chosen = fitting[0] if fitting else REMAT[-1]
    if chosen != REMAT[0]:
        say(
            f"{name}: activations of about {in_bytes(kept)} do not fit beside {in_bytes(held)} of parameters and "
            f"moments in {in_bytes(limit)}; remat={chosen}"
        )
    return chosen
