"""A train state saved on any layout is restored on any other, exactly.

Run as a program, this file saves and restores on eight simulated devices and prints what differed as JSON:
`test_checkpoints_on_a_mesh.py FOLDER`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import eight
import jax
import numpy as np
import pytest
from test_training_on_a_mesh import CONFIG, MESHES, initial

from toner_jax.models import registry
from toner_jax.parallel.mesh import make_mesh
from toner_jax.parallel.sharding import placed, state_shardings
from toner_jax.training.checkpoint import Checkpoints
from toner_jax.training.optimizer import adamw, linear_schedule
from toner_jax.training.state import abstract_state

pytestmark = pytest.mark.slow

# Others lie as one of these does.
LAYOUTS = (
    "one", "data zero1", "fsdp fsdp", "fsdp zero1", "tensor fsdp", "tensor tensor", "cube fsdp", "cube zero1",
    "cube tensor",
)  # fmt: skip


def layout(name: str, shapes: Any) -> Any:
    """The shapes of a state with their shardings."""
    sizes, preset = MESHES[name]
    mesh = make_mesh(*sizes, devices=jax.devices()[:1] if name == "one" else None)
    return placed(shapes, state_shardings(shapes, mesh, preset, registry.of(CONFIG).sharding))


def differs(found: Any, values: Any, wanted: Any) -> bool:
    """Whether a restored state has other bits, or lies elsewhere, than it should."""
    leaves = zip(*map(jax.tree.leaves, (found, values, wanted)), strict=True)
    return any(
        np.asarray(leaf).tobytes() != value.tobytes() or leaf.sharding != where.sharding
        for leaf, value, where in leaves
    )


def main(folder: str) -> None:
    rng = np.random.default_rng(0)
    tx = adamw(linear_schedule(1e-2, 10, 0.2), weight_decay=0.01, beta2=0.99, clip_norm=1.0)
    shapes = abstract_state(initial, tx)
    values = jax.tree.map(lambda s: rng.integers(0, 1 << 30, s.shape).astype(s.dtype), shapes)
    layouts = {name: layout(name, shapes) for name in LAYOUTS}
    wrong, restored, kinds = [], 0, set()
    for name, at in layouts.items():
        state = jax.device_put(values, jax.tree.map(lambda s: s.sharding, at))
        kinds.add(sum(leaf.addressable_shards[0].data.size for leaf in jax.tree.leaves(state)))
        with Checkpoints(Path(folder) / name.replace(" ", "_")) as checkpoints:
            checkpoints.save(1, state, {})
            checkpoints.wait()
            for other, wanted in layouts.items():
                restored += 1
                if differs(checkpoints.restore(1, wanted), values, wanted):
                    wrong.append([name, other])
    print(json.dumps({"wrong": wrong, "restored": restored, "kinds": len(kinds)}))


def test_every_layout_restores_every_other(tmp_path):
    found = eight.run(__file__, str(tmp_path))[0]
    assert found["wrong"] == []
    assert found["restored"] == len(LAYOUTS) ** 2
    assert found["kinds"] >= 4  # shares that a device holds: the layouts do differ


if __name__ == "__main__":
    main(*sys.argv[1:])
