"""AdamW with linear warm-up and linear decay, clipped by global norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from toner_jax.parallel.sharding import path_string


@dataclass(frozen=True)
class OptimizerOptions:
    """What the configuration says of an optimizer.

    Attributes:
      learning_rate: the peak of the schedule.
      warmup: the share of all steps over which the rate rises to it.
      weight_decay: decoupled.
      decay_all: whether norms' scales and biases have it, too.
      beta2: of the second moments.
      clip_norm: gradients with a larger global norm are scaled down to it; 0 does not clip.
    """

    learning_rate: float
    warmup: float
    weight_decay: float
    beta2: float
    clip_norm: float
    decay_all: bool = False


def make_schedule(options: OptimizerOptions, steps: int) -> optax.Schedule:
    """The learning rate by step of a training of so many."""
    return linear_schedule(options.learning_rate, steps, options.warmup)


def make_optimizer(options: OptimizerOptions, steps: int) -> Skippable:
    """The optimizer of a training of so many steps."""
    o, schedule = options, make_schedule(options, steps)
    return adamw(
        schedule,
        weight_decay=o.weight_decay,
        beta2=o.beta2,
        clip_norm=o.clip_norm,
        decay_all=o.decay_all,
    )


def linear_schedule(peak: float, steps: int, warmup: float) -> optax.Schedule:
    """Learning rate by step: 0 → `peak` over `warmup`·`steps`, then linearly to 0 at `steps`."""
    rising = round(steps * warmup)
    falling = optax.linear_schedule(peak, 0.0, max(1, steps - rising))
    if not rising:
        return falling
    return optax.join_schedules([optax.linear_schedule(0.0, peak, rising), falling], [rising])


def decayed(params: Any) -> Any:
    """Which parameters weight decay applies to by default: all but norms' scales and biases."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: not path_string(path).endswith(("/scale", "/bias")), params
    )


class Skippable(optax.GradientTransformationExtraArgs):  # type: ignore[misc]
    """An optimizer whose update takes `finite`, bool []: where it is False, the state stays as it is."""


def skippable(tx: optax.GradientTransformation) -> Skippable:
    """Any optimizer of optax as one."""
    if isinstance(tx, Skippable):
        return tx

    def update(grads: Any, state: Any, params: Any = None, *, finite: jax.Array) -> tuple[Any, Any]:
        updates, new = tx.update(grads, state, params)
        return updates, optax.tree.where(finite, new, state)

    return Skippable(tx.init, update)


def adamw(
    schedule: optax.Schedule, *, weight_decay: float, beta2: float, clip_norm: float, decay_all: bool = False
) -> Skippable:
    """Decoupled weight decay (Loshchilov and Hutter 2019), of the parameters of `decayed` or of all, after clipping;
    `clip_norm` 0 does not clip."""
    clip = optax.clip_by_global_norm(clip_norm) if clip_norm else optax.identity()
    decay = optax.add_decayed_weights(weight_decay, mask=None if decay_all else decayed)
    rate = skippable(optax.scale_by_learning_rate(schedule))
    return Skippable(*optax.chain(clip, optax.chain(_adam(beta2), decay, rate)))


def _adam(beta2: float) -> Skippable:
    """`optax.scale_by_adam`, bit for bit, whose moments are written in place on a CPU, too.

    There XLA makes one kernel of a parameter's update and one of each moment's. As optax writes it, the first reads the
    old moments, so that both are copied before they are overwritten. Here it reads the new ones, which a barrier keeps
    from being computed a second time. Elsewhere one kernel does all three, and a barrier would cost it a pass.
    """
    beta1, epsilon = 0.9, 1e-8
    adam = optax.scale_by_adam(b1=beta1, b2=beta2, eps=epsilon)

    def update(grads: Any, state: Any, params: Any = None, *, finite: jax.Array) -> tuple[Any, Any]:
        new = optax.tree.where(finite, adam.update(grads, state)[1], state)
        new = jax.lax.platform_dependent(new, cpu=jax.lax.optimization_barrier, default=lambda x: x)
        mu = optax.tree.bias_correction(new.mu, beta1, new.count)
        nu = optax.tree.bias_correction(new.nu, beta2, new.count)
        return jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + epsilon), mu, nu), new

    return Skippable(adam.init, update)
