"""Programs of one layer for accelerators that are not here: what moves between their devices, by their own compilers.

They need these compilers (`make test-compilers` fetches them), and about a minute of a core each.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from test_compile_command import toner_jax

pytestmark = pytest.mark.slow


def needs(module: str) -> None:
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip(f"{module} is not here: make test-compilers")


def compiled(path: Path, devices: str, *arguments: str) -> dict[str, Any]:
    done = toner_jax(
        "compile", f"--devices={devices}", "--config=ontonotes:small", "--programs=generator", "--layers=1",
        *arguments, f"--json={path}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (program,) = json.loads(path.read_text(encoding="utf-8"))["programs"]
    assert program["fits"] == "yes"
    assert program["flops"]["total"] == pytest.approx(program["flops"]["useful"], rel=0.02)
    assert 0 < program["roofline"]["without_overlap"]["mfu"] < program["roofline"]["with_overlap"]["mfu"] < 1
    return dict(program)


@pytest.mark.parametrize(
    ("devices", "module"), [("8xa100-80gb", "jax_plugins.xla_cuda12"), ("8xv5e", "libtpu")]
)
def test_rows_are_split_and_parameters_are_moved(devices, module, tmp_path):
    needs(module)
    program = compiled(tmp_path / "report.json", devices, "--config.mesh.fsdp=8")
    assert program["collectives_grow"] < 0.02
    moved = {kind: found["bytes"] for kind, found in program["collectives"].items()}
    parameters = 2 * 77e6  # in bf16; forward and backward may share what is gathered
    assert 0.8 * parameters < moved["all-gather"] < 2.4 * parameters
    # The TPU's compiler reduces the output layer's gradient whole, instead of scattering it.
    assert moved.get("all-reduce", 0) < 1.05 * 2 * 32_128 * 512 * ("v5e" in devices) + 1e6


def test_states_between_sublayers_are_scattered(tmp_path):
    """Over the tensor axis sums are exchanged once, and not twice as an all-reduce would."""
    needs("jax_plugins.xla_cuda12")
    program = compiled(
        tmp_path / "report.json",
        "4xa100-80gb",
        "--config.mesh.tensor=2",
        "--config.mesh.fsdp=2",
        "--no-growth",
    )
    found = program["collectives"]
    assert found["reduce-scatter"]["count"] > 8 * 5
    assert found["all-reduce"]["bytes"] < 0.1 * found["reduce-scatter"]["bytes"]
