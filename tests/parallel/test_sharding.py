"""The rules cover the models."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, Mesh
from jax.sharding import PartitionSpec as P

from toner_jax.models import registry
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.t5.config import T5Config
from toner_jax.parallel import mesh as mesh_module
from toner_jax.parallel import sharding
from toner_jax.parallel.sharding import ShardingRules


def mesh_of(*sizes: int) -> Any:
    """A mesh without devices: specs ask only for its sizes."""
    return AbstractMesh(sizes, mesh_module.AXES)


CUBE = mesh_of(2, 2, 2)


Shapes = dict[str, tuple[int, ...]]


def shapes_of(config: T5Config | BertConfig, **heads: int) -> tuple[ShardingRules, Shapes]:
    """The rules of an architecture, and path → shape of every parameter."""
    architecture = registry.of(config)
    init = registry.initializer(architecture.module(config, **heads))
    leaves = jax.tree_util.tree_leaves_with_path(jax.eval_shape(init, jax.random.key(0)))
    return architecture.sharding, {sharding.path_string(path): leaf.shape for path, leaf in leaves}


def gte(size: str) -> tuple[ShardingRules, Shapes]:
    return shapes_of(BertConfig.gte(size))


def flan(size: str, **changes: Any) -> tuple[ShardingRules, Shapes]:
    return shapes_of(replace(T5Config.flan(size), **changes), num_types=18)


ONE_LAYER = {"num_layers": 1, "num_decoder_layers": 1}
MODELS: dict[str, Callable[[], tuple[ShardingRules, Shapes]]] = {
    "flan-t5-small": lambda: flan("small"),
    "flan-t5-base": lambda: flan("base", **ONE_LAYER),  # paths differ by the layer's number alone
    "flan-t5-large": lambda: flan("large", **ONE_LAYER),
    "flan-t5-xl": lambda: flan("xl", **ONE_LAYER),
    "flan-t5-xxl": lambda: flan("xxl"),
    "gte-small": lambda: gte("small"),
    "gte-base": lambda: gte("base"),
    "gte-large": lambda: gte("large"),
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(m, marks=pytest.mark.slow) if m in ("flan-t5-xxl", "gte-large") else m for m in MODELS
    ],
)
def parameters(request) -> tuple[ShardingRules, Shapes]:
    return MODELS[request.param]()


# Which dimensions are split, and over what, by what a parameter is; written apart from the table.
EXPECTED = {
    r"/(query|key|value|wi_0|wi_1|intermediate)/kernel$": ("fsdp", "tensor"),
    r"^(type_head/dense|pooler)/kernel$": ("fsdp", "tensor"),
    r"^lm_head/kernel$": ("fsdp", "tensor"),
    r"/(wo|output)/kernel$|(attention|type_head)/out/kernel$": ("tensor", "fsdp"),
    r"^(shared|word_embeddings)/embedding$": ("tensor", "fsdp"),
    r"^position_embeddings/embedding$": (None, "fsdp"),
    r"relative_attention_bias|token_type_embeddings|/bias$|/scale$": (),
}


def test_every_parameter_is_where_it_should_be(parameters):
    rules, shapes = parameters
    assert len(shapes) >= 30
    for path, shape in shapes.items():
        matching = [spec for pattern, spec in EXPECTED.items() if re.search(pattern, path)]
        assert len(matching) == 1, path
        found = rules.spec(path, shape, CUBE)
        assert tuple(found) == matching[0], path


def axes_of(spec: P) -> list[str]:
    """Of all dimensions together."""
    return [axis for axes in spec if axes for axis in ((axes,) if isinstance(axes, str) else axes)]


def held_by_a_device(rules: ShardingRules, shapes: Shapes, mesh: Any) -> int:
    """How many numbers of the parameters."""
    total = 0
    for path, shape in shapes.items():
        spec = rules.spec(path, shape, mesh)
        total += math.prod(shape) // math.prod(mesh.shape[axis] for axis in axes_of(spec))
    return total


@pytest.mark.parametrize("sizes", [(1, 8, 1), (1, 4, 2), (4, 1, 2)])
def test_a_device_holds_its_share(parameters, sizes):
    """One over fsdp × tensor of the model, but for the small things that are replicated."""
    rules, shapes = parameters
    share = held_by_a_device(rules, shapes, mesh_of(*sizes)) / sum(map(math.prod, shapes.values()))
    assert 1 <= share * sizes[1] * sizes[2] < 1.15


@pytest.mark.slow
def test_memory_of_the_largest_model():
    """Parameters, gradients and both moments, 16 bytes a parameter: 178 GB, an eighth of it on each of 8."""
    rules, shapes = MODELS["flan-t5-xxl"]()
    assert 16 * sum(map(math.prod, shapes.values())) / 1e9 == pytest.approx(178, rel=0.02)
    assert 16 * held_by_a_device(rules, shapes, mesh_of(1, 8, 1)) / 1e9 == pytest.approx(22.3, rel=0.02)


@pytest.mark.parametrize("kind", registry.SCRATCH)
def test_every_rule_decides_something(kind):
    rules = registry.SCRATCH[kind].sharding
    plain = T5Config(gated_gelu=False, num_layers=1, num_decoder_layers=1)
    _, shapes = shapes_of(plain, num_types=18) if kind == "generator" else gte("small")
    used = Counter(next(p for p, _ in rules.rows if re.search(p, path)) for path in shapes)
    assert [p for p, _ in rules.rows if not used[p]] == []


@pytest.mark.parametrize("path", ["encoder/adapter/kernel", "decoder/layers_0/router/embedding", "kernel"])
def test_a_parameter_without_a_rule_is_an_error(path):
    for architecture in registry.SCRATCH.values():
        with pytest.raises(ValueError, match=re.escape(repr(path))):
            architecture.sharding.spec(path, (8, 8), CUBE)


def test_an_axis_that_does_not_divide_joins_another_or_is_left_out():
    rules = ShardingRules(((r"lm_head/kernel$", P("fsdp", "tensor")),))
    for shape, expected in {
        (6, 6): P(None, "tensor"),
        (6, 8): P(None, ("fsdp", "tensor")),
        (8, 7): P(("fsdp", "tensor")),
        (4, 7): P("fsdp"),
        (7, 7): P(),
    }.items():
        assert rules.spec("lm_head/kernel", shape, mesh_of(1, 4, 2)) == expected, shape


@pytest.mark.parametrize(
    ("preset", "parameter", "moment"),
    [
        ("replicated", P(), P()),
        ("zero1", P(), P(("data", "fsdp"), "tensor")),
        ("fsdp", P("fsdp", "tensor"), P("fsdp", "tensor")),
        ("tensor", P(None, "tensor"), P(("data", "fsdp"), "tensor")),
    ],
)
def test_a_preset_says_what_is_split_over_what(preset, parameter, moment):
    mesh = Mesh(np.array(jax.devices() * 8).reshape(2, 2, 2), mesh_module.AXES)
    shape = jax.ShapeDtypeStruct((16, 32), jnp.float32)
    scalar = jax.ShapeDtypeStruct((), jnp.int32)
    state = {"params": {"a": {"kernel": shape}}, "opt_state": ({"mu": {"a": {"kernel": shape}}}, scalar)}
    rules = ShardingRules(((r"kernel$", P("fsdp", "tensor")),))
    found = sharding.state_shardings(state, mesh, preset, rules)
    assert found["params"]["a"]["kernel"].spec == parameter
    assert found["opt_state"][0]["mu"]["a"]["kernel"].spec == moment
    assert found["opt_state"][1].spec == P()
    placed = jax.tree.map(lambda s, p: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=p), state, found)
    assert sharding.gradient_shardings(placed)["a"]["kernel"].spec == moment


def test_the_first_rule_decides():
    rules = ShardingRules((("a/kernel$", P("fsdp")),)) + ShardingRules((("kernel$", P()),))
    assert rules.spec("a/kernel", (8,), CUBE) == P("fsdp")
    assert rules.spec("b/kernel", (8,), CUBE) == P()


def test_batches_are_rounded_up_to_the_mesh():
    mesh = mesh_of(2, 3, 4)
    assert mesh_module.batch_divisor(mesh) == 6
    assert [mesh_module.round_batch(n, mesh) for n in (1, 6, 7, 32)] == [6, 6, 12, 36]
