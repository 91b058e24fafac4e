"""A training that is traced: what the page says against what was run, and that it changes nothing."""

from __future__ import annotations

import gzip
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_loop import STEPS, _run

from toner_jax.training.profile import PAGE, Operation, Profile, operations, page


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """Seven steps of two products, of which the last four are traced."""
    folder = tmp_path_factory.mktemp("profile")
    step = jax.jit(lambda w: jnp.tanh(w @ w) @ w)
    w, profile = jnp.ones((300, 300)), Profile(folder, 2)
    for _ in range(12):
        profile.before(w)
        w = step(w)
        profile.after(w)
    return folder


def test_the_page_counts_what_was_run(traced):
    (trace,) = traced.glob("plugins/profile/*/*.xplane.pb")
    found = operations(trace)
    products = [o for o in found if o.kind == "matrix products"]
    assert products
    assert {o.runs for o in products} <= {2, 4}  # of two steps; the compiler may have joined both products
    assert all(0 < o.seconds < 1 for o in products)
    text = (traced / PAGE).read_text(encoding="utf-8")
    assert re.search(r"A step took \d+\.\d ms", text)
    assert re.search(r"\| matrix products \| \d+\.\d\d \| \d+\.\d% \|", text)
    assert f"| `{products[0].name}` |" in text


def test_perfetto_opens_the_trace(traced):
    (file,) = traced.glob("plugins/profile/*/perfetto_trace.json.gz")
    with gzip.open(file, "rt") as opened:
        events = json.load(opened)["traceEvents"]
    assert any(re.match("dot|ynn_fusion", event.get("name", "")) for event in events)


@pytest.mark.slow
def test_a_training_is_the_same(tmp_path, monkeypatch):
    plain = _run(tmp_path / "plain")
    monkeypatch.setattr("toner_jax.training.loop.FitOptions.profile", 3)
    from toner_jax.training import loop

    made = loop.Profile
    monkeypatch.setattr(loop, "Profile", lambda folder, steps: made(folder, 3))
    traced = _run(tmp_path / "traced")
    assert (tmp_path / "traced/toy/profile" / PAGE).exists()
    assert not (tmp_path / "plain/toy/profile").exists()
    assert int(traced[0]["step"]) == STEPS
    for left, right in zip(jax.tree.leaves(plain[0]), jax.tree.leaves(traced[0]), strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_page_of_a_shorter_training_is_none(tmp_path):
    profile = Profile(tmp_path, 50)
    for _ in range(7):
        profile.before(None)
        profile.after(None)
    profile.stop()
    assert not (tmp_path / PAGE).exists()
    with jax.profiler.trace(tmp_path):  # another can begin
        pass


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gemm_fusion_dot_general", "matrix products"),
        ("all-reduce-start", "exchanges between devices"),
        ("loop_reduce_fusion", "sums and maxima"),
        ("loop_add_fusion", "other arithmetic"),
        ("copy_fusion", "copies"),
        ("dynamic-update-slice", "copies"),
        ("broadcast_multiply_fusion", "other arithmetic"),
        ("rng-bit-generator", "random numbers"),
    ],
)
def test_kinds(name, kind):
    assert Operation(name, 1, 1.0).kind == kind


def test_a_page_by_hand():
    text = page([Operation("dot", 4, 0.3), Operation("tanh", 2, 0.1)], 2, 0.5)
    assert "A step took 250.0 ms" in text
    assert "| matrix products | 150.00 | 75.0% |" in text
    assert "| `tanh` | 50.00 | 25.0% | 1.0 | other arithmetic |" in text
