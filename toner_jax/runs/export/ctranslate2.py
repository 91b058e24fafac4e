"""A generator as CTranslate2 reads it: written without PyTorch, from the tensors that Hugging Face's layout has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toner_jax.errors import UserError
from toner_jax.models import registry
from toner_jax.models.hf.weights import host_tensors
from toner_jax.runs import setup
from toner_jax.runs.export import pretrained
from toner_jax.runs.generator import FOLDER as GENERATOR
from toner_jax.runs.restore import Restored
from toner_jax.text.tokenizers import SentencePieceTokenizer

Tensors = Mapping[str, np.ndarray]


def save(folder: Path, restored: Restored) -> None:
    """Writes the generator into a folder, in fp32, with its SentencePiece model; CTranslate2 rounds it to another type
    (`compute_type`) as it loads.

    Raises:
      UserError: ctranslate2 is not installed, or the model is no T5.
    """
    try:
        from ctranslate2.specs import common_spec, transformer_spec
    except ModuleNotFoundError:
        raise UserError("ctranslate2 is not installed: pip install 'toner-jax[bench]'") from None
    config = restored.generator.config
    if config.model_type != "t5":
        raise UserError(
            f"CTranslate2 has no model of the type {config.model_type!r} that this one could become"
        )
    activation = common_spec.Activation
    spec = transformer_spec.TransformerSpec.from_config(
        (config.num_layers, config.num_decoder_layers),
        config.num_heads,
        pre_norm=True,
        activation=activation.GELUTanh if config.gated_gelu else activation.RELU,
        ffn_glu=config.gated_gelu,
        relative_attention_bias=True,
        rms_norm=True,
    )
    named = host_tensors(restored.generator_params, config, registry.of(config).hf)
    tensors = {name: np.asarray(value, np.float32) for name, value in named}
    _set_stack(spec.encoder, tensors, "encoder", config)
    _set_stack(spec.decoder, tensors, "decoder", config)
    spec.decoder.projection.weight = tensors.get("lm_head.weight", tensors["shared.weight"])
    if config.tie_embeddings:
        spec.decoder.scale_outputs = config.d_model**-0.5
    tokenizer = setup.generator_word_ids(restored.config, restored.tokenizers).tokenizer
    pieces = vocabulary(tokenizer, config.vocab_size)
    spec.register_source_vocabulary(pieces)
    spec.register_target_vocabulary(pieces)
    spec.config.bos_token = spec.config.decoder_start_token = pieces[tokenizer.pad_id]
    spec.config.eos_token, spec.config.unk_token = pieces[tokenizer.eos_id], pieces[tokenizer.unk_id]
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
    pretrained.copy_tokenizer(restored.tokenizers / GENERATOR, folder, registry.of(config).tokenizer.file)


def vocabulary(tokenizer: SentencePieceTokenizer, size: int) -> list[str]:
    """The pieces by id, each once; ids of the model that the tokenizer lacks have names of their own."""
    pieces = [tokenizer.piece(i) for i in range(min(size, tokenizer.vocab_size))]
    return [*pieces, *(f"<unused_{i}>" for i in range(len(pieces), size))]


def _set_stack(spec: Any, tensors: Tensors, name: str, config: Any) -> None:
    """The encoder or the decoder."""
    embeddings = tensors["shared.weight"]
    target = spec.embeddings[0] if isinstance(spec.embeddings, list) else spec.embeddings
    target.weight = embeddings
    spec.scale_embeddings = False
    spec.layer_norm.gamma = tensors[f"{name}.final_layer_norm.weight"]
    bias = tensors[f"{name}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    for i, layer in enumerate(spec.layer):
        block = f"{name}.block.{i}.layer"
        attention = layer.self_attention
        _set_attention(attention, tensors, f"{block}.0", "SelfAttention")
        # The first layer's is that of all.
        attention.relative_attention_bias = bias
        attention.relative_attention_max_distance = np.int32(config.relative_attention_max_distance)
        if name == "decoder":
            _set_attention(layer.attention, tensors, f"{block}.1", "EncDecAttention")
        last = f"{block}.{2 if name == 'decoder' else 1}"
        if config.gated_gelu:
            layer.ffn.linear_0.weight = tensors[f"{last}.DenseReluDense.wi_0.weight"]
            layer.ffn.linear_0_noact.weight = tensors[f"{last}.DenseReluDense.wi_1.weight"]
        else:
            layer.ffn.linear_0.weight = tensors[f"{last}.DenseReluDense.wi.weight"]
        layer.ffn.linear_1.weight = tensors[f"{last}.DenseReluDense.wo.weight"]
        layer.ffn.layer_norm.gamma = tensors[f"{last}.layer_norm.weight"]


def _set_attention(spec: Any, tensors: Tensors, at: str, kind: str) -> None:
    """One attention, whose products with the same input are one."""
    q, k, v, o = (tensors[f"{at}.{kind}.{part}.weight"] for part in "qkvo")
    groups = [[q, k, v]] if kind == "SelfAttention" else [[q], [k, v]]
    for linear, parts in zip(spec.linear, [*groups, [o]], strict=True):
        linear.weight = np.concatenate(parts)
    spec.queries_scale = 1.0  # T5 does not divide by the square root of its width
    spec.layer_norm.gamma = tensors[f"{at}.layer_norm.weight"]
