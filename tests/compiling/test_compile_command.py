"""`toner-jax compile` on simulated CPU devices: what it says is what a run would hold, and moves."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
import tiny

SIZES = {
    "generator.model.d_model": 64,
    "generator.model.d_kv": 16,
    "generator.model.d_ff": 256,
    "generator.dropout": 0.0,
    "matcher.model.hidden_size": 64,
    "matcher.dropout": 0.0,
    "mesh.fsdp": 4,
    "mesh.data": 2,
}


def settings(**changed: object) -> list[str]:
    every = {**tiny.SETTINGS, **SIZES, **changed}
    return [f"--config.{key}={value}" for key, value in every.items()]


def toner_jax(*arguments: str, devices: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs a command where there are so many devices; 0: it makes its own."""
    flags = "--xla_backend_optimization_level=0"
    if devices:
        flags += f" --xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "toner_jax", *arguments]
    return subprocess.run(
        command, cwd=tiny.ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Of all programs on eight devices."""
    path = tmp_path_factory.mktemp("compile") / "report.json"
    done = toner_jax(
        "compile", "--devices=8xcpu", "--config=quickstart", "--types=6", "--shape=128,96", "--no-growth",
        f"--json={path}", *settings(sharding="fsdp"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "generator 128×96" in done.stdout
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_mesh_is_that_of_the_configuration(report):
    assert report["mesh"] == {"data": 2, "fsdp": 4, "tensor": 1}
    assert (report["devices"]["count"], report["dtype"]) == (8, "float32")
    names = [program["name"].split()[0] for program in report["programs"]]
    assert names == ["generator", "matcher", "decode", "types"]
    assert all(program["collectives"] for program in report["programs"])


@pytest.mark.slow
def test_a_dry_run_says_what_the_programs_take(report, tmp_path):
    """From shapes alone, within a tenth of the compiler's figures."""
    said = toner_jax(
        "train",
        "--config=quickstart",
        f"--workdir={tmp_path}",
        "--dry_run",
        *settings(sharding="fsdp"),
        devices=8,
    )
    assert said.returncode == 0, said.stderr
    for program in report["programs"][:2]:
        kind = program["name"].split()[0]
        found = re.search(rf"{kind}: [\d,]+ parameters; with AdamW ([\d.]+) MB a device", said.stdout)
        assert found, said.stdout
        assert 1e6 * float(found[1]) == pytest.approx(program["memory"]["arguments"], rel=0.1)


@pytest.mark.slow
def test_useful_compute_is_no_more_than_what_is_computed(report):
    for program in report["programs"]:
        if program["name"].startswith("decode"):
            assert program["flops"]["useful"] is None
            # Chunks of requests, their admission, and passes: each replica has its own continuous batching.
            assert program["in_loops"]["of_unknown_length"] == 3
            continue
        useful, total = program["flops"]["useful"], program["flops"]["total"]
        assert 0.9 * useful <= total <= 1.5 * useful


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--devices=3xcpu", "--config=ontonotes:small", "--config.mesh.fsdp=2"), "number of devices, 3"),
        (("--devices=cpu", "--config=quickstart"), "say how many there are"),
        (("--devices=8xa100", "--config=ontonotes"), "--devices=8xa100: no such device; did you mean a100-40gb or"),
        (("--devices=cpu", "--config=ontonotes", "--shape=128"), "--shape: expected two lengths"),
        (("--config=ontonotes",), "--devices is missing"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(arguments, message):
    done = toner_jax("compile", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().split("\n")) == 1
