"""Replicas of a model on a mesh, each with rows of its own (data parallelism): whether each decodes on its own, and
which request lies where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from toner_jax.models.decoder import MakeDecoder, Seq2SeqDecoder
from toner_jax.parallel.activations import mesh_of, on_each_replica
from toner_jax.parallel.mesh import batch_divisor
from toner_jax.parallel.peak import memory_limit
from toner_jax.parallel.sharding import device_bytes

WHOLE, SPLIT = "whole", "split"  # values of `DecodeOptions.weights`
# The share of a device's memory that parameters as they are stored and whole weights may take: caches need little.
_SHARE = 0.75


def are_apart(make_decoder: MakeDecoder, params: Any, mesh: Mesh, weights: str) -> bool:
    """Whether each replica of the mesh decodes on its own.

    Args:
      params: arrays, or shapes with their shardings.
      weights: as `DecodeOptions` has it.
    """
    if batch_divisor(mesh) == 1 or weights == SPLIT:
        return False
    memory = memory_limit(mesh.devices.flat[0])
    if weights == WHOLE or memory is None:
        return True
    prepared = jax.eval_shape(lambda given: make_decoder(given).prepared(), params)
    whole: float = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(prepared))
    whole /= mesh.shape["tensor"]
    return device_bytes(params) + whole <= _SHARE * memory


def decode_on(
    function: Callable[[Any, Any], Any], decoder: Seq2SeqDecoder, others: Any, rows: Any, apart: bool
) -> Any:
    """`function((decoder, others), rows)` inside a program, of each replica on its own or of all in step.

    Args:
      others: what all rows share.
      rows: what is shared out, by its first dimension; so is what is returned.
      apart: as `are_apart` says.
    """
    whole = decoder.prepared(), others
    mesh = mesh_of(jax.tree.leaves(rows)[0]) if apart else None
    return function(whole, rows) if mesh is None else on_each_replica(function, mesh, whole, rows)


def dealt(count: int, requests: int, replicas: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `count` requests lies among `requests`, int [count], dealt like cards to the replicas, so that each
    has as many, of like lengths; and how many each replica has, int32 [replicas]."""
    number, each = np.arange(count), requests // replicas
    at = number % replicas * each + number // replicas
    return at, np.array([len(range(replica, count, replicas)) for replica in range(replicas)], np.int32)
