"""How many parameters the published checkpoints hold, and how many ours have; no memory is used."""

from __future__ import annotations

import oracles

from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.model import Bert
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.model import T5
from toner_jax.training.state import count_parameters

T5_V1_0_SMALL = T5Config(
    d_ff=2048, num_layers=6, num_decoder_layers=6, num_heads=8, gated_gelu=False, tie_embeddings=True
)
PUBLISHED: dict[str, tuple[T5Config | BertConfig, int]] = {
    "Flan-T5 small": (T5Config.flan("small"), 76_961_152),
    "Flan-T5 base": (T5Config.flan("base"), 247_577_856),
    "Flan-T5 large": (T5Config.flan("large"), 783_150_080),
    "Flan-T5 xl": (T5Config.flan("xl"), 2_849_757_184),
    "Flan-T5 xxl": (T5Config.flan("xxl"), 11_135_332_352),
    "T5 v1.0 small": (T5_V1_0_SMALL, 60_506_624),
    "GTE small": (BertConfig.gte("small"), 33_360_000),
    "GTE base": (BertConfig.gte("base"), 109_482_240),
    "GTE large": (BertConfig.gte("large"), 335_141_888),
}


def counted(name: str) -> int:
    """Parameters of our model of that name; BERT's with its pooler."""
    config, _ = PUBLISHED[name]
    if isinstance(config, T5Config):
        return count_parameters(oracles.t5_shapes(T5(config)))
    return count_parameters(oracles.bert_shapes(Bert(config)))
