"""Decoding on a mesh is decoding on one device: the same outputs, in the order of the inputs.

Run as a program, this file decodes on eight simulated devices and prints what it found as JSON:
`test_decoding_on_a_mesh.py NAME …`, each name a mesh of MESHES, a preset, where the weights are, and a way of decoding.
"""

from __future__ import annotations

import functools
import json
import math
import random
import re
import sys
from typing import Any

import eight
import jax
import numpy as np
import pytest

from toner_jax.inference.constrained import GrammarGenerator
from toner_jax.inference.free import FreeGenerator
from toner_jax.inference.options import DecodeOptions
from toner_jax.inference.programs import Programs
from toner_jax.models import registry
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.decoder import T5Decoder
from toner_jax.models.toner import ToNER
from toner_jax.parallel.hlo import read_program
from toner_jax.parallel.mesh import make_mesh
from toner_jax.parallel.sharding import parameter_shardings, placed
from toner_jax.schema import EntityType, Schema
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.output import Input
from toner_jax.text.ids import WordIds

CONFIG = T5Config(
    vocab_size=136, d_model=64, d_kv=8, d_ff=128, num_layers=1, num_decoder_layers=1, num_heads=8
)  # fmt: skip
SCHEMA = Schema("letters", tuple(EntityType(name, "") for name in ("ab", "cd", "ef")))
MESHES = {"one": (1, 1, 1), "data": (8, 1, 1), "fsdp": (1, 8, 1), "tensor": (1, 1, 8), "cube": (2, 2, 2)}
REQUESTS, ROWS, SOURCE, LENGTH = 300, 16, 128, 40
SLOTS = 96  # of the caches: 24 passes of 4 tokens
ONE = "one replicated auto grammar"
IN_STEP = ("fsdp fsdp split grammar", "tensor tensor whole grammar")
APART = ("data zero1 auto grammar", "fsdp fsdp whole grammar", "cube tensor whole grammar")
FREE = ("one replicated auto free", "fsdp fsdp whole free")
# Rows and heads of each device's caches.
HELD = {"data": [[2, 8]], "fsdp": [[2, 8]], "tensor": [[16, 1]], "cube": [[4, 4]]}


class Letters:
    """A tokenizer whose pieces are characters."""

    digest, added, vocab_size = "letters", (), 136
    pad_id, eos_id, unk_id, cls_id, sep_id = 0, 1, 2, 3, 4

    def encode(self, strings):
        return [tuple(map(ord, string)) for string in strings]

    def piece(self, id):
        return chr(id)


def inputs() -> list[Input]:
    rng = random.Random(0)
    words = ["ab", "Cd", "x1", "e", "Fgh"]
    return [
        Input(tuple(rng.choices(words, k=rng.randrange(14))), rng.choice([(), ("ab",), ("ef", "cd")]))
        for _ in range(REQUESTS)
    ]


def weights(params: Any) -> Any:
    """Of a model that writes lists of many lengths."""
    rng = np.random.default_rng(3)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.4, leaf.shape).astype(np.float32), params)


def found_by(name: str) -> dict[str, Any]:
    axes, preset, where, way = name.split()
    mesh = make_mesh(*MESHES[axes], devices=jax.devices()[: math.prod(MESHES[axes])])
    model = ToNER(CONFIG, num_types=len(SCHEMA.types))
    shapes = jax.eval_shape(registry.initializer(model), jax.random.key(0))
    shardings = parameter_shardings(shapes, mesh, registry.of(CONFIG).sharding, preset)
    params = jax.device_put(weights(shapes), shardings)
    options = DecodeOptions(max_source=SOURCE, max_length=LENGTH, batch_size=ROWS, weights=where)
    programs = Programs(functools.partial(T5Decoder, model), mesh)
    task = Entities(WordIds(Letters()), SCHEMA)
    make = GrammarGenerator if way == "grammar" else FreeGenerator
    generate = make(programs, task, mesh, options)
    outputs = generate(params, inputs()[: REQUESTS if way == "grammar" else 20])
    alone = generate(params, inputs()[:1])
    return {
        "tokens": [list(o.tokens) for o in outputs],
        "scores": [float(np.sum(o.scores)) for o in outputs],
        "alone": [list(o.tokens) for o in alone],
        "passes": generate.work.passes,
        **(compiled(generate, placed(shapes, shardings)) if name in (ONE, *APART, *IN_STEP) else {}),
    }


def compiled(generate: GrammarGenerator, params: Any) -> dict[str, Any]:
    """What a program holds of each device, and what its loops move."""
    program = generate.lower(params, SOURCE).compile()
    text = program.as_text()
    read, caches = read_program(text), re.findall(rf"f32\[(\d+),(\d+),{CONFIG.d_kv},{SLOTS}\]", text)
    return {
        "in loops": [c.kind for c in read.collectives if c.in_loop],
        # () of groups: all devices are one.
        "joined": max(
            (len(g) for c in read.collectives if c.in_loop for g in c.groups or [range(8)]), default=0
        ),
        "caches": [list(sizes) for sizes in {(int(rows), int(heads)) for rows, heads in caches}],
    }


def main(*names: str) -> None:
    print(json.dumps({name: found_by(name) for name in names}))


@pytest.fixture(scope="module")
def every() -> dict[str, Any]:
    return eight.run(__file__, ONE, *APART, *IN_STEP, *FREE)[0]


def same(found: dict[str, Any], one: dict[str, Any], name: str) -> None:
    assert found["tokens"] == one["tokens"], name
    assert found["alone"] == one["alone"], name
    np.testing.assert_allclose(found["scores"], one["scores"], atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_every_mesh_writes_the_same(every):
    one = every[ONE]
    lengths = {len(tokens) for tokens in one["tokens"]}
    assert len(lengths) > 10
    assert len({tuple(t) for t in one["tokens"]}) > 100
    for name in (*APART, *IN_STEP):
        same(every[name], one, name)
    for name in FREE[1:]:
        same(every[name], every[FREE[0]], name)


@pytest.mark.slow
def test_each_place_goes_on_without_the_others(every):
    """No loop waits for another place; where heads are split, the sums over them join the devices of a place alone."""
    for name in APART:
        kinds = set(every[name]["in loops"])
        assert kinds <= ({"all-reduce", "all-gather"} if name.startswith("cube") else set()), name
        assert every[name]["joined"] == (2 if kinds else 0), name
    assert every["cube tensor whole grammar"]["joined"] == 2
    assert "all-reduce" in every["fsdp fsdp split grammar"]["in loops"]  # whether any row still decodes


@pytest.mark.slow
def test_each_device_holds_its_own_rows(every):
    """Its caches are of its share of the rows, and of the heads; there is no larger one."""
    assert every[ONE]["caches"] == [[16, 8]]
    for name in (*APART, *IN_STEP):
        assert every[name]["caches"] == HELD[name.split()[0]], name


@pytest.mark.slow
def test_no_place_is_left_with_less_to_do(every):
    """Requests are dealt out, so that each place takes about an eighth of the passes."""
    one, apart = every[ONE], every["data zero1 auto grammar"]
    assert apart["passes"] < 1.6 * one["passes"]  # of 2 rows each rather than 16


if __name__ == "__main__":
    main(*sys.argv[1:])
