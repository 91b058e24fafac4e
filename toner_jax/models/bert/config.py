"""The sizes of one BERT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from toner_jax.errors import UserError


@dataclass(frozen=True)
class BertConfig:
    """One BERT variant; the names are Hugging Face's."""

    model_type: ClassVar[str] = "bert"

    vocab_size: int = 30522
    hidden_size: int = 384
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 1536
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    dropout_rate: float = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    pooler: bool = True  # mean pooling never uses it, but published checkpoints carry it

    @classmethod
    def gte(cls, size: str) -> BertConfig:
        """The published GTE sizes."""
        sizes = {
            "small": cls(),
            "base": cls(hidden_size=768, intermediate_size=3072),
            "large": cls(
                hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
            ),
        }
        if size not in sizes:
            raise UserError(f"GTE {size!r}: the sizes are {', '.join(sizes)}")
        return sizes[size]
