"""The compute of T5's training, counted from its sizes."""

from __future__ import annotations

from toner_jax.models.flops import TRAINING
from toner_jax.models.t5.config import T5Config


def training_flops(config: T5Config, source: float, target: float) -> float:
    """FLOPs of a training step for one example of so many source and target positions.

    Matrix products alone are counted, each once: what remat computes again is no part of a model's FLOPs. The decoder's
    self-attention counts half, since a position sees only those before it.
    """
    return token_flops(config, source, target) + attention_flops(config, source, target)


def token_flops(config: T5Config, source: float, target: float) -> float:
    """The part of `training_flops` that takes each token for itself: of so many in all."""
    c = config
    d, a, s, t = c.d_model, c.num_heads * c.d_kv, source, target
    feed_forward = (3 if c.gated_gelu else 2) * d * c.d_ff
    encoder = 2 * s * (4 * d * a + feed_forward)
    # Queries, keys, values and outputs of self-attention, queries and outputs of cross-attention; then the latter's
    # keys and values, which are the source's.
    decoder = 2 * t * (6 * d * a + feed_forward) + 2 * s * 2 * d * a
    logits = 2 * t * d * c.vocab_size
    return TRAINING * (c.num_layers * encoder + c.num_decoder_layers * decoder + logits)


def attention_flops(config: T5Config, source: float, target: float) -> float:
    """The part of `training_flops` that takes tokens in pairs: of one example."""
    a, s, t = config.num_heads * config.d_kv, source, target
    encoder, decoder = 4 * s * s * a, 2 * t * t * a + 4 * s * t * a
    return TRAINING * (config.num_layers * encoder + config.num_decoder_layers * decoder)
