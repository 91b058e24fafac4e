"""How a stack of equal layers is compiled and differentiated. What it computes is the same in every way, but for the
masks of dropout, which are others in a loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from toner_jax.parallel.sharding import path_string

# What the backward pass takes from the forward pass, and the rest of which it computes again: everything; products
# with weights; or the states between layers alone.
REMAT = ("none", "products", "full")
_POLICIES = {"products": jax.checkpoint_policies.dots_with_no_batch_dims_saveable, "full": None}


@dataclass(frozen=True)
class Stack:
    """The choice.

    Attributes:
      remat: of REMAT.
      scan: layers run in one loop, whose body is compiled once; or else each is compiled for itself, which is faster to
        run and takes longer to compile.
    """

    remat: str = "none"
    scan: bool = False


UNROLLED = Stack()


def recomputed(layer: type[nn.Module], stack: Stack, static_argnums: tuple[int, ...] = ()) -> Any:
    """A layer's class, with what its backward pass is to compute again; `static_argnums` of its call, self counted."""
    if stack.remat == "none":
        return layer
    return nn.remat(layer, static_argnums=static_argnums, policy=_POLICIES[stack.remat])


def in_a_loop(
    module: Any, layer: nn.Module, layers: int, x: jax.Array, given: tuple[Any, ...], draws: bool
) -> jax.Array:
    """States after the layers of a module, whose parameters are `layers_0`, …; they lie apart, as they do on disk, and
    are put together where they are cast.

    Args:
      module: with its `dtype` and `stack`.
      layer: of its layers' class, without a parent.
      given: what each layer takes after the states.
      draws: whether dropout draws.
    """

    def cast(path: Any, leaf: jax.Array) -> jax.Array:
        return leaf.astype(module.dtype) if path_string(path).endswith("kernel") else leaf

    apart = [
        jax.tree_util.tree_map_with_path(cast, module.variables["params"][f"layers_{i}"])
        for i in range(layers)
    ]
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *apart)
    keys = jax.random.split(module.make_rng("dropout"), layers) if draws else None

    def body(x: jax.Array, of_layer: tuple[Any, jax.Array | None]) -> tuple[Any, None]:
        params, key = of_layer
        rngs = None if key is None else {"dropout": key}
        return layer.apply({"params": params}, x, *given, rngs=rngs), None

    if module.stack.remat != "none":
        body = jax.checkpoint(body, policy=_POLICIES[module.stack.remat], prevent_cse=False)
    states: jax.Array = jax.lax.scan(body, x, (together, keys))[0]
    return states
