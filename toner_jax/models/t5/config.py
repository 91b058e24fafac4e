"""The sizes of one T5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from toner_jax.errors import UserError


@dataclass(frozen=True)
class T5Config:
    """One T5 variant; the names are Hugging Face's where theirs are clear."""

    model_type: ClassVar[str] = "t5"  # of mT5 too, which computes the same

    vocab_size: int = 32128
    d_model: int = 512
    d_kv: int = 64
    d_ff: int = 1024
    num_layers: int = 8
    num_decoder_layers: int = 8
    num_heads: int = 6
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    dropout_rate: float = 0.1
    layer_norm_epsilon: float = 1e-6
    gated_gelu: bool = True
    tie_embeddings: bool = False
    init: str = "t5"  # of random weights: toner_jax.models.t5.architecture.INITIALIZATIONS

    @classmethod
    def flan(cls, size: str) -> T5Config:
        """The published Flan-T5 sizes."""
        sizes = {
            "small": cls(),
            "base": cls(d_model=768, d_ff=2048, num_layers=12, num_decoder_layers=12, num_heads=12),
            "large": cls(d_model=1024, d_ff=2816, num_layers=24, num_decoder_layers=24, num_heads=16),
            "xl": cls(d_model=2048, d_ff=5120, num_layers=24, num_decoder_layers=24, num_heads=32),
            "xxl": cls(d_model=4096, d_ff=10240, num_layers=24, num_decoder_layers=24, num_heads=64),
        }
        if size not in sizes:
            raise UserError(f"Flan-T5 {size!r}: the sizes are {', '.join(sizes)}")
        return sizes[size]
