"""Hugging Face folders: read strictly onto any mesh, written so that PyTorch loads the same model."""

import functools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracles
import pytest
import torch
import transformers
from huggingface_hub.utils import filter_repo_objects
from safetensors.numpy import load_file, save_file

from toner_jax.errors import UserError
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.model import Bert
from toner_jax.models.hf import weights as hf_weights
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.model import T5, shift_right
from toner_jax.models.toner import ToNER
from toner_jax.parallel.mesh import make_mesh
from toner_jax.parallel.sharding import parameter_shardings
from toner_jax.training.state import create_state

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PROBLEMS = ("missing_keys", "unexpected_keys", "mismatched_keys")


@pytest.fixture(params=oracles.T5_VARIANTS)
def t5(request, tmp_path):
    """(PyTorch's model, its folder)."""
    reference = oracles.torch_t5(request.param)
    return reference, oracles.write(reference, tmp_path / "source")


@pytest.fixture
def flan(tmp_path):
    return oracles.write(oracles.torch_t5("flan"), tmp_path / "source")


@pytest.fixture
def bert(tmp_path):
    return oracles.write(oracles.torch_bert(), tmp_path / "source")


def assert_equal(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def edit(file: Path, change) -> None:
    """Rewrites a safetensors file through a function of its tensors, which it may change in place."""
    tensors = load_file(file)
    tensors = change(tensors) or tensors
    save_file(tensors, file, metadata={"format": "pt"})


def edit_json(file: Path, **changes) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def logits_of(reference) -> np.ndarray:
    source, mask, target = oracles.random_batch()
    source, mask, target = (torch.tensor(x, dtype=torch.long) for x in (source, mask, target))
    with torch.no_grad():
        return reference(source, attention_mask=mask, labels=target).logits.numpy()


def our_logits(model, params) -> jax.Array:
    source, mask, target = oracles.random_batch()
    return jax.jit(model.apply)({"params": params}, source, mask, shift_right(target))


def load_cleanly(auto: Any, folder: Path, **options):
    """`from_pretrained`, with no tensor missing or left over."""
    model, info = auto.from_pretrained(folder, output_loading_info=True, **options)
    assert [problem for problem in PROBLEMS if info[problem]] == []
    return model


def loaded_by_torch(folder: Path):
    return load_cleanly(transformers.T5ForConditionalGeneration, folder, attn_implementation="eager").eval()


# Out, and back in


def test_t5_round_trip(t5, tmp_path):
    reference, source = t5
    model, params = oracles.our_t5(source)
    exported = tmp_path / "exported"
    type_head = {"dense": {"kernel": jnp.ones((2, 2))}}  # stays behind
    hf_weights.save_t5(exported, {**params, "type_head": type_head}, model.config)

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
    hf_weights.save_t5(tmp_path, params, model.config)
    again = loaded_by_torch(tmp_path)
    assert again.config.dropout_rate == 0.05
    np.testing.assert_allclose(logits_of(again), our_logits(model, params), atol=1e-4)


def test_t5_that_says_nothing_of_scaling_is_still_right(flan):
    """An export read by transformers 4's keys alone, and by version 5's alone, computes the same."""
    expected = logits_of(loaded_by_torch(flan))
    model, params = oracles.our_t5(flan)
    hf_weights.save_t5(flan, params, model.config)
    written = json.loads((flan / "config.json").read_text())
    for key in ("tie_word_embeddings", "scale_decoder_outputs"):
        assert written[key] is False
        (flan / "config.json").write_text(json.dumps({k: v for k, v in written.items() if k != key}))
        np.testing.assert_array_equal(logits_of(loaded_by_torch(flan)), expected)


@pytest.mark.parametrize("auto", [transformers.BertModel, transformers.AutoModel])
def test_bert_round_trip(bert, tmp_path, auto):
    model, params = oracles.our_bert(bert)
    hf_weights.save_bert(tmp_path / "exported", params, model.config)
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
    hf_weights.save_bert(tmp_path / "exported", params, model.config)
    again = load_cleanly(transformers.AutoModel, tmp_path / "exported")
    assert not again.pooler.dense.weight.any()
    assert_equal(
        {k: v for k, v in oracles.our_bert(tmp_path / "exported")[1].items() if k != "pooler"}, params
    )


def test_export_in_shards_replaces_what_was_there(flan):
    model, params = oracles.our_t5(flan)
    largest = 4 * max(leaf.size for leaf in jax.tree.leaves(params))
    expected = load_file(flan / WEIGHTS)
    hf_weights.save_t5(flan, params, model.config, max_shard_bytes=largest)

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

    hf_weights.save_t5(flan, params, model.config)
    assert [p.name for p in flan.glob("*model*")] == [WEIGHTS]
    assert_equal(load_file(flan / WEIGHTS), expected)


def test_tensors_larger_than_a_shard_stand_alone(flan, tmp_path):
    model, params = oracles.our_t5(flan)
    hf_weights.save_t5(tmp_path / "exported", params, model.config, max_shard_bytes=1)
    assert len(list((tmp_path / "exported").glob("*.safetensors"))) == len(jax.tree.leaves(params))
    assert_equal(oracles.our_t5(tmp_path / "exported")[1], params)


def test_export_in_bfloat16(flan, tmp_path):
    model, params = oracles.our_t5(flan)
    exported = tmp_path / "exported"
    hf_weights.save_t5(exported, params, model.config, dtype=jnp.bfloat16)
    assert loaded_by_torch(exported).dtype == torch.bfloat16
    rounded = jax.tree.map(lambda x: x.astype(jnp.bfloat16).astype(jnp.float32), params)
    assert_equal(oracles.our_t5(exported)[1], rounded)


def test_export_and_config_must_agree(flan, tmp_path):
    _, params = oracles.our_t5(flan)
    with pytest.raises(ValueError, match="tie_embeddings=True is not what the parameters say"):
        hf_weights.save_t5(tmp_path, params, T5Config(tie_embeddings=True))
    with pytest.raises(ValueError, match="no row of the table covers parameter 'adapter/kernel'"):
        hf_weights.save_t5(tmp_path, {**params, "adapter": {"kernel": jnp.ones((2, 2))}}, T5Config())


# In, from all that is found in the wild


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


def test_a_state_born_from_a_checkpoint(flan):
    """`create_state` takes `load_t5` as it is: the type head stays random."""
    model = ToNER(hf_weights.t5_config(flan), num_types=3)
    ids = jnp.ones((1, 2), jnp.int32)
    state = create_state(
        init=lambda key: model.init(key, ids, ids, ids, ids)["params"],
        tx=optax.sgd(0.1),
        seed=0,
        mesh=make_mesh(),
        preset="fsdp",
        load=functools.partial(hf_weights.load_t5, flan),
    )
    params = dict(state["params"])
    assert params.pop("type_head")["out"]["kernel"].shape == (32, 3)
    assert_equal(params, oracles.our_t5(flan)[1])


MESH_PROGRAM = """
import sys
from pathlib import Path
import jax, numpy as np
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from toner_jax.models import hf_weights
from toner_jax.models.hf_names import T5_NAMES
from toner_jax.models.t5 import T5
from toner_jax.training.sharding import make_mesh, parameter_shardings
from safetensors.numpy import load_file

folder = Path(sys.argv[1])
model = T5(hf_weights.t5_config(folder))
ids = jnp.ones((1, 2), jnp.int32)
shapes = jax.eval_shape(model.init, jax.random.key(0), ids, ids, ids)["params"]
shardings = parameter_shardings(shapes, make_mesh(data=2, fsdp=2, tensor=2))
params = hf_weights.load_t5(folder, shapes, shardings)
assert jax.tree.all(jax.tree.map(lambda x, s: x.sharding == s, params, shardings))
stored, pieces = load_file(folder / "model.safetensors"), set()
for path, array in flatten_dict(params, sep="/").items():
    name, transpose = T5_NAMES.tensor(path)
    np.testing.assert_array_equal(array, stored[name].T if transpose else stored[name])
    assert len(array.addressable_shards) == 8
    for shard in array.addressable_shards:
        np.testing.assert_array_equal(shard.data, np.asarray(array)[shard.index])
    pieces.add(array.size // array.addressable_shards[0].data.size)
assert pieces == {1, 4}, pieces

# Replicas are loaded from one buffer; they must not share one.
before = jax.tree.map(np.asarray, params)
step = jax.jit(lambda p: jax.tree.map(lambda x: x + 1, p), donate_argnums=0, out_shardings=shardings)
after = step(step(params))
jax.tree.map(lambda a, b: np.testing.assert_array_equal(a + 1 + 1, b), before, after)
print("placed")
"""


def test_placed_on_eight_devices(flan):
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
    }
    run = subprocess.run(
        [sys.executable, "-c", MESH_PROGRAM, str(flan)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "placed\n"


PROCESSES_PROGRAM = """
import sys
from pathlib import Path
import jax
source, exported, port, process = sys.argv[1:]
jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=int(process))
import jax.numpy as jnp
from toner_jax.models import hf_weights
from toner_jax.models.t5 import T5
from toner_jax.training.sharding import make_mesh, parameter_shardings

model = T5(hf_weights.t5_config(Path(source)))
ids = jnp.ones((1, 2), jnp.int32)
shapes = jax.eval_shape(model.init, jax.random.key(0), ids, ids, ids)["params"]
params = hf_weights.load_t5(Path(source), shapes, parameter_shardings(shapes, make_mesh(data=1, fsdp=4)))
assert not params["shared"]["embedding"].is_fully_addressable
hf_weights.save_t5(Path(exported), params, model.config, max_shard_bytes=20_000)
"""


@pytest.mark.slow
def test_two_processes_load_and_save(flan, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-c", PROCESSES_PROGRAM, str(flan), str(tmp_path / "exported"), port]
    runs = [
        subprocess.Popen([*command, str(i)], env=environment, stderr=subprocess.PIPE, text=True)
        for i in range(2)
    ]
    errors = [run.communicate(timeout=120)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
    assert_equal(oracles.our_t5(tmp_path / "exported")[1], oracles.our_t5(flan)[1])


# What is refused


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def rename(tensors, old, new):
    tensors[new] = tensors.pop(old)


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
    shapes = oracles.bert_shapes(Bert(BertConfig(**{**oracles.BERT_SIZE, "hidden_size": 64})))
    with pytest.raises(
        UserError, match=r"tensor embeddings\.\S+ has shape \(.*32.*\), the model's is \(.*64.*\)"
    ):
        hf_weights.load_bert(bert, shapes, parameter_shardings(shapes, make_mesh()))


# Folders and hub names

HUB = {
    "config.json": True,
    "generation_config.json": True,
    "model.safetensors": True,
    "model-00001-of-00002.safetensors": True,
    "model.safetensors.index.json": True,
    "spiece.model": True,
    "tokenizer.json": True,
    "tokenizer_config.json": True,
    "special_tokens_map.json": True,
    "vocab.txt": True,
    "pytorch_model.bin": False,
    "tf_model.h5": False,
    "flax_model.msgpack": False,
    "onnx/config.json": False,
    "onnx/model.safetensors": False,
    "README.md": False,
    ".gitattributes": False,
}


def test_a_folder_is_itself(tmp_path, monkeypatch):
    assert hf_weights.resolve(str(tmp_path)) == tmp_path
    (tmp_path / "google").mkdir()
    monkeypatch.chdir(tmp_path)
    assert hf_weights.resolve("google") == Path("google")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hf_weights.resolve("~/google") == tmp_path / "google"


def test_a_hub_name_is_downloaded(tmp_path, monkeypatch):
    asked: dict[str, Any] = {}

    def snapshot_download(name, **patterns):
        asked.update(patterns, name=name)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert hf_weights.resolve("google/flan-t5-small") == tmp_path
    assert asked.pop("name") == "google/flan-t5-small"
    assert set(filter_repo_objects(HUB, **asked)) == {name for name, wanted in HUB.items() if wanted}


def test_offline_is_one_line_that_names_the_model(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"^'nobody/no-such-model': no such folder, and downloading") as error:
        hf_weights.resolve("nobody/no-such-model")
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("; pass a folder that holds config.json and safetensors")


@pytest.mark.parametrize("path", ["/no/such/folder", "./absent", "~/absent-folder", "a/b/c", "x y", ""])
def test_paths_that_are_no_folders(path, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r": no such folder; pass one that holds config\.json and safetensors$"
    ):
        hf_weights.resolve(path)


def test_a_file_is_no_folder(tmp_path, monkeypatch):
    (tmp_path / "model.bin").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^'model\.bin': no such folder; pass one"):
        hf_weights.resolve("model.bin")
