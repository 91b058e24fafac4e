"""Hugging Face folders that we read: all that is found in the wild."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import torch
import transformers
from checkpoints import WEIGHTS, assert_equal, edit, loaded_by_torch, logits_of, our_logits, rename

from toner_jax.errors import UserError


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_sources(tmp_path, dtype):
    reference = oracles.torch_t5("flan").to(dtype)
    _, params = oracles.our_t5(oracles.write(reference, tmp_path))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    np.testing.assert_array_equal(params["shared"]["embedding"], reference.shared.weight.detach().float())
    np.testing.assert_array_equal(params["lm_head"]["kernel"].T, reference.lm_head.weight.detach().float())


def test_sharded_source(t5, tmp_path):
    reference, source = t5
    folder = oracles.write(reference, tmp_path / "sharded", max_shard_size="20KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 3
    assert_equal(oracles.our_t5(folder)[1], oracles.our_t5(source)[1])


def test_copies_of_the_embeddings(t5):
    _, source = t5
    _, params = oracles.our_t5(source)
    copies = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"]
    if "lm_head" not in params:
        copies.append("lm_head.weight")

    edit(source / WEIGHTS, lambda t: t.update({name: t["shared.weight"].copy() for name in copies}))
    assert_equal(oracles.our_t5(source)[1], params)
    edit(source / WEIGHTS, lambda t: t.pop("shared.weight") is None)
    assert_equal(oracles.our_t5(source)[1], params)
    edit(source / WEIGHTS, lambda t: t.update({copies[0]: t[copies[0]] + 1}))
    with pytest.raises(UserError, match=r"tensor \S+ differs from shared.weight, of which it must be a copy"):
        oracles.our_t5(source)


def test_unscaled_t5_without_an_output_layer(flan):
    """What transformers 5 writes of a Flan-T5 that began from random weights."""
    edit(flan / WEIGHTS, lambda t: t.pop("lm_head.weight") is None)
    model, params = oracles.our_t5(flan)
    np.testing.assert_array_equal(params["lm_head"]["kernel"].T, params["shared"]["embedding"])
    np.testing.assert_allclose(our_logits(model, params), logits_of(loaded_by_torch(flan)), atol=1e-4)
    edit(flan / WEIGHTS, lambda t: rename(t, "shared.weight", "encoder.embed_tokens.weight"))
    assert_equal(oracles.our_t5(flan)[1], params)


def test_mt5(tmp_path):
    """The same architecture as T5 v1.1 under another name."""
    torch.manual_seed(0)
    reference = transformers.MT5ForConditionalGeneration(transformers.MT5Config(**oracles.T5_SIZE)).eval()
    reference.lm_head.weight = torch.nn.Parameter(torch.randn_like(reference.shared.weight))
    model, params = oracles.our_t5(oracles.write(reference, tmp_path))
    np.testing.assert_allclose(our_logits(model, params), logits_of(reference), atol=1e-4)


def as_masked_lm(tensors):
    """A BERT as the first versions wrote it, for pre-training."""
    old = {f"bert.{name}": value for name, value in tensors.items()}
    old = {
        k.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): v for k, v in old.items()
    }
    heads = {"cls.predictions.bias": np.zeros(oracles.VOCAB, np.float32)}
    return old | heads | {"bert.embeddings.position_ids": np.arange(64)[None]}


def test_old_names_of_bert(bert):
    _, params = oracles.our_bert(bert)
    edit(bert / WEIGHTS, as_masked_lm)
    model, renamed = oracles.our_bert(bert)
    assert model.config.pooler
    assert_equal(renamed, params)
