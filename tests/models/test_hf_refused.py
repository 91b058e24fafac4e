"""Hugging Face folders that are refused, in one line that names the tensor or the file."""

import json
from pathlib import Path

import numpy as np
import oracles
import pytest
from checkpoints import INDEX, WEIGHTS, edit, edit_json, rename, truncate

from toner_jax.errors import UserError
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.model import Bert
from toner_jax.parallel.mesh import make_mesh

QUERY = "encoder.block.0.layer.0.SelfAttention.q.weight"
REFUSED = [
    (
        lambda d: edit(d / WEIGHTS, lambda t: t.update({"adapter.weight": np.ones(2, np.float32)})),
        r"model\.safetensors: tensor adapter\.weight has no place in the model$",
    ),
    (
        lambda d: edit(d / WEIGHTS, lambda t: rename(t, QUERY, "q.weight")),
        rf"source: tensor {QUERY} is missing; it is the model's encoder/layers_0/self_attention/query/kernel$",
    ),
    (
        lambda d: edit(d / WEIGHTS, lambda t: t.update({QUERY: t[QUERY].T.copy()})),
        rf"model\.safetensors: tensor {QUERY} has shape \(32, 48\), the model's is \(48, 32\)$",
    ),
    (
        lambda d: edit(d / WEIGHTS, lambda t: t.update({QUERY: t[QUERY].astype(np.int8)})),
        rf"tensor {QUERY} is I8, not one of F32, BF16, F16$",
    ),
    (
        lambda d: edit_json(d / "config.json", num_layers=2),
        r"tensor encoder\.block\.2\.layer\.0\.SelfAttention\.k\.weight has no place in the model$",
    ),
    (
        lambda d: edit_json(d / "config.json", scale_decoder_outputs=True),
        r"tensor lm_head\.weight differs from shared\.weight, of which it must be a copy$",
    ),
    (lambda d: truncate(d / WEIGHTS), r"model\.safetensors: truncated or not a safetensors file \("),
    (lambda d: (d / WEIGHTS).write_bytes(b""), r"model\.safetensors: truncated or not a safetensors file \("),
    (
        lambda d: (d / WEIGHTS).rename(d / "pytorch_model.bin"),
        r"source: holds neither model\.safetensors nor model\.safetensors\.index\.json; other formats are not read$",
    ),
]


@pytest.mark.parametrize(("spoil", "message"), REFUSED)
def test_refused_checkpoints(flan, spoil, message):
    spoil(flan)
    with pytest.raises(UserError, match=message) as error:
        oracles.our_t5(flan)
    assert "\n" not in str(error.value)


def test_two_names_of_one_tensor(bert):
    name = "pooler.dense.bias"
    edit(bert / WEIGHTS, lambda t: t.update({f"bert.{name}": t[name].copy()}))
    with pytest.raises(UserError, match=rf"{name} and (bert\.)?{name} are two names of one tensor"):
        oracles.our_bert(bert)


def remap(folder: Path, change) -> None:
    index = json.loads((folder / INDEX).read_text())
    change(index["weight_map"])
    (folder / INDEX).write_text(json.dumps(index))


REFUSED_SHARDS = [
    (
        lambda d, shard: (d / shard).unlink(),
        r"{shard}: this shard, named in model\.safetensors\.index\.json, is missing; download it again$",
    ),
    (lambda d, shard: truncate(d / shard), r"{shard}: truncated or not a safetensors file"),
    (
        lambda d, shard: edit(d / shard, lambda t: {"x": next(iter(t.values()))}),
        r"{shard}: does not hold \S+, which model\.safetensors\.index\.json places there$",
    ),
    (
        lambda d, shard: remap(d, lambda m: m.update({"other": shard})),
        r"{shard}: does not hold other, which model\.safetensors\.index\.json places there$",
    ),
    (
        lambda d, shard: (d / INDEX).write_text("{}"),
        r"model\.safetensors\.index\.json: has no weight_map from tensors to files$",
    ),
]


@pytest.mark.parametrize(("spoil", "message"), REFUSED_SHARDS)
def test_refused_shards(tmp_path, spoil, message):
    folder = oracles.write(oracles.torch_bert(), tmp_path, max_shard_size="20KB")
    shard = sorted(path.name for path in folder.glob("model-*.safetensors"))[1]
    spoil(folder, shard)
    with pytest.raises(UserError, match=message.replace("{shard}", shard)):
        oracles.our_bert(folder)


def test_another_models_shapes(bert):
    model = Bert(BertConfig(**{**oracles.BERT_SIZE, "hidden_size": 64}))
    with pytest.raises(
        UserError, match=r"tensor embeddings\.\S+ has shape \(.*32.*\), the model's is \(.*64.*\)"
    ):
        oracles.load(model, bert, oracles.bert_shapes(model), make_mesh())
