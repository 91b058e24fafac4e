"""AdamW with linear warm-up and linear decay, clipped by global norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import optax

from toner_jax.parallel.sharding import path_string


@dataclass(frozen=True)
class OptimizerOptions:
    """What the configuration says of an optimizer.

    Attributes:
      learning_rate: the peak of the schedule.
      warmup: the share of all steps over which the rate rises to it.
      weight_decay: decoupled; norms' scales and biases have none.
      beta2: of the second moments.
      clip_norm: gradients with a larger global norm are scaled down to it; 0 does not clip.
    """

    learning_rate: float
    warmup: float
    weight_decay: float
    beta2: float
    clip_norm: float


def make_schedule(options: OptimizerOptions, steps: int) -> optax.Schedule:
    """The learning rate by step of a training of so many."""
    return linear_schedule(options.learning_rate, steps, options.warmup)


def make_optimizer(options: OptimizerOptions, steps: int) -> optax.GradientTransformation:
    """The optimizer of a training of so many steps."""
    o, schedule = options, make_schedule(options, steps)
    return adamw(schedule, weight_decay=o.weight_decay, beta2=o.beta2, clip_norm=o.clip_norm)


def linear_schedule(peak: float, steps: int, warmup: float) -> optax.Schedule:
    """Learning rate by step: 0 → `peak` over `warmup`·`steps`, then linearly to 0 at `steps`."""
    rising = round(steps * warmup)
    falling = optax.linear_schedule(peak, 0.0, max(1, steps - rising))
    if not rising:
        return falling
    return optax.join_schedules([optax.linear_schedule(0.0, peak, rising), falling], [rising])


def decayed(params: Any) -> Any:
    """Which parameters weight decay applies to: all but norms' scales and biases."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: not path_string(path).endswith(("/scale", "/bias")), params
    )


def adamw(
    schedule: optax.Schedule, *, weight_decay: float, beta2: float, clip_norm: float
) -> optax.GradientTransformation:
    """Decoupled weight decay (Loshchilov and Hutter 2019) after clipping; `clip_norm` 0 does not clip."""
    clip = optax.clip_by_global_norm(clip_norm) if clip_norm else optax.identity()
    return optax.chain(clip, optax.adamw(schedule, b2=beta2, weight_decay=weight_decay, mask=decayed))
