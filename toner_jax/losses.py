"""Equations 2, 4, 5 and 6 of the paper, in fp32.

Every function takes per-row weights so that padded rows of a batch count for nothing. Each divides a sum by a count,
that of its own rows unless it is given one: where a batch is computed in parts, the count is the whole batch's, and the
parts' losses add up to its loss.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

_NEVER = -1e9  # the logit of what an indicator excludes from a log-sum-exp


def generation_count(target_BT: jax.Array, weight_B: jax.Array, normalization: str = "token") -> jax.Array:
    """What `generation_loss` divides by: target tokens or, with "sequence", targets."""
    if normalization == "token":
        return jnp.sum((target_BT != 0) * weight_B[:, None])
    if normalization == "sequence":
        return jnp.sum(weight_B)
    raise ValueError(f"loss normalization {normalization!r}: 'token' or 'sequence'")


def generation_loss(
    logits_BTV: jax.Array,
    target_BT: jax.Array,
    weight: jax.Array,
    normalization: str = "token",
    count: jax.Array | None = None,
) -> jax.Array:
    """Eq. 2, L_g: negative log-likelihood of the target tokens; id 0 is padding.

    `normalization="token"` is the mean over all target tokens of the batch, as T5's own loss;
    `"sequence"` is the paper's sum over a target's tokens, averaged over the batch's targets.

    Args:
      weight: [B] or, where a row holds the tokens of several targets, [B, T]; then `count` must be given.
    """
    log_z = jax.nn.logsumexp(logits_BTV, axis=-1)
    # A sum over the vocabulary and not a lookup, whose gradient would be another array of the logits' size.
    found = jnp.arange(logits_BTV.shape[-1]) == target_BT[..., None]
    chosen = jnp.sum(jnp.where(found, logits_BTV, 0.0), axis=-1)
    real = (target_BT != 0) * (weight if weight.ndim > 1 else weight[:, None])
    total = jnp.sum((log_z - chosen) * real)
    if count is None:
        count = generation_count(target_BT, weight, normalization)
    return total / jnp.maximum(count, 1.0)


def type_matching_count(present_BK: jax.Array, weight_B: jax.Array, null: bool) -> jax.Array:
    """What `type_matching_loss` divides by: sentences with types or, where there is a `null_cosine`, all."""
    return jnp.sum(weight_B if null else weight_B * (jnp.sum(present_BK, axis=-1) > 0))


def type_matching_loss(
    cosine_BK: jax.Array,
    present_BK: jax.Array,
    weight_B: jax.Array,
    tau: float,
    null_cosine: float | None = None,
    count: jax.Array | None = None,
) -> jax.Array:
    """Eq. 4, L_m: for each type present in a sentence, its softmax cross-entropy over all types.

    Summed over a sentence's types and averaged over the sentences that have any; a batch without any
    gives 0, with zero gradient. With `null_cosine` (δ), e^{δ/τ} joins the denominator and sentences
    without types contribute log(1 + Σ e^{(cos − δ)/τ}): what is absent is pushed below the threshold.
    """
    scores = cosine_BK / tau
    present = present_BK.astype(jnp.float32)
    if null_cosine is None:
        log_z = jax.nn.logsumexp(scores, axis=-1, keepdims=True)
        row = jnp.sum((log_z - scores) * present, axis=-1)
        counted = weight_B * (jnp.sum(present, axis=-1) > 0)
    else:
        null = jnp.full_like(scores[:, :1], null_cosine / tau)
        log_z = jax.nn.logsumexp(jnp.concatenate([scores, null], axis=-1), axis=-1, keepdims=True)
        empty = jnp.sum(present, axis=-1) == 0
        row = jnp.sum((log_z - scores) * present, axis=-1) + empty * (log_z - null)[:, 0]
        counted = weight_B
    if count is None:
        count = type_matching_count(present, weight_B, null_cosine is not None)
    return jnp.sum(row * counted) / jnp.maximum(count, 1.0)


def type_classification_loss(
    logits_BK: jax.Array, present_BK: jax.Array, weight_B: jax.Array, count: jax.Array | None = None
) -> jax.Array:
    """Eq. 5, L_c: log(1 + Σ_present e^{−p}) + log(1 + Σ_absent e^{p}), averaged over the batch.

    A positive logit means present. The paper prints the opposite signs; that is the same loss with
    the logit negated, and would have positives pushed towards −∞.
    """
    present = present_BK.astype(bool)
    zero = jnp.zeros_like(logits_BK[:, :1])
    positive = jnp.concatenate([zero, jnp.where(present, -logits_BK, _NEVER)], axis=-1)
    negative = jnp.concatenate([zero, jnp.where(present, _NEVER, logits_BK)], axis=-1)
    row = jax.nn.logsumexp(positive, axis=-1) + jax.nn.logsumexp(negative, axis=-1)
    return jnp.sum(row * weight_B) / jnp.maximum(jnp.sum(weight_B) if count is None else count, 1.0)


def generator_loss(generation: jax.Array, classification: jax.Array, lambda_c: float) -> jax.Array:
    """Eq. 6: L = L_g + λ·L_c."""
    return generation + lambda_c * classification
