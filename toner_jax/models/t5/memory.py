"""The memory of T5's activations, estimated from its sizes."""

from __future__ import annotations

from toner_jax.models.activations import layer_bytes
from toner_jax.models.t5.config import T5Config


def activation_bytes(
    config: T5Config, rows: int, shape: tuple[int, int], tokens: tuple[float, float], itemsize: int
) -> float:
    """Bytes that a training step keeps of a batch.

    Args:
      rows: examples.
      shape: source and target cells of a row; `tokens`, of all rows.
      itemsize: bytes of a number in the compute dtype.
    """
    c, (s, t), (source, target) = config, shape, tokens
    inner, pairs = c.num_heads * c.d_kv, rows * c.num_heads
    encoder = layer_bytes(source, pairs * s * s, c.d_model, inner, c.d_ff, itemsize)
    decoder = layer_bytes(target, pairs * (t * t + t * s), c.d_model, inner, c.d_ff, itemsize)
    # Cross-attention: queries and outputs of the target, keys and values of the source.
    cross = layer_bytes(target, 0, c.d_model, inner, 0, itemsize) + itemsize * 2 * inner * source
    logits = 4 * target * c.vocab_size
    return c.num_layers * encoder + c.num_decoder_layers * (decoder + cross) + logits
