"""The FLOPs of a training's batches, of which MFU is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from toner_jax.models import registry
from toner_jax.pipeline.batching import HostBatch
from toner_jax.training.throughput import Compute, compute_of


def generator_compute(model: Any, mesh: Mesh) -> Compute | None:
    """That of a generator, by the real tokens of each source and target; None for an architecture that counts none."""
    count = registry.of(model.config).training_flops
    if count is None:
        return None

    def flops(batch: HostBatch) -> float:
        real = batch.arrays["weight"] > 0
        lengths = (batch.lengths[side][real].astype(float) for side in ("source", "target"))
        return float(np.sum(count(model.config, *lengths)))

    return compute_of(flops, mesh, model.dtype)


def matcher_compute(model: Any, descriptions: Sequence[np.ndarray], mesh: Mesh) -> Compute | None:
    """That of a type matching model, whose step encodes the descriptions of all types besides."""
    count = registry.of(model.config).training_flops
    if count is None:
        return None
    types = sum(float(count(model.config, len(ids))) for ids in descriptions)

    def flops(batch: HostBatch) -> float:
        real = batch.arrays["weight"] > 0
        return float(np.sum(count(model.config, batch.lengths["ids"][real].astype(float)))) + types

    return compute_of(flops, mesh, model.dtype)
