"""The `config.json` of Hugging Face folders, read into our configs and written from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toner_jax.errors import UserError
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.hf.files import CONFIG_FILE, read_json
from toner_jax.models.t5.config import T5Config

T5_TYPES = ("t5", "mt5")
BERT_TYPES = ("bert",)

# Positive integers that a config.json must give, under our names.
_T5_SIZES = ("vocab_size", "d_model", "d_kv", "d_ff", "num_heads", "num_layers")
_BERT_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)

# (our name, theirs, value where it is absent; its type is the type wanted).
_T5_OPTIONS: tuple[tuple[str, str, Any], ...] = (
    ("relative_attention_num_buckets", "relative_attention_num_buckets", 32),
    ("relative_attention_max_distance", "relative_attention_max_distance", 128),
    ("dropout_rate", "dropout_rate", 0.1),
    ("layer_norm_epsilon", "layer_norm_epsilon", 1e-6),
)
_BERT_OPTIONS: tuple[tuple[str, str, Any], ...] = (
    ("dropout_rate", "hidden_dropout_prob", 0.1),
    ("layer_norm_eps", "layer_norm_eps", 1e-12),
    ("initializer_range", "initializer_range", 0.02),
)

# What may be absent but may not say anything else; it is written as it stands.
_TOKENS: dict[str, Any] = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
_T5_FIXED: dict[str, Any] = {"is_encoder_decoder": True, **_TOKENS}
_BERT_FIXED: dict[str, Any] = {
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}

_GATED = {"relu": False, "gated-gelu": True}


def t5_config(folder: Path) -> T5Config:
    """The variant in a folder: T5, T5 v1.1, Flan-T5 or mT5.

    The output layer is tied to the embeddings where logits are scaled by d^-0.5, as T5 v1.0 does. Without
    that scale it is not, whether it has a tensor of its own (v1.1, Flan) or starts as the embeddings.

    Raises:
      UserError: no such file, another model type, or a variant of T5 that ours does not compute.
    """
    path, config = _read(folder, T5_TYPES, _T5_FIXED)
    sizes = _sizes(path, config, _T5_SIZES)
    decoder = _sizes(path, {"num_decoder_layers": sizes["num_layers"], **config}, ("num_decoder_layers",))
    projection = config.get("feed_forward_proj", "relu")
    if projection not in _GATED:
        raise UserError(
            f"{path}: feed_forward_proj {projection!r} is not supported, only {', '.join(_GATED)}"
        )
    return T5Config(
        **sizes,
        **decoder,
        **_options(path, config, _T5_OPTIONS),
        gated_gelu=_GATED[projection],
        tie_embeddings=_scales_outputs(config),
    )


def t5_json(config: T5Config) -> dict[str, Any]:
    """What `T5ForConditionalGeneration.from_pretrained` reads; `config.init` has no place there."""
    return {
        **_T5_FIXED,
        **{name: getattr(config, name) for name in (*_T5_SIZES, "num_decoder_layers")},
        **{theirs: getattr(config, ours) for ours, theirs, _ in _T5_OPTIONS},
        "feed_forward_proj": next(name for name, gated in _GATED.items() if gated == config.gated_gelu),
        # transformers 4 takes tying and scaling from the first key. Version 5 always ties, except where
        # the file holds two different tensors, and takes scaling from the second key, or else the first.
        "tie_word_embeddings": config.tie_embeddings,
        "scale_decoder_outputs": config.tie_embeddings,
        "model_type": "t5",
        "architectures": ["T5ForConditionalGeneration"],
    }


def t5_generation_json() -> dict[str, Any]:
    """What `generate` must know of a T5."""
    return dict(_TOKENS)


def bert_config(folder: Path, pooler: bool) -> BertConfig:
    """The BERT in a folder. Ours has one dropout rate: `hidden_dropout_prob` serves attention too.

    Raises:
      UserError: no such file, another model type, or a variant of BERT that ours does not compute.
    """
    path, config = _read(folder, BERT_TYPES, _BERT_FIXED)
    sizes = _sizes(path, config, _BERT_SIZES)
    return BertConfig(**sizes, **_options(path, config, _BERT_OPTIONS), pooler=pooler)


def bert_json(config: BertConfig) -> dict[str, Any]:
    """What `BertModel.from_pretrained` reads."""
    return {
        **_BERT_FIXED,
        **{name: getattr(config, name) for name in _BERT_SIZES},
        **{theirs: getattr(config, ours) for ours, theirs, _ in _BERT_OPTIONS},
        "attention_probs_dropout_prob": config.dropout_rate,
        "pad_token_id": 0,
        "model_type": "bert",
        "architectures": ["BertModel"],
    }


def architecture(folder: Path) -> str:
    """ "t5" or "bert".

    Raises:
      UserError: no such file, or a model of another type.
    """
    _, config = _read(folder, (*T5_TYPES, *BERT_TYPES), {})
    return "t5" if config["model_type"] in T5_TYPES else "bert"


def scales_outputs(folder: Path) -> bool:
    """Whether the T5 in a folder multiplies its last states by d^-0.5; errors as in `t5_config`."""
    return _scales_outputs(_read(folder, T5_TYPES, _T5_FIXED)[1])


def _scales_outputs(config: Mapping[str, Any]) -> bool:
    if config["model_type"] == "mt5":
        return False
    # transformers' own rule, and all that `tie_word_embeddings` still means there.
    return bool(config.get("scale_decoder_outputs", config.get("tie_word_embeddings") is not False))


def _read(folder: Path, types: tuple[str, ...], fixed: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    path = folder / CONFIG_FILE
    config = read_json(path)
    if config.get("model_type") not in types:
        found = config.get("model_type")
        raise UserError(f"{path}: model_type {found!r} is not supported here, only {', '.join(types)}")
    for key, value in fixed.items():
        if config.get(key, value) != value:
            raise UserError(f"{path}: {key} {config[key]!r} is not supported, only {value!r}")
    return path, config


def _sizes(path: Path, config: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    for name in names:
        if name not in config:
            raise UserError(f"{path}: lacks {name}")
        if type(config[name]) is not int or config[name] < 1:
            raise UserError(f"{path}: {name} must be a positive integer, not {config[name]!r}")
    return {name: config[name] for name in names}


def _options(path: Path, config: Mapping[str, Any], rows: tuple[tuple[str, str, Any], ...]) -> dict[str, Any]:
    values = {}
    for ours, theirs, default in rows:
        value = config.get(theirs, default)
        if type(value) not in (int, type(default)):
            raise UserError(f"{path}: {theirs} must be a number like {default}, not {value!r}")
        values[ours] = value
    return values
