"""A finished run on meshes that it was not trained on: the same T′, predictions and parameters.

Run as a program, this file loads a run on eight simulated devices and prints what it finds as JSON.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import eight as simulated
import jax
import numpy as np
import pytest

import toner_jax
from toner_jax.errors import UserError
from toner_jax.runs import reevaluate

pytestmark = pytest.mark.slow

TEXTS = [
    "Judge Ivan Borcalski married Professor Jaman in Selqua in 1973.",
    "No name at all",
    "Rita of Lima",
    "Émile ½ 😀 ( said ) : “no”",
    *(
        f"Doctor {name} and the mayor of Selqua met in {year}."
        for year, name in enumerate("ABCDEFGHIJK", 1960)
    ),
]
MESHES = {"data": (8, 1, 1), "fsdp": (1, 8, 1), "tensor": (1, 1, 8), "cube": (2, 2, 2)}
# Other presets place parameters as one of these does.
PLACEMENTS = ("data replicated", "fsdp fsdp", "tensor tensor", "cube fsdp", "cube tensor", "cube replicated")


def predicted(ner: toner_jax.Ner) -> dict[str, Any]:
    rows = ner.predict(TEXTS)
    return {
        "predicted": [[[e.start, e.end, e.label] for e in row] for row in rows],
        "scores": [e.score for row in rows for e in row],
        "types": [sorted(types) for types in ner.match_types(TEXTS)],
    }


def found_by(workdir: Path, mesh: tuple[int, ...], preset: str) -> dict[str, Any]:
    changes = [
        (f"mesh.{axis}", str(size)) for axis, size in zip(("data", "fsdp", "tensor"), mesh, strict=True)
    ]
    config = reevaluate.changed_config(workdir, [*changes, ("sharding", preset)])
    ner = toner_jax.Ner(workdir, config=config)
    leaves = jax.tree.leaves((ner._restored.generator_params, ner._restored.matcher_params))
    return {
        **predicted(ner),
        "parameters": sum(float(np.abs(np.asarray(leaf, np.float64)).sum()) for leaf in leaves),
        "held": sum(leaf.addressable_shards[0].data.size for leaf in leaves),
        "mesh": list(ner._restored.mesh.shape.values()),
    }


def main(workdir: str) -> None:
    out: dict[str, Any] = {}
    for name in PLACEMENTS:
        mesh, preset = name.split()
        out[name] = found_by(Path(workdir), MESHES[mesh], preset)
    out["default"] = list(toner_jax.load(workdir)._restored.mesh.shape.values())
    print(json.dumps(out))


@pytest.fixture(scope="module")
def eight(finished) -> dict[str, Any]:
    return simulated.run(__file__, str(finished[0]))[0]


@pytest.fixture(scope="module")
def one(ner) -> dict[str, Any]:
    return predicted(ner)


def test_every_mesh_finds_the_same(eight, one):
    assert sum(map(len, one["predicted"])) > 5
    for name, found in eight.items():
        if name != "default":
            assert found["predicted"] == one["predicted"], name
            assert found["types"] == one["types"], name
            np.testing.assert_allclose(found["scores"], one["scores"], atol=1e-5, err_msg=name)


def test_every_mesh_holds_the_same_parameters(eight):
    whole = eight["data replicated"]
    for name, found in eight.items():
        if name != "default":
            assert found["parameters"] == pytest.approx(whole["parameters"], rel=1e-12), name
            assert found["mesh"] == list(MESHES[name.split()[0]])
    assert eight["fsdp fsdp"]["held"] < whole["held"] / 3  # of so small a model, much is too small to split
    assert eight["tensor tensor"]["held"] < whole["held"] / 3


def test_by_default_each_device_takes_its_share_of_the_texts(eight):
    assert eight["default"] == [8, 1, 1]


def test_a_mesh_that_does_not_fit_the_devices_is_refused(finished):
    with pytest.raises(UserError, match=r"mesh\.fsdp=8.*their product must be the number of devices, 1"):
        reevaluate.changed_config(finished[0], [("mesh.fsdp", "8")])


if __name__ == "__main__":
    main(*islice(sys.argv, 1, None))
