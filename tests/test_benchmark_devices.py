"""toner-jax bench on devices that are not here: what it asks of them, and what it says without them."""

from __future__ import annotations

import os
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from toner_jax.benchmarks import machine, ours, peers, torch_trainers
from toner_jax.benchmarks.subject import Subject
from toner_jax.benchmarks.timing import turns
from toner_jax.errors import ParameterError


def mesh(platform: str, kind: str = "some card", count: int = 1):
    devices = np.array([SimpleNamespace(platform=platform, device_kind=kind)] * count)
    return SimpleNamespace(devices=devices, size=count)


@pytest.fixture
def anew(monkeypatch):
    """JAX's choice of platforms as before any, and environment variables that are put back."""
    before = jax.config.values["jax_platforms"]
    for name in ("NPROC", "OMP_NUM_THREADS", "XLA_PYTHON_CLIENT_PREALLOCATE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    jax.config.update("jax_platforms", None)
    yield monkeypatch
    jax.config.update("jax_platforms", before)
    for name in ("NPROC", "OMP_NUM_THREADS", "XLA_PYTHON_CLIENT_PREALLOCATE"):
        os.environ.pop(name, None)


@pytest.mark.parametrize(("device", "plugin"), [("cpu", True), ("auto", False)])
def test_two_threads_on_cpu(anew, device, plugin):
    anew.setattr(machine, "_has_plugin", lambda: plugin)
    machine.prepare(device)
    assert os.environ["NPROC"] == os.environ["OMP_NUM_THREADS"] == "2"
    assert jax.config.values["jax_platforms"] == "cpu"
    assert "XLA_PYTHON_CLIENT_PREALLOCATE" not in os.environ


def test_an_accelerator_keeps_its_threads_and_shares_its_memory(anew):
    anew.setattr(machine, "_has_plugin", lambda: True)
    anew.setattr(jax, "devices", lambda: [SimpleNamespace(platform="gpu")])
    machine.prepare("auto")
    assert "NPROC" not in os.environ
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    anew.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")  # the user's own choice stands
    machine.prepare("auto")
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "true"


def test_a_plugin_without_a_device(anew):
    anew.setattr(machine, "_has_plugin", lambda: True)
    anew.setattr(jax, "devices", lambda: [SimpleNamespace(platform="cpu")])
    with pytest.raises(
        ParameterError, match="device=auto: JAX is installed for accelerators and finds none here"
    ):
        machine.prepare("auto")


def test_a_page_names_the_card():
    report = machine.machine(mesh("gpu", "NVIDIA H100 80GB HBM3"))
    assert report["devices"] == {"kind": "NVIDIA H100 80GB HBM3", "count": 1}
    assert report["threads"] is None
    assert "1 × NVIDIA H100 80GB HBM3" in machine.described(report)
    assert "threads" not in machine.described(report)
    assert "2 threads for each" in machine.described(machine.machine(mesh("cpu")))
    assert machine.machine()["devices"] is None


def test_what_runs_where():
    torch = pytest.importorskip("torch")
    assert peers.torch_device(mesh("cpu")) == "cpu"
    assert peers.torch_device(mesh("tpu")) is None
    assert peers.torch_device(mesh("gpu")) == ("cuda" if torch.cuda.is_available() else None)
    assert torch_trainers.left_out(mesh("cpu")) is None
    assert "does not run on this device" in torch_trainers.left_out(mesh("tpu"))
    assert "trains on one device, and there are 4 here" in torch_trainers.left_out(mesh("cpu", count=4))
    assert "transformers" not in peers.left_out(mesh("cpu"))
    assert "does not run on these devices" in peers.left_out(mesh("tpu"))["transformers"]


@pytest.mark.parametrize(("platform", "default"), [("cpu", "cores-4"), ("gpu", "batching-8")])
def test_the_default_way_to_decode_is_measured(platform, default):
    subject = Subject(None, None, mesh(platform), (), None, ())
    contenders = ours.contenders(subject, (8, 16))
    names = [c.name for c in contenders]
    assert names[-1] == default
    assert {s.threads for c in contenders for s in c.settings} == {2 if platform == "cpu" else 1}
    assert {"cores-4", "batching-8"} - set(names) != set()


def test_turns_go_there_and_back():
    said: list[str] = []
    assert "".join(turns(["a", "b", "c"], 3, said.append)) == "abccbaabc"
    assert said == ["round 1 of 3", "round 2 of 3", "round 3 of 3"]
