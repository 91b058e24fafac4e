"""The train state: a plain dict of arrays, born sharded.

{"step": int32 [], "params": …, "opt_state": …, "rng": key data, uint32 [2] of threefry and [4] of rbg}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from toner_jax.parallel.sharding import ShardingRules, gradient_shardings, state_shardings
from toner_jax.training.optimizer import skippable

# What draws dropout's masks: JAX's own generator, whose numbers depend on nothing but the key; or that of the device.
THREEFRY, RBG = "threefry", "rbg"

State = dict[str, Any]


class Seed(NamedTuple):
    """What a training's random numbers begin with: `value`, and what draws dropout's masks, THREEFRY or RBG."""

    value: int
    dropout_prng: str = THREEFRY


Loss = Callable[[Any, Mapping[str, jax.Array], jax.Array], tuple[jax.Array, dict[str, jax.Array]]]


def abstract_state(
    init: Callable[[jax.Array], Any], tx: optax.GradientTransformation, dropout_prng: str = THREEFRY
) -> State:
    """Shapes and dtypes of the state; no memory is used."""
    shapes: State = jax.eval_shape(lambda: _create(init, tx, jax.random.key(0), dropout_prng))
    return shapes


def create_state(
    init: Callable[[jax.Array], Any],
    tx: optax.GradientTransformation,
    seed: Seed,
    mesh: Mesh,
    preset: str,
    rules: ShardingRules,
    load: Callable[[Any, Any], Any] | None = None,
) -> State:
    """A state whose every array is created where it will live.

    Args:
      init: key → parameters.
      preset, rules: how it is sharded (`toner_jax.parallel.sharding.state_shardings`).
      load: optionally (shapes, shardings) → parameters; what it returns replaces the random ones by path,
        and parameters it does not give (a new type head) stay random.
    """
    dropout_prng = seed.dropout_prng
    shapes = abstract_state(init, tx, dropout_prng)
    shardings = state_shardings(shapes, mesh, preset, rules)
    key = jax.random.key(seed.value)
    if load is None:
        born: State = jax.jit(lambda k: _create(init, tx, k, dropout_prng), out_shardings=shardings)(key)
        return born
    loaded = load(shapes["params"], shardings["params"])

    def create(k: jax.Array, given: Any) -> State:
        random = init(k)
        params = {name: given.get(name, value) for name, value in random.items()}
        return _assemble(params, tx, k, dropout_prng)

    state: State = jax.jit(create, out_shardings=shardings)(key, loaded)
    return state


def _create(
    init: Callable[[jax.Array], Any], tx: optax.GradientTransformation, key: jax.Array, dropout_prng: str
) -> State:
    return _assemble(init(key), tx, key, dropout_prng)


def _assemble(params: Any, tx: optax.GradientTransformation, key: jax.Array, dropout_prng: str) -> State:
    dropout = jax.random.key_data(jax.random.fold_in(key, 1))
    if dropout_prng == RBG:
        dropout = jnp.concatenate([dropout, dropout])  # as jax.random.key makes one of a seed
    return {
        "step": jnp.zeros((), jnp.int32),
        "params": params,
        "opt_state": tx.init(params),
        "rng": dropout,
    }


class Accumulation(NamedTuple):
    """Gradient accumulation: a batch is computed in `parts`, one after the other, whose gradients are summed.

    Attributes:
      counts: of a whole batch, what its losses are divided by: more entries of the batch for the loss of each part, so
        that their sum is the loss of the whole.
    """

    parts: int
    counts: Callable[[Mapping[str, jax.Array]], dict[str, jax.Array]]


def make_train_step(
    loss: Loss, tx: optax.GradientTransformation, state: State, accumulation: Accumulation | None = None
) -> jax.stages.Wrapped:
    """(state, batch) → (state, metrics), jitted; the state keeps its shardings and is donated.

    Args:
      loss: (params, batch, dropout key) → (scalar, metrics with "loss"). The key depends on (seed, step).
      accumulation: None computes a batch at once. Its parts must be of equal size on every place of the mesh.

    A step whose loss or gradient is not finite (NaN or ±inf) changes nothing but the step; its metric
    `skipped` is True.
    """
    shardings = jax.tree.map(lambda x: x.sharding, state)
    gradients = _gradients(loss, gradient_shardings(state), accumulation)

    impl = {2: "threefry2x32", 4: "rbg"}[state["rng"].shape[0]]

    def step(state: State, batch: Mapping[str, jax.Array]) -> tuple[State, dict[str, jax.Array]]:
        key = jax.random.fold_in(jax.random.wrap_key_data(state["rng"], impl=impl), state["step"])
        grads, metrics = gradients(state["params"], batch, key)
        params, norm = state["params"], optax.global_norm(grads)
        finite = jnp.isfinite(norm) & jnp.isfinite(metrics["loss"])
        updates, opt_state = skippable(tx).update(grads, state["opt_state"], params, finite=finite)
        new = {
            "step": state["step"] + 1,
            "params": optax.tree.where(finite, optax.apply_updates(params, updates), params),
            "opt_state": opt_state,
            "rng": state["rng"],
        }
        return new, {**metrics, "gradient_norm": norm, "skipped": ~finite}

    return jax.jit(step, donate_argnums=0, out_shardings=(shardings, None))


def _gradients(loss: Loss, shardings: Any, accumulation: Accumulation | None) -> Callable[..., Any]:
    """(params, batch, key) → the gradients of a batch, where they are reduced to, and its metrics."""

    def at_once(params: Any, batch: Mapping[str, jax.Array], key: jax.Array) -> tuple[Any, Any]:
        grads, metrics = jax.grad(loss, has_aux=True)(params, batch, key)
        return jax.lax.with_sharding_constraint(grads, shardings), metrics

    if accumulation is None or accumulation.parts == 1:
        return at_once
    parts, counts = accumulation

    def in_parts(params: Any, batch: Mapping[str, jax.Array], key: jax.Array) -> tuple[Any, Any]:
        # Every parts-th group of rows is of the same part, so that each place of the mesh keeps its rows.
        groups = min(len(x) for x in batch.values())

        def split(x: jax.Array) -> jax.Array:
            dealt = jnp.moveaxis(x.reshape(groups // parts, parts, len(x) // groups, *x.shape[1:]), 1, 0)
            return dealt.reshape(parts, len(x) // parts, *x.shape[1:])

        rows = jax.tree.map(split, dict(batch))
        whole = counts(batch)

        def one(number: jax.Array | int, part: Mapping[str, jax.Array]) -> tuple[Any, Any]:
            return at_once(params, {**part, **whole}, jax.random.fold_in(key, number))

        def add(total: Any, given: tuple[jax.Array, Any]) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, one(*given)), None

        shapes = jax.eval_shape(one, 0, jax.tree.map(lambda x: x[0], rows))
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        summed: tuple[Any, Any] = jax.lax.scan(add, zeros, (jnp.arange(parts), rows))[0]
        return summed

    return in_parts


def count_parameters(params: Any) -> int:
    return sum(x.size for x in jax.tree.leaves(params))
