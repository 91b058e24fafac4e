"""What a training step moves between devices, as the compiler has decided it.

Tests of where state lies, and of equal losses, cannot see what is moved. Run as a program, this file compiles steps for
eight simulated devices and prints what it found as JSON: `test_collectives.py NAME …`, each name a model, a mesh of
MESHES and a preset.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import eight
import jax
import numpy as np
import pytest

from toner_jax.models import registry
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.model import Bert
from toner_jax.models.t5.config import T5Config
from toner_jax.models.toner import ToNER
from toner_jax.parallel.hlo import read_program
from toner_jax.parallel.mesh import abstract_batch, batch_divisor, make_mesh
from toner_jax.parallel.sharding import placed, state_shardings
from toner_jax.pipeline.unpadding import cells, groups_of, layout_arrays, room
from toner_jax.training.objectives import GeneratorObjective, MatcherObjective
from toner_jax.training.optimizer import adamw, linear_schedule
from toner_jax.training.state import abstract_state, make_train_step

DEVICES = 8
WIDTH, SOURCE, TARGET, TYPES, DESCRIPTION = 64, 48, 16, 8, 24
T5 = T5Config(
    vocab_size=520,
    d_model=WIDTH,
    d_kv=8,
    d_ff=256,
    num_layers=1,
    num_decoder_layers=1,
    num_heads=8,
    dropout_rate=0.0,
)
# Its vocabulary divides by no number of devices, as GTE's does.
BERT = BertConfig(
    vocab_size=521, hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=8, intermediate_size=256,
    max_position_embeddings=64, dropout_rate=0.0,
)  # fmt: skip
MESHES = {"one": (1, 1, 1), "data": (8, 1, 1), "fsdp": (1, 8, 1), "tensor": (1, 1, 8), "cube": (2, 2, 2)}
BY_ROWS = ("data replicated", "data zero1", "fsdp fsdp")
OTHERS = ("tensor tensor", "cube fsdp", "cube zero1", "cube tensor")


SMALL = (
    100 * WIDTH
)  # more than all parameters that are split over no axis, or over fsdp alone: norms, biases, positions


def step_of(kind: str, mesh: Any, preset: str, rows: int) -> tuple[Any, Any, dict[str, Any]]:
    """A training step, shapes of its state, and a batch."""
    tx = adamw(linear_schedule(1e-3, 10, 0.1), weight_decay=0.01, beta2=0.99, clip_norm=1.0)
    batch: dict[str, np.ndarray] = {
        "present": np.zeros((rows, TYPES), np.float32), "weight": np.zeros(rows, np.float32)
    }  # fmt: skip
    if kind == "generator":
        model: Any = ToNER(T5, num_types=TYPES)
        loss = GeneratorObjective(0.1, "token").loss(model)
        batch |= {
            "source": np.zeros((rows, SOURCE), np.int32),
            "target": np.zeros((rows, TARGET), np.int32),
            "pool_mask": np.zeros((rows, SOURCE), np.float32),
        }
        # As training lays batches out; nothing of that may move what is not moved without it.
        lengths, divisor = np.tile((SOURCE, TARGET), (rows, 1)), batch_divisor(mesh)
        groups = groups_of(rows, divisor, mesh.size // divisor, 1)
        room_ = room(lengths[None], groups)
        batch |= layout_arrays(lengths, np.arange(rows), (SOURCE, TARGET), groups, room_)
    else:
        model = Bert(BERT)
        descriptions = [np.arange(1, DESCRIPTION + 1, dtype=np.int32)] * TYPES
        loss = MatcherObjective(0.1, None).loss(model, descriptions)
        divisor = batch_divisor(mesh)
        groups = groups_of(rows, divisor, mesh.size // divisor, 1)
        batch |= {
            "ids": np.zeros((rows, SOURCE), np.int32),
            "ids_cells": cells(np.full(rows, SOURCE), SOURCE, groups),
            "number": np.arange(rows, dtype=np.int32),
        }
    shapes = abstract_state(registry.initializer(model), tx)
    shardings = state_shardings(shapes, mesh, preset, registry.of(model.config).sharding)
    state = placed(shapes, shardings)
    return make_train_step(loss, tx, state), state, batch


def compiled(name: str, rows: int) -> dict[str, Any]:
    kind, axes, preset = name.split()
    mesh = make_mesh(*MESHES[axes], devices=jax.devices()[: math.prod(MESHES[axes])])
    step, state, batch = step_of(kind, mesh, preset, rows)
    program = step.lower(state, abstract_batch(batch, mesh)).compile()
    read, memory = read_program(program.as_text()), program.memory_analysis()
    return {
        "collectives": [
            [c.kind, shape.dtype, shape.bytes]
            for c in read.collectives
            for _ in range(c.count)
            for shape in c.shapes
        ],
        "flops": read.flops,
        "arguments": memory.argument_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "parameters": sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state["params"])),
    }


def main(*names: str) -> None:
    print(json.dumps({name: {rows: compiled(name, rows) for rows in (32, 64)} for name in names}))


def run_main(*names: str) -> dict[str, Any]:
    found, said = eight.run(__file__, *names)
    assert "Involuntary full rematerialization" not in said
    return found


@pytest.fixture(scope="module")
def fsdp() -> dict[str, Any]:
    """The programs of `make test`."""
    return run_main("generator fsdp fsdp", "matcher fsdp fsdp")


def moved(program: dict[str, Any], *kinds: str) -> int:
    """Bytes of collectives of these kinds, or of all; ids are not counted."""
    return sum(
        size
        for kind, dtype, size in program["collectives"]
        if dtype != "s32" and (not kinds or kind in kinds)
    )


def looked_up(kind: str, rows: int) -> int:
    """Bytes of the states of a device's rows as they are looked up, whose gradient an all-to-all moves."""
    return 4 * WIDTH * (rows // DEVICES) * (SOURCE + (TARGET if kind == "generator" else 0))


def check_rows(kind: str, found: dict[str, Any]) -> None:
    """Of a batch that is split by rows, nothing is moved but gradients of the looked-up states."""
    small, large = found["32"], found["64"]
    kinds = {k for k, _, _ in large["collectives"]}
    assert kinds <= {"all-gather", "all-reduce", "reduce-scatter", "all-to-all"}
    # What is no exchange of the looked-up states' gradients is as large for twice as many rows.
    others = kinds - {"all-to-all"}
    assert moved(large, *others) == moved(small, *others) > 0
    grown = moved(large, "all-to-all") - moved(small, "all-to-all")
    assert grown <= looked_up(kind, 64) - looked_up(kind, 32)
    # No array of the whole batch's activations: the largest are tables.
    activations = 4 * 64 * SOURCE * WIDTH
    assert max(size for _, _, size in large["collectives"]) <= 4 * 521 * WIDTH < activations


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["generator", "matcher"])
def test_fsdp_moves_parameters_and_no_activations(fsdp, kind):
    check_rows(kind, fsdp[f"{kind} fsdp fsdp"])


@pytest.fixture(scope="module", params=["generator", pytest.param("matcher", marks=pytest.mark.long)])
def every(request) -> tuple[str, dict[str, Any]]:
    """All presets of a model."""
    kind = request.param
    found = run_main(*(f"{kind} {name}" for name in ("one replicated", *BY_ROWS, *OTHERS)))
    return kind, {name.removeprefix(f"{kind} "): programs for name, programs in found.items()}


@pytest.mark.slow
def test_every_preset_moves_what_it_should(every):
    kind, programs = every
    for name in BY_ROWS:
        check_rows(kind, programs[name])
    for (
        name
    ) in OTHERS:  # heads and hidden units are split: their sums over the devices of a row are activations
        small, large = programs[name]["32"], programs[name]["64"]
        assert moved(large) <= 2 * moved(small), name
        # States between sublayers, of the rows of one place, and never anything as wide as hidden units or scores.
        states = 4 * (64 // math.prod(MESHES[name.split()[0]][:2])) * (SOURCE + TARGET) * WIDTH
        assert max(size for _, _, size in large["collectives"]) <= max(states, 4 * 521 * WIDTH), name
    # Whole parameters are reduced once, and moved nowhere: what is gathered is the tables' gradients, and vectors.
    assert moved(programs["data replicated"]["32"], "all-gather") <= 4 * (521 + SMALL // WIDTH) * WIDTH


@pytest.mark.slow
def test_every_preset_holds_its_share_and_computes_its_share(every):
    _, programs = every
    bytes_of = {"data replicated": 12, "data zero1": 4 + 8 / 8, "cube zero1": 4 + 8 / 8, "cube fsdp": 12 / 4}
    bytes_of |= {"fsdp fsdp": 12 / 8, "tensor tensor": 12 / 8, "cube tensor": 4 / 2 + 8 / 8}
    whole = programs["one replicated"]["64"]
    for name, expected in bytes_of.items():
        found = programs[name]["64"]
        assert found["arguments"] <= 1.1 * expected * found["parameters"] + 12 * SMALL, name
        assert found["flops"] * DEVICES <= 1.1 * whole["flops"], name


@pytest.mark.slow
def test_no_device_computes_what_another_does(every):
    """The descriptions of all types too are encoded once, on all devices together."""
    _, programs = every
    share, whole = (programs[name]["64"]["flops"] for name in ("fsdp fsdp", "one replicated"))
    assert share * DEVICES == pytest.approx(whole, rel=0.02)


@pytest.mark.slow
def test_fsdp_holds_an_eighth_of_the_state(every):
    """Parameters and two moments in fp32: 12 bytes a parameter; the small ones are whole."""
    _, programs = every
    one, share = (programs[name]["32"] for name in ("one replicated", "fsdp fsdp"))
    assert one["arguments"] == pytest.approx(12 * one["parameters"], rel=0.1)
    assert share["arguments"] <= 1.25 * one["arguments"] / DEVICES
    assert share["temporaries"] < one["temporaries"] / 2


if __name__ == "__main__":
    main(*sys.argv[1:])
