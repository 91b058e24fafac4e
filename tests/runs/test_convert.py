"""Hugging Face models as Orbax checkpoints that a run starts from: bit for bit, sharded, and strictly."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from scripts.convert_checkpoint import main
from toner_jax.errors import UserError
from toner_jax.models import registry
from toner_jax.models.bert.model import Bert
from toner_jax.models.t5.model import T5
from toner_jax.models.toner import ToNER
from toner_jax.parallel.mesh import make_mesh
from toner_jax.parallel.sharding import parameter_shardings
from toner_jax.runs.export import pretrained
from toner_jax.runs.export.convert import convert

VOCABULARY = "spiece.model"


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Folders as PyTorch writes them: `flan` and `v1_0` with a tokenizer file, `bert`, `bare` (no pooler)."""
    folder = tmp_path_factory.mktemp("sources")
    for variant in oracles.T5_VARIANTS:
        oracles.write(oracles.torch_t5(variant), folder / variant)
        (folder / variant / VOCABULARY).write_bytes(b"pieces")
    oracles.write(oracles.torch_bert(), folder / "bert")
    oracles.write(oracles.torch_bert(pooler=False), folder / "bare")
    return folder


@pytest.fixture(scope="module")
def converted(sources, tmp_path_factory):
    """A T5 converted, to be read only."""
    target = tmp_path_factory.mktemp("converted") / "model"
    convert(str(sources / "flan"), target)
    return target


def assert_equal(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def read(folder: Path, config, shapes):
    architecture = registry.of(config)
    load = pretrained.loader(str(folder), architecture.hf)
    assert load is not None
    return load(shapes, parameter_shardings(shapes, make_mesh(), architecture.sharding))


def read_t5(folder: Path):
    config = pretrained.read_config(str(folder), "generator")
    return read(folder, config, oracles.t5_shapes(T5(config)))


@pytest.mark.parametrize("variant", oracles.T5_VARIANTS)
def test_t5_is_the_same_bit_for_bit(sources, tmp_path, variant):
    said = convert(str(sources / variant), tmp_path / "model")
    assert said.endswith(f"start from it with generator.checkpoint={tmp_path / 'model'}")
    model, params = oracles.our_t5(sources / variant)
    assert pretrained.read_config(str(tmp_path / "model"), "generator") == model.config
    assert_equal(read_t5(tmp_path / "model"), params)
    assert (tmp_path / "model" / VOCABULARY).read_bytes() == b"pieces"


@pytest.mark.parametrize("name", ["bert", "bare"])
def test_bert_is_the_same_bit_for_bit(sources, tmp_path, name):
    convert(str(sources / name), tmp_path)  # an empty folder will do
    model, params = oracles.our_bert(sources / name)
    assert pretrained.read_config(str(tmp_path), "matcher") == model.config
    assert model.config.pooler == (name == "bert")
    assert_equal(read(tmp_path, model.config, oracles.bert_shapes(Bert(model.config))), params)


@pytest.mark.slow
def test_bfloat16_is_read_as_float32(sources, tmp_path, converted):
    convert(str(sources / "flan"), tmp_path / "model", dtype="bfloat16")
    params = read_t5(tmp_path / "model")
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    expected = jax.tree.map(lambda x: x.astype(jnp.bfloat16).astype(jnp.float32), read_t5(converted))
    assert_equal(params, expected)
    written = [sum(f.stat().st_size for f in c.rglob("d/*")) for c in (tmp_path, converted)]
    assert written[0] < written[1]


def test_the_type_head_is_not_looked_for(converted):
    model = ToNER(pretrained.read_config(str(converted), "generator"), num_types=3)
    shapes = jax.eval_shape(registry.initializer(model), jax.random.key(0))
    params = read(converted, model.config, shapes)
    assert set(shapes) - set(params) == {"type_head"}


SHARDED = """
import sys
import jax, numpy as np
from toner_jax.models import registry
from toner_jax.parallel.mesh import make_mesh
from toner_jax.parallel.sharding import parameter_shardings
from toner_jax.runs.export import pretrained

read = []
for folder in sys.argv[1:]:
    config = pretrained.read_config(folder, "generator")
    t5 = registry.of(config)
    shapes = jax.eval_shape(registry.initializer(t5.module(config)), jax.random.key(0))
    shardings = parameter_shardings(shapes, make_mesh(data=2, fsdp=2, tensor=2), t5.sharding)
    params = pretrained.loader(folder, t5.hf)(shapes, shardings)
    del shardings["type_head"]  # of no checkpoint
    assert jax.tree.all(jax.tree.map(lambda x, s: x.sharding == s, params, shardings))
    read.append(params)
assert any(len(x.addressable_shards) != 1 and x.addressable_shards[0].data.size < x.size
           for x in jax.tree.leaves(read[0]))
jax.tree.map(np.testing.assert_array_equal, *read)
"""


@pytest.mark.slow
def test_read_onto_eight_devices(sources, converted):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    subprocess.run(
        [sys.executable, "-c", SHARDED, str(converted), str(sources / "flan")],
        check=True, timeout=120, env={**os.environ, **flags},
    )  # fmt: skip


# What is refused


def unsupported(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "bart"}))


def truncated(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])


def reshaped(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"d_ff": 72}))


def short_of_a_shard(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    oracles.write(oracles.torch_t5("flan"), folder, max_shard_size="20KB")
    next(folder.glob("model-00002-of-*.safetensors")).unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, r"source'?: no such folder"),
        (unsupported, r"config\.json: model_type 'bart' is not supported here, only t5, mt5, bert$"),
        (truncated, r"model\.safetensors: truncated or not a safetensors file"),
        (reshaped, r"has shape \(.*\), the model's is \(.*72.*\)$"),
        (short_of_a_shard, r"model-00002-of-\d+\.safetensors: this shard, named in .*, is missing"),
    ],
)
def test_refused_sources_leave_nothing_behind(sources, tmp_path, capsys, spoil, message):
    shutil.copytree(sources / "flan", tmp_path / "source")
    spoil(tmp_path / "source")
    with pytest.raises(UserError, match=message):
        convert(str(tmp_path / "source"), tmp_path / "target")
    capsys.readouterr()
    assert main([f"--from={tmp_path / 'source'}", f"--to={tmp_path / 'target'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("toner-jax: ")
    assert {p.name for p in tmp_path.iterdir()} <= {"source"}


def test_the_demonstration_goes_by_its_name(tmp_path, capsys):
    assert main(["--from=quickstart", f"--to={tmp_path / 'to'}"]) == 0
    assert "generator and matcher" in capsys.readouterr().out
    assert (tmp_path / "to" / "matcher" / "model.safetensors").is_file()


def test_a_run_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    assert main([f"--from={tmp_path}/runs/recipe", f"--to={tmp_path / 'to'}"]) == 2
    assert capsys.readouterr().err.startswith(
        f"toner-jax: {tmp_path}/runs/recipe: no such folder; give a run's work directory"
    )


def test_refused_targets(sources, tmp_path):
    (tmp_path / "file").touch()
    for target in (tmp_path, tmp_path / "file"):
        with pytest.raises(UserError, match=r": not an empty folder; choose another target$"):
            convert(str(sources / "flan"), target)
    with pytest.raises(UserError, match=r"file/model: cannot be written \(Not a directory\)"):
        convert(str(sources / "flan"), tmp_path / "file" / "model")
    with pytest.raises(UserError, match=r"^step=3: .*flan is not a run's work directory"):
        convert(str(sources / "flan"), tmp_path / "target", step=3)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def flipped(folder: Path) -> None:
    file = max((folder / "checkpoints" / "0").rglob("d/*"), key=lambda p: p.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def of_other_sizes(folder: Path) -> None:
    model = json.loads((folder / "model.json").read_text())
    model["config"]["d_ff"] = 72
    (folder / "model.json").write_text(json.dumps(model))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (flipped, r"checkpoints/0: damaged, not loaded: .* has other contents than were written$"),
        (
            of_other_sizes,
            r"checkpoints/0: params/\S+/wi_0/kernel has shape \(32, 56\), the model's is \(32, 72\)$",
        ),
        (lambda f: shutil.rmtree(f / "checkpoints"), r"checkpoints: no checkpoints there"),
        (
            lambda f: (f / "model.json").write_text("{}"),
            r"model\.json: damaged \(KeyError\('model_type'\)\)",
        ),
    ],
)
def test_a_damaged_checkpoint_is_not_started_from(converted, tmp_path, spoil, message):
    shutil.copytree(converted, tmp_path / "model")
    spoil(tmp_path / "model")
    with pytest.raises(UserError, match=message) as error:
        read_t5(tmp_path / "model")
    assert "\n" not in str(error.value)


def test_the_other_models_checkpoint(converted):
    with pytest.raises(
        UserError, match=r"model\.json: model_type 't5' is not supported as a matcher, only bert$"
    ):
        pretrained.read_config(str(converted), "matcher")
