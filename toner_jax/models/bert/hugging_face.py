"""BERT in Hugging Face's layout."""

from __future__ import annotations

from typing import Any

import numpy as np

from toner_jax.models.bert.config import BertConfig
from toner_jax.models.hf.config import ConfigFile, Options
from toner_jax.models.hf.layout import Layout
from toner_jax.models.hf.names import Names, named_tensors

NAMES = Names(
    modules=(
        (r"(word|position|token_type)_embeddings", r"embeddings.\1_embeddings"),
        (r"embeddings_norm", r"embeddings.LayerNorm"),
        (r"layers_(\d+)/attention/(query|key|value)", r"encoder.layer.\1.attention.self.\2"),
        (r"layers_(\d+)/attention/out", r"encoder.layer.\1.attention.output.dense"),
        (r"layers_(\d+)/attention_norm", r"encoder.layer.\1.attention.output.LayerNorm"),
        (r"layers_(\d+)/(intermediate|output)", r"encoder.layer.\1.\2.dense"),
        (r"layers_(\d+)/output_norm", r"encoder.layer.\1.output.LayerNorm"),
        (r"pooler", r"pooler.dense"),
    ),
    renamed=(
        (r"^bert\.", ""),
        (r"LayerNorm\.gamma$", "LayerNorm.weight"),
        (r"LayerNorm\.beta$", "LayerNorm.bias"),
    ),
    # Positions 0, 1, … as a buffer, and the heads of pre-training.
    unused=(r"embeddings\.position_ids", r"cls\..+"),
)

_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)
_OPTIONS: Options = (
    ("dropout_rate", "hidden_dropout_prob", 0.1),
    ("layer_norm_eps", "layer_norm_eps", 1e-12),
    ("initializer_range", "initializer_range", 0.02),
)
# What may be absent but may not say anything else; it is written as it stands.
_FIXED: dict[str, Any] = {
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}


def read_config(file: ConfigFile) -> BertConfig:
    """The BERT of a folder, with a pooler if its tensors are there. Ours has one dropout rate:
    `hidden_dropout_prob` serves attention too.

    Raises:
      UserError: a variant of BERT that ours does not compute, or damaged tensors.
    """
    return config_of(file, pooler="pooler.dense.weight" in named_tensors(file.folder, NAMES))


def config_of(file: ConfigFile, pooler: bool) -> BertConfig:
    """What config.json says, which does not tell whether there is a pooler; errors as `read_config`."""
    file.require(_FIXED)
    return BertConfig(**file.sizes(_SIZES), **file.options(_OPTIONS), pooler=pooler)


def config_json(config: BertConfig) -> dict[str, Any]:
    """What `BertModel.from_pretrained` reads."""
    return {
        **_FIXED,
        **{name: getattr(config, name) for name in _SIZES},
        **{theirs: getattr(config, ours) for ours, theirs, _ in _OPTIONS},
        "attention_probs_dropout_prob": config.dropout_rate,
        "pad_token_id": 0,
        "model_type": config.model_type,
        "architectures": ["BertModel"],
    }


def stored(params: dict[str, Any], config: BertConfig) -> dict[str, Any]:
    """The parameters with a pooler: where there is none, zeros stand for it. `AutoModel` always makes one, which
    mean pooling never reads, and would warn of random weights."""
    if config.pooler:
        return params
    width = config.hidden_size
    zeros = {"kernel": np.zeros((width, width), np.float32), "bias": np.zeros(width, np.float32)}
    return {**params, "pooler": zeros}


LAYOUT = Layout(names=NAMES, read_config=read_config, config_json=config_json, stored=stored)
