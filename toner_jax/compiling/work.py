"""The compute of an encoder, counted from its sizes; that of T5 is counted in `toner_jax.models.t5.flops`."""

from __future__ import annotations

from toner_jax.models.bert.config import BertConfig

TRAINING = 3  # a product's forward pass, and the gradients of its two factors


def encoder_flops(sizes: BertConfig, length: int) -> float:
    """FLOPs of the forward pass for one text of so many positions: matrix products alone."""
    width, inner = sizes.hidden_size, sizes.intermediate_size
    layer = 2 * length * (4 * width * width + 2 * width * inner) + 4 * length * length * width
    return float(sizes.num_hidden_layers * layer)
