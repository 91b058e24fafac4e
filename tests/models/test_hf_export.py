"""Hugging Face folders that we write: PyTorch loads the same model, and so do we."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import torch
import transformers
from checkpoints import (
    INDEX,
    WEIGHTS,
    assert_equal,
    edit,
    load_cleanly,
    loaded_by_torch,
    logits_of,
    our_logits,
)
from safetensors.numpy import load_file

from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.model import T5

pytestmark = pytest.mark.slow


def test_t5_round_trip(t5, tmp_path):
    reference, source = t5
    model, params = oracles.our_t5(source)
    exported = tmp_path / "exported"
    type_head = {"dense": {"kernel": jnp.ones((2, 2))}}  # stays behind
    oracles.save(exported, model, {**params, "type_head": type_head})

    torch_again = loaded_by_torch(exported)
    np.testing.assert_array_equal(logits_of(torch_again), logits_of(reference))
    ends = torch_again.generation_config
    assert (ends.decoder_start_token_id, ends.eos_token_id, ends.pad_token_id) == (0, 1, 0)

    model_again, params_again = oracles.our_t5(exported)
    assert model_again.config == model.config
    assert_equal(params_again, params)


def test_weights_of_our_own_in_pytorch(tmp_path):
    sizes = {name: size for name, size in oracles.T5_SIZE.items() if name != "decoder_start_token_id"}
    model = T5(T5Config(**sizes, dropout_rate=0.05, relative_attention_num_buckets=16))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda s: rng.normal(0, 0.3, s.shape).astype(np.float32), oracles.t5_shapes(model))
    oracles.save(tmp_path, model, params)
    again = loaded_by_torch(tmp_path)
    assert again.config.dropout_rate == 0.05
    np.testing.assert_allclose(logits_of(again), our_logits(model, params), atol=1e-4)


def test_t5_that_says_nothing_of_scaling_is_still_right(flan):
    """An export read by transformers 4's keys alone, and by version 5's alone, computes the same."""
    expected = logits_of(loaded_by_torch(flan))
    model, params = oracles.our_t5(flan)
    oracles.save(flan, model, params)
    written = json.loads((flan / "config.json").read_text())
    for key in ("tie_word_embeddings", "scale_decoder_outputs"):
        assert written[key] is False
        (flan / "config.json").write_text(json.dumps({k: v for k, v in written.items() if k != key}))
        np.testing.assert_array_equal(logits_of(loaded_by_torch(flan)), expected)


@pytest.mark.parametrize("auto", [transformers.BertModel, transformers.AutoModel])
def test_bert_round_trip(bert, tmp_path, auto):
    model, params = oracles.our_bert(bert)
    oracles.save(tmp_path / "exported", model, params)
    again = load_cleanly(auto, tmp_path / "exported")
    expected = transformers.BertModel.from_pretrained(bert).state_dict()
    assert_equal(dict(again.state_dict()), dict(expected))
    assert again.config.hidden_dropout_prob == again.config.attention_probs_dropout_prob == 0.1

    model_again, params_again = oracles.our_bert(tmp_path / "exported")
    assert model_again.config == model.config
    assert_equal(params_again, params)


def test_bert_without_pooler(bert, tmp_path):
    edit(bert / WEIGHTS, lambda t: {k: v for k, v in t.items() if not k.startswith("pooler")})
    model, params = oracles.our_bert(bert)
    assert not model.config.pooler
    oracles.save(tmp_path / "exported", model, params)
    again = load_cleanly(transformers.AutoModel, tmp_path / "exported")
    assert not again.pooler.dense.weight.any()
    assert_equal(
        {k: v for k, v in oracles.our_bert(tmp_path / "exported")[1].items() if k != "pooler"}, params
    )


def test_export_in_shards_replaces_what_was_there(flan):
    model, params = oracles.our_t5(flan)
    largest = 4 * max(leaf.size for leaf in jax.tree.leaves(params))
    expected = load_file(flan / WEIGHTS)
    oracles.save(flan, model, params, max_shard_bytes=largest)

    index = json.loads((flan / INDEX).read_text())
    shards = sorted(set(index["weight_map"].values()))
    count = len(shards)
    assert count > 3
    assert shards == [f"model-{i:05d}-of-{count:05d}.safetensors" for i in range(1, count + 1)]
    assert sorted(p.name for p in flan.glob("*model*")) == sorted([*shards, INDEX])
    written: dict[str, np.ndarray] = {}
    for shard in shards:
        tensors = load_file(flan / shard)
        assert sum(t.nbytes for t in tensors.values()) <= largest
        written |= tensors
    assert_equal(written, expected)
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in written.values())
    loaded_by_torch(flan)
    assert_equal(oracles.our_t5(flan)[1], params)

    oracles.save(flan, model, params)
    assert [p.name for p in flan.glob("*model*")] == [WEIGHTS]
    assert_equal(load_file(flan / WEIGHTS), expected)


def test_tensors_larger_than_a_shard_stand_alone(flan, tmp_path):
    model, params = oracles.our_t5(flan)
    oracles.save(tmp_path / "exported", model, params, max_shard_bytes=1)
    assert len(list((tmp_path / "exported").glob("*.safetensors"))) == len(jax.tree.leaves(params))
    assert_equal(oracles.our_t5(tmp_path / "exported")[1], params)


def test_export_in_bfloat16(flan, tmp_path):
    model, params = oracles.our_t5(flan)
    exported = tmp_path / "exported"
    oracles.save(exported, model, params, dtype=jnp.bfloat16)
    assert loaded_by_torch(exported).dtype == torch.bfloat16
    rounded = jax.tree.map(lambda x: x.astype(jnp.bfloat16).astype(jnp.float32), params)
    assert_equal(oracles.our_t5(exported)[1], rounded)


def test_export_and_config_must_agree(flan, tmp_path):
    _, params = oracles.our_t5(flan)
    with pytest.raises(ValueError, match="tie_embeddings=True is not what the parameters say"):
        oracles.save(tmp_path, T5(T5Config(tie_embeddings=True)), params)
    with pytest.raises(ValueError, match="no row of the table covers parameter 'adapter/kernel'"):
        oracles.save(tmp_path, T5(T5Config()), {**params, "adapter": {"kernel": jnp.ones((2, 2))}})
