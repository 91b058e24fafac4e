"""What the backward pass computes again is what memory asks for, by estimates that agree with the compiler's plans."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from toner_jax.config import base
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.memory import activation_bytes as of_bert
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.memory import activation_bytes as of_t5
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs import stacks

LARGE = T5Config.flan("large")


# GB of temporaries that XLA planned for an A100 (bf16, remat=none), less 0.6 of the gradients.
@pytest.mark.parametrize(
    ("size", "rows", "shape", "planned"),
    [
        ("large", 32, (128, 32), 9.64 - 0.94),
        ("large", 64, (128, 32), 18.32 - 0.94),
        ("base", 32, (128, 32), 3.60 - 0.30),
        ("large", 32, (512, 128), 51.11 - 0.94),
        ("xl", 8, (128, 32), 7.28 - 3.42),
    ],
)
def test_estimates_of_t5_agree_with_the_compiler(size, rows, shape, planned):
    tokens = rows * shape[0], rows * shape[1]
    assert of_t5(T5Config.flan(size), rows, shape, tokens, 2) / 1e9 == pytest.approx(planned, rel=0.17)


@pytest.mark.parametrize(("length", "planned"), [(128, 7.64 - 0.40), (512, 39.39 - 0.40)])
def test_estimates_of_bert_agree_with_the_compiler(length, planned):
    sizes = BertConfig.gte("large")
    found = of_bert(sizes, 32, length, 2) + of_bert(sizes, 18, 24, 2)
    assert found / 1e9 == pytest.approx(planned, rel=0.17)


def test_tokens_that_are_left_out_take_no_memory():
    whole, most = of_t5(LARGE, 32, (128, 32), (4096, 1024), 2), of_t5(LARGE, 32, (128, 32), (3072, 768), 2)
    assert 0.7 * whole < most < 0.85 * whole


def chosen(monkeypatch, limit, **keys):
    """For Flan-T5-large and batches of 32 × 512 / 128, with a gigabyte of state: what is chosen, and what is said."""
    section, told = base().generator, []
    for key, value in keys.items():
        section[key] = value
    monkeypatch.setattr(stacks, "memory_limit", lambda device: limit)
    monkeypatch.setattr(stacks, "say", told.append)
    mesh = make_mesh(1, 1, 1, jax.devices()[:1])
    place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    held = jax.ShapeDtypeStruct((250_000_000,), jnp.float32, sharding=place)
    rooms = [((64, 16), (2048, 512)), ((512, 128), (16_384, 4096))]
    model = SimpleNamespace(config=LARGE, dtype=jnp.bfloat16)
    return stacks.generator_stack(section, model, {"params": held}, mesh, 32, rooms), told


@pytest.mark.parametrize(
    ("gigabytes", "remat"),
    [(None, "none"), (80, "none"), (40, "products"), (24, "products"), (21, "full"), (4, "full")],
)
def test_the_first_that_fits(monkeypatch, gigabytes, remat):
    stack, told = chosen(monkeypatch, None if gigabytes is None else gigabytes * 10**9)
    assert (stack.remat, stack.scan) == (remat, False)
    assert len(told) == (remat != "none")
    if told:
        assert told[0].startswith("generator: activations of about ")
        assert told[0].endswith(f"remat={remat}")


def test_parts_take_less(monkeypatch):
    assert chosen(monkeypatch, 40 * 10**9, microbatches=2)[0].remat == "none"


def test_what_is_asked_for_stands(monkeypatch):
    stack, told = chosen(monkeypatch, 10**9, remat="none", scan_layers=True)
    assert (stack.remat, stack.scan, told) == ("none", True, [])
