"""Tiny random models written by transformers, and the same folders read by us."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers
from jax.sharding import Mesh

from toner_jax.models import registry
from toner_jax.models.bert.model import Bert
from toner_jax.models.hf import weights as hf_weights
from toner_jax.models.t5.model import T5
from toner_jax.parallel.mesh import make_mesh
from toner_jax.parallel.sharding import parameter_shardings

VOCAB = 128
# Widths differ wherever they may, so that no transposition or mix-up goes unseen; 6·8 heads ≠ 32.
T5_SIZE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 56,
    "num_heads": 6,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "decoder_start_token_id": 0,
}
BERT_SIZE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 56,
    "max_position_embeddings": 64,
}
T5_VARIANTS = ("v1_0", "flan")


def torch_t5(variant: str, seed: int = 0, **sizes: int) -> transformers.T5ForConditionalGeneration:
    """ReLU and tied ("v1_0"), or gated GELU and untied ("flan"), in eval mode; `sizes` override T5_SIZE's.

    transformers 5 ties every T5 it creates, whatever its config says; a parameter of its own unties it.
    """
    torch.manual_seed(seed)
    flan: dict[str, Any] = (
        {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False} if variant == "flan" else {}
    )
    config = transformers.T5Config(**{**T5_SIZE, **sizes}, **flan)
    model = transformers.T5ForConditionalGeneration._from_config(config, attn_implementation="eager")
    if variant == "flan":
        model.lm_head.weight = torch.nn.Parameter(torch.randn(config.vocab_size, config.d_model))
    return _shake(model)


def torch_bert(seed: int = 0, pooler: bool = True, **sizes: int) -> transformers.BertModel:
    """In eval mode; `sizes` override BERT_SIZE's."""
    torch.manual_seed(seed)
    config = transformers.BertConfig(**{**BERT_SIZE, **sizes})
    model = transformers.BertModel._from_config(config, attn_implementation="eager", add_pooling_layer=pooler)
    return _shake(model)


def read_t5(folder: Path) -> transformers.T5ForConditionalGeneration:
    """PyTorch's T5 of a folder, in eval mode."""
    return transformers.T5ForConditionalGeneration.from_pretrained(folder, attn_implementation="eager").eval()


def read_bert(folder: Path, **options) -> transformers.BertModel:
    """PyTorch's BERT of a folder, in eval mode."""
    return transformers.BertModel.from_pretrained(folder, attn_implementation="eager", **options).eval()


def _shake(model):
    """Moves weights from where they begin and would hide errors: norms are ones, biases zeros, T5's
    relative biases small, and what its layers add so small that what is read is written again. The row
    of id 1 is doubled, so that some generated sequences end."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
            elif "relative_attention_bias" in name:
                parameter.normal_()
            elif name.endswith((".o.weight", ".wo.weight")):
                parameter.mul_(5)
            elif name in ("shared.weight", "lm_head.weight"):
                parameter[1].mul_(2)
    return model.eval()


def write(model, folder: Path, **options) -> Path:
    """The folder, with a checkpoint in it as transformers writes it."""
    model.save_pretrained(folder, **options)
    return folder


def t5_shapes(model: T5):
    ids = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    return jax.eval_shape(model.init, jax.random.key(0), ids, ids, ids)["params"]


def bert_shapes(model: Bert):
    ids = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    return jax.eval_shape(model.init, jax.random.key(0), ids, ids)["params"]


def our_t5(folder: Path, mesh: Mesh | None = None):
    """(model, parameters) of a T5 folder."""
    model = T5(registry.read_config(folder, "generator"))
    return model, load(model, folder, t5_shapes(model), mesh or make_mesh())


def our_bert(folder: Path, mesh: Mesh | None = None):
    """(model, parameters) of a BERT folder."""
    model = Bert(registry.read_config(folder, "matcher"))
    return model, load(model, folder, bert_shapes(model), mesh or make_mesh())


def load(model: T5 | Bert, folder: Path, shapes, mesh: Mesh):
    """A folder's parameters on a mesh."""
    architecture = registry.of(model.config)
    shardings = parameter_shardings(shapes, mesh, architecture.sharding)
    return hf_weights.load(folder, architecture.hf, shapes, shardings)


def save(folder: Path, model: T5 | Bert, params, **options) -> None:
    """Writes a model's Hugging Face folder."""
    hf_weights.save(folder, registry.of(model.config).hf, params, model.config, **options)


def random_rows(seed: int, rows: int, length: int, shortest: int = 1):
    """(ids int32 [rows, length], mask): random lengths, the first row full, 0 after each end."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, length + 1, rows)
    lengths[0] = length
    mask = (np.arange(length)[None, :] < lengths[:, None]).astype(np.int32)
    ids = rng.integers(2, VOCAB, (rows, length)).astype(np.int32)
    return ids * mask, mask


def random_batch(seed: int = 0, rows: int = 4, source: int = 23, target: int = 11):
    """(source, source mask, target); every target ends with 1 and is padded with 0."""
    ids, mask = random_rows(seed, rows, source)
    target_ids, target_mask = random_rows(seed + 1, rows, target)
    last = target_mask.sum(axis=1) - 1
    target_ids[np.arange(rows), last] = 1
    return ids, mask, target_ids
