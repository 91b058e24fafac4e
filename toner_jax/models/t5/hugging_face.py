"""T5, Flan-T5 and mT5 in Hugging Face's layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from toner_jax.errors import UserError
from toner_jax.models.hf.config import ConfigFile, Options
from toner_jax.models.hf.files import StoredTensor
from toner_jax.models.hf.layout import Layout
from toner_jax.models.hf.names import Names, named_tensors
from toner_jax.models.t5.config import T5Config

_STACK = r"(encoder|decoder)"
_PROJECTION = r"([qkvo])(?:uery|ey|alue|ut)"  # query → q, key → k, value → v, out → o

NAMES = Names(
    modules=(
        (r"(shared|lm_head)", r"\1"),
        (rf"{_STACK}/final_norm", r"\1.final_layer_norm"),
        # One table of biases serves every layer of a stack; it is stored with the first.
        (rf"{_STACK}/relative_attention_bias", r"\1.block.0.layer.0.SelfAttention.relative_attention_bias"),
        (rf"{_STACK}/layers_(\d+)/self_attention_norm", r"\1.block.\2.layer.0.layer_norm"),
        (rf"{_STACK}/layers_(\d+)/self_attention/{_PROJECTION}", r"\1.block.\2.layer.0.SelfAttention.\3"),
        (r"decoder/layers_(\d+)/cross_attention_norm", r"decoder.block.\1.layer.1.layer_norm"),
        (
            rf"decoder/layers_(\d+)/cross_attention/{_PROJECTION}",
            r"decoder.block.\1.layer.1.EncDecAttention.\2",
        ),
        (r"encoder/layers_(\d+)/feed_forward_norm", r"encoder.block.\1.layer.1.layer_norm"),
        (r"decoder/layers_(\d+)/feed_forward_norm", r"decoder.block.\1.layer.2.layer_norm"),
        (r"encoder/layers_(\d+)/feed_forward/(w\w+)", r"encoder.block.\1.layer.1.DenseReluDense.\2"),
        (r"decoder/layers_(\d+)/feed_forward/(w\w+)", r"decoder.block.\1.layer.2.DenseReluDense.\2"),
    ),
    copies={
        "encoder.embed_tokens.weight": "shared.weight",
        "decoder.embed_tokens.weight": "shared.weight",
    },
    # The first conversions of T5 carried a second table of biases; T5 has none in cross-attention.
    unused=(r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",),
    ours_alone=("type_head",),
)

_SIZES = ("vocab_size", "d_model", "d_kv", "d_ff", "num_heads", "num_layers")
_OPTIONS: Options = (
    ("relative_attention_num_buckets", "relative_attention_num_buckets", 32),
    ("relative_attention_max_distance", "relative_attention_max_distance", 128),
    ("dropout_rate", "dropout_rate", 0.1),
    ("layer_norm_epsilon", "layer_norm_epsilon", 1e-6),
)
# What may be absent but may not say anything else; it is written as it stands.
_TOKENS: dict[str, Any] = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
_FIXED: dict[str, Any] = {"is_encoder_decoder": True, **_TOKENS}
_GATED = {"relu": False, "gated-gelu": True}


def read_config(file: ConfigFile) -> T5Config:
    """The variant: T5, T5 v1.1, Flan-T5 or mT5.

    The output layer is tied to the embeddings where logits are scaled by d^-0.5, as T5 v1.0 does. Without
    that scale it is not, whether it has a tensor of its own (v1.1, Flan) or starts as the embeddings.

    Raises:
      UserError: a variant of T5 that ours does not compute.
    """
    file.require(_FIXED)
    sizes = file.sizes(_SIZES)
    projection = file.values.get("feed_forward_proj", "relu")
    layers = file.size("num_decoder_layers", sizes["num_layers"])
    if projection not in _GATED:
        raise UserError(
            f"{file.path}: feed_forward_proj {projection!r} is not supported, only {', '.join(_GATED)}"
        )
    return T5Config(
        **sizes,
        num_decoder_layers=layers,
        **file.options(_OPTIONS),
        gated_gelu=_GATED[projection],
        tie_embeddings=_scales_outputs(file),
    )


def config_json(config: T5Config) -> dict[str, Any]:
    """What `T5ForConditionalGeneration.from_pretrained` reads; `config.init` has no place there."""
    return {
        **_FIXED,
        **{name: getattr(config, name) for name in (*_SIZES, "num_decoder_layers")},
        **{theirs: getattr(config, ours) for ours, theirs, _ in _OPTIONS},
        "feed_forward_proj": next(name for name, gated in _GATED.items() if gated == config.gated_gelu),
        # transformers 4 takes tying and scaling from the first key. Version 5 always ties, except where
        # the file holds two different tensors, and takes scaling from the second key, or else the first.
        "tie_word_embeddings": config.tie_embeddings,
        "scale_decoder_outputs": config.tie_embeddings,
        "model_type": config.model_type,
        "architectures": ["T5ForConditionalGeneration"],
    }


def read_tensors(folder: Path, names: Names) -> dict[str, StoredTensor]:
    """A folder's tensors: a tied output layer is left out, an untied one that is not stored is the embeddings."""
    if _scales_outputs(ConfigFile.read(folder)):
        copies = {**names.copies, "lm_head.weight": "shared.weight"}
        return named_tensors(folder, replace(names, copies=copies))
    tensors = named_tensors(folder, names)
    if "shared.weight" in tensors:
        tensors.setdefault("lm_head.weight", tensors["shared.weight"])
    return tensors


def stored(params: dict[str, Any], config: T5Config) -> dict[str, Any]:
    """The parameters as they are.

    Raises:
      ValueError: their output layer is tied and the config's is not, or the other way round.
    """
    if config.tie_embeddings == ("lm_head" in params):
        raise ValueError(f"tie_embeddings={config.tie_embeddings} is not what the parameters say")
    return params


def _scales_outputs(file: ConfigFile) -> bool:
    """Whether the last states are multiplied by d^-0.5."""
    if file.values["model_type"] == "mt5":
        return False
    # transformers' own rule, and all that `tie_word_embeddings` still means there.
    return bool(file.values.get("scale_decoder_outputs", file.values.get("tie_word_embeddings") is not False))


LAYOUT = Layout(
    names=NAMES,
    read_config=read_config,
    config_json=config_json,
    read_tensors=read_tensors,
    stored=stored,
    other_files={"generation_config.json": _TOKENS},  # what `generate` must know
)
