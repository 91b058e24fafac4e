"""BERT as the registry knows it."""

from __future__ import annotations

from typing import Any

from jax.sharding import PartitionSpec as P

from toner_jax.models.architecture import Architecture
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.flops import training_flops
from toner_jax.models.bert.hugging_face import LAYOUT
from toner_jax.models.bert.memory import activation_bytes
from toner_jax.models.bert.model import Bert
from toner_jax.models.tokenizer import WORDPIECE
from toner_jax.parallel.sharding import ShardingRules

SHARDING = ShardingRules(
    (
        (r"attention/(query|key|value)/kernel$", P("fsdp", "tensor")),
        (r"attention/out/kernel$", P("tensor", "fsdp")),
        (r"intermediate/kernel$", P("fsdp", "tensor")),
        (r"output/kernel$", P("tensor", "fsdp")),
        (r"word_embeddings/embedding$", P("tensor", "fsdp")),
        (r"position_embeddings/embedding$", P(None, "fsdp")),
        (r"token_type_embeddings/embedding$", P()),
        (r"pooler/kernel$", P("fsdp", "tensor")),
        (r"(scale|bias)$", P()),
    )
)


def scratch(**sizes: Any) -> BertConfig:
    """Without the pooler, which only published checkpoints carry."""
    return BertConfig(pooler=False, **sizes)


ARCHITECTURE = Architecture(
    kind="matcher",
    config=BertConfig,
    scratch=scratch,
    module=Bert,
    inputs=2,
    sharding=SHARDING,
    hf=LAYOUT,
    tokenizer=WORDPIECE,
    tokenizer_settings=lambda config: {
        "tokenizer_class": "BertTokenizer",
        "model_max_length": config.max_position_embeddings,
    },
    training_flops=training_flops,
    activation_bytes=activation_bytes,
)
