"""Training on a mesh is training on one device.

Run as a program, this file trains on eight simulated devices and prints what it saw as JSON:
`test_training_on_a_mesh.py DROPOUT MESH …`, the meshes by their names in MESHES.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import eight as simulated
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh

from toner_jax.errors import UserError
from toner_jax.models import registry
from toner_jax.models.t5.config import T5Config
from toner_jax.models.toner import ToNER
from toner_jax.parallel import mesh as mesh_module
from toner_jax.parallel import sharding
from toner_jax.pipeline import unpadding
from toner_jax.training.objectives import GeneratorObjective
from toner_jax.training.optimizer import adamw, linear_schedule
from toner_jax.training.state import Seed, create_state, make_train_step

pytestmark = pytest.mark.slow

CONFIG = T5Config(vocab_size=48, d_model=16, d_kv=4, d_ff=32, num_layers=1, num_decoder_layers=1, num_heads=4)
# States of so many source tokens are split over the tensor axis, those of so few target tokens are not.
STEPS, ROWS, SOURCE, TARGET = 20, 16, 16, 6
MESHES = {
    "one": ((1, 1, 1), "fsdp"),
    **{
        f"{name} {preset}": (sizes, preset)
        for name, sizes in {
            "data": (8, 1, 1),
            "fsdp": (1, 8, 1),
            "tensor": (1, 1, 8),
            "cube": (2, 2, 2),
        }.items()
        for preset in sharding.PRESETS
    },
}
GOOD_MESHES = {(-1, 1, 1): [8, 1, 1], (-1, 2, 2): [2, 2, 2], (-1, 8, 1): [1, 8, 1], (4, 1, 2): [4, 1, 2]}
BAD_MESHES = [(3, 1, 1), (8, 2, 1), (-1, 3, 1), (-1, 16, 1)]
# A parameter of each kind: its spec under (2, 2, 2), and its shape and a device's share of it there.
WATCHED = {
    "shared/embedding": (["tensor", "fsdp"], [48, 16], [24, 8]),
    "lm_head/kernel": (["fsdp", "tensor"], [16, 48], [8, 24]),
    "encoder/layers_0/self_attention/query/kernel": (["fsdp", "tensor"], [16, 16], [8, 8]),
    "decoder/layers_0/cross_attention/out/kernel": (["tensor", "fsdp"], [16, 16], [8, 8]),
    "decoder/layers_0/feed_forward/wi_1/kernel": (["fsdp", "tensor"], [16, 32], [8, 16]),
    "decoder/layers_0/feed_forward/wo/kernel": (["tensor", "fsdp"], [32, 16], [16, 8]),
    "encoder/final_norm/scale": ([], [16], [16]),
    "type_head/dense/kernel": (["fsdp", "tensor"], [16, 16], [8, 8]),
}


def two_batches(mesh: Mesh) -> list[dict[str, np.ndarray]]:
    """Batches of rows of very different lengths, without their padding, laid out for a mesh; three rows count for
    nothing."""
    rng = np.random.default_rng(0)
    out = []
    for _ in range(2):
        lengths = np.stack([rng.integers(1, most + 1, ROWS) for most in (SOURCE, TARGET)], 1)
        source, target = (rng.integers(2, 48, (ROWS, most)) for most in (SOURCE, TARGET))
        for ids, of in ((source, lengths[:, 0]), (target, lengths[:, 1])):
            ids[np.arange(ids.shape[1]) >= of[:, None]] = 0
        batch = {
            "source": source.astype(np.int32),
            "target": target.astype(np.int32),
            "pool_mask": (source != 0).astype(np.float32),
            "present": (rng.random((ROWS, 18)) < 0.4).astype(np.float32),
            "weight": (np.arange(ROWS) < ROWS - 3).astype(np.float32),
        }
        rows = mesh_module.batch_divisor(mesh)
        groups = unpadding.groups_of(ROWS, rows, mesh.size // rows, 1)
        (order,) = unpadding.share_out(lengths[None], groups)
        room = unpadding.room(lengths[None], groups)
        layout = unpadding.layout_arrays(lengths[order], order, (SOURCE, TARGET), groups, room)
        out.append({name: rows[order] for name, rows in batch.items()} | layout)
    return out


def initial(key: jax.Array) -> Any:
    """Random parameters; from NumPy, since compiling JAX's generators takes longer than the training."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda s: jnp.asarray(rng.normal(0, 0.3, s.shape) if s.ndim > 1 else np.ones(s.shape), s.dtype),
        jax.eval_shape(registry.initializer(ToNER(CONFIG, num_types=18)), jax.random.key(0)),
    )


def describe(tree: Any) -> dict[str, Any]:
    """Of each watched leaf: its spec, its shape, and the distinct pieces of it that devices hold."""
    leaves = {sharding.path_string(p): v for p, v in jax.tree_util.tree_leaves_with_path(tree)}
    return {
        path: {
            "spec": list(leaves[path].sharding.spec),
            "shape": leaves[path].shape,
            "shard": leaves[path].addressable_shards[0].data.shape,
            "pieces": len({str(s.index) for s in leaves[path].addressable_shards}),
        }
        for path in WATCHED
    }


def train(mesh: Mesh, preset: str, dropout: float) -> dict[str, Any]:
    tx = adamw(linear_schedule(1e-2, STEPS, 0.2), weight_decay=0.01, beta2=0.99, clip_norm=1.0)
    state = create_state(initial, tx, Seed(0), mesh, preset, registry.of(CONFIG).sharding)
    born = describe(state["params"])
    model = ToNER(replace(CONFIG, dropout_rate=dropout), num_types=18)
    step = make_train_step(GeneratorObjective(0.1, "token").loss(model), tx, state)
    values, batches = [], two_batches(mesh)
    for i in range(STEPS):
        state, metrics = step(state, mesh_module.shard_batch(batches[i % 2], mesh))
        values.append(float(metrics["loss"]))
    moments = state["opt_state"][1][0]
    assert int(state["step"]) == STEPS
    return {
        "losses": values,
        "born": born,
        "params": describe(state["params"]),
        "mu": describe(moments.mu),
        "nu": describe(moments.nu),
    }


def main(dropout: str, *names: str) -> None:
    out: dict[str, Any] = {}
    for name in names:
        sizes, preset = MESHES[name]
        if name == "one":
            mesh = jax.make_mesh(sizes, mesh_module.AXES, (AxisType.Auto,) * 3, devices=jax.devices()[:1])
        else:
            mesh = mesh_module.make_mesh(*sizes)
        out[name] = train(mesh, preset, float(dropout))
    out["meshes"] = {}
    for sizes in (*GOOD_MESHES, *BAD_MESHES):
        try:
            out["meshes"][str(sizes)] = list(mesh_module.make_mesh(*sizes).shape.values())
        except UserError as error:
            out["meshes"][str(sizes)] = str(error)
    print(json.dumps(out))


def run_main(dropout: float, *names: str) -> dict[str, Any]:
    """What `main` prints on eight simulated devices; compiled without optimization, which takes longer
    than these few steps."""
    return simulated.run(__file__, str(dropout), *names, flags="--xla_backend_optimization_level=0")[0]


@pytest.fixture(scope="module")
def eight() -> dict[str, Any]:
    return run_main(0.0, "one", "cube fsdp", "cube zero1")


@pytest.mark.parametrize("name", ["cube fsdp", "cube zero1"])
def test_twenty_steps_on_a_mesh_are_twenty_steps_on_one_device(eight, name):
    np.testing.assert_allclose(eight[name]["losses"], eight["one"]["losses"], atol=1e-5)


@pytest.mark.parametrize(
    "names",
    [
        ("one", "data fsdp", "fsdp fsdp", "tensor tensor", "cube tensor"),
        pytest.param(tuple(MESHES), marks=pytest.mark.long),
    ],
    ids=["some", "all"],
)
def test_every_mesh_trains_as_one_device_does(names):
    """With dropout, whose masks are those of one device; what `data` alone splits is no parameter."""
    found = run_main(0.2, *names)
    for name in names:
        np.testing.assert_allclose(found[name]["losses"], found["one"]["losses"], atol=1e-5, err_msg=name)
    for part in ("born", "params", "mu", "nu"):
        assert all(d["pieces"] == 1 and d["shard"] == d["shape"] for d in found["data fsdp"][part].values())


def test_the_loss_falls(eight):
    """Else twenty equal losses would say little."""
    values = eight["one"]["losses"]
    assert np.mean(values[-2:]) < np.mean(values[:2]) - 0.1
    assert len(set(values)) == STEPS


SPLIT = {
    path: {"spec": spec, "shape": shape, "shard": shard, "pieces": 4 if spec else 1}
    for path, (spec, shape, shard) in WATCHED.items()
}
# Over data too, which makes fsdp's pieces half as large again.
JOINTLY = {
    path: {
        "spec": [["data", "fsdp"] if axis == "fsdp" else axis for axis in spec],
        "shape": shape,
        "shard": [n // 2 if i < len(spec) and spec[i] == "fsdp" else n for i, n in enumerate(shard)],
        "pieces": 8 if spec else 1,
    }
    for path, (spec, shape, shard) in WATCHED.items()
}
WHOLE = {
    path: {"spec": [], "shape": shape, "shard": shape, "pieces": 1} for path, (_, shape, _) in WATCHED.items()
}


@pytest.mark.parametrize("part", ["born", "params", "mu", "nu"])
def test_fsdp_splits_parameters_and_moments_from_birth_on(eight, part):
    assert eight["cube fsdp"][part] == SPLIT


@pytest.mark.parametrize(
    ("part", "expected"), [("born", WHOLE), ("params", WHOLE), ("mu", JOINTLY), ("nu", JOINTLY)]
)
def test_zero1_replicates_parameters_and_splits_moments(eight, part, expected):
    assert eight["cube zero1"][part] == expected


@pytest.mark.parametrize("sizes", GOOD_MESHES)
def test_a_mesh_takes_what_is_left_for_data(eight, sizes):
    assert eight["meshes"][str(sizes)] == GOOD_MESHES[sizes]


@pytest.mark.parametrize("sizes", BAD_MESHES)
def test_a_mesh_of_the_wrong_size_is_refused(eight, sizes):
    message = eight["meshes"][str(sizes)]
    assert isinstance(message, str), "it was made"
    assert f"mesh.fsdp={sizes[1]}, mesh.tensor={sizes[2]}" in message
    assert message.endswith("the number of devices, 8")


if __name__ == "__main__":
    main(*sys.argv[1:])
