"""Hugging Face folders onto many devices and processes: each tensor straight to where it will live."""

import os
import socket
import subprocess
import sys

import optax
import oracles
import pytest
from checkpoints import assert_equal

from toner_jax.models import registry
from toner_jax.models.toner import ToNER
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs.export import pretrained
from toner_jax.training.state import Seed, create_state


def test_a_state_born_from_a_checkpoint(flan):
    """The type head stays random."""
    model = ToNER(registry.read_config(flan, "generator"), num_types=3)
    architecture = registry.of(model.config)
    state = create_state(
        init=registry.initializer(model),
        tx=optax.sgd(0.1),
        seed=Seed(0),
        mesh=make_mesh(),
        preset="fsdp",
        rules=architecture.sharding,
        load=pretrained.loader(str(flan), architecture.hf),
    )
    params = dict(state["params"])
    assert params.pop("type_head")["out"]["kernel"].shape == (32, 3)
    assert_equal(params, oracles.our_t5(flan)[1])


def environment_of(devices: int) -> dict[str, str]:
    """That of a program which sees so many devices and imports what tests import."""
    return os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


MESH_PROGRAM = """
import sys
from pathlib import Path
import jax, numpy as np
import oracles
from flax.traverse_util import flatten_dict
from toner_jax.models.t5.hugging_face import NAMES
from toner_jax.parallel.mesh import make_mesh
from toner_jax.parallel.sharding import parameter_shardings
from toner_jax.models import registry
from safetensors.numpy import load_file

folder = Path(sys.argv[1])
mesh = make_mesh(data=2, fsdp=2, tensor=2)
model, params = oracles.our_t5(folder, mesh)
shardings = parameter_shardings(params, mesh, registry.of(model.config).sharding)
assert jax.tree.all(jax.tree.map(lambda x, s: x.sharding == s, params, shardings))
stored, pieces = load_file(folder / "model.safetensors"), set()
for path, array in flatten_dict(params, sep="/").items():
    name, transpose = NAMES.tensor(path)
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


@pytest.mark.slow
def test_placed_on_eight_devices(flan):
    environment = environment_of(8)
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
import oracles
from toner_jax.parallel.mesh import make_mesh

model, params = oracles.our_t5(Path(source), make_mesh(data=1, fsdp=4))
assert not params["shared"]["embedding"].is_fully_addressable
oracles.save(Path(exported), model, params, max_shard_bytes=20_000)
"""


@pytest.mark.slow
def test_two_processes_load_and_save(flan, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = environment_of(2)
    command = [sys.executable, "-c", PROCESSES_PROGRAM, str(flan), str(tmp_path / "exported"), port]
    runs = [
        subprocess.Popen([*command, str(i)], env=environment, stderr=subprocess.PIPE, text=True)
        for i in range(2)
    ]
    errors = [run.communicate(timeout=120)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
    assert_equal(oracles.our_t5(tmp_path / "exported")[1], oracles.our_t5(flan)[1])
