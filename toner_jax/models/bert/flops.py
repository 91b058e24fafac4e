"""The compute of a BERT-style encoder, counted from its sizes."""

from __future__ import annotations

from toner_jax.models.bert.config import BertConfig
from toner_jax.models.flops import TRAINING


def forward_flops(config: BertConfig, length: float) -> float:
    """FLOPs of the forward pass for one text of so many positions: matrix products alone."""
    width, inner = config.hidden_size, config.intermediate_size
    layer = 2 * length * (4 * width * width + 2 * width * inner) + 4 * length * length * width
    return config.num_hidden_layers * layer


def training_flops(config: BertConfig, length: float) -> float:
    """FLOPs of a training step for one text."""
    return TRAINING * forward_flops(config, length)
