"""The memory of BERT's activations, estimated from its sizes."""

from __future__ import annotations

from toner_jax.models.activations import layer_bytes
from toner_jax.models.bert.config import BertConfig


def activation_bytes(config: BertConfig, rows: int, length: int, itemsize: int) -> float:
    """Bytes that a training step keeps of so many rows of this length; `itemsize`, of a number in the compute dtype."""
    c, cells = config, rows * config.num_attention_heads * length * length
    width = c.hidden_size
    return c.num_hidden_layers * layer_bytes(
        rows * length, cells, width, width, c.intermediate_size, itemsize
    )
