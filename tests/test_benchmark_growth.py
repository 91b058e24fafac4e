"""toner-jax bench growth on small sizes and CPU: what there is more of, and how its figures follow from the seconds."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest

from toner_jax.benchmarks import growth
from toner_jax.benchmarks.growth import AXES, Axis
from toner_jax.commands.app import main
from toner_jax.errors import UserError

pytestmark = pytest.mark.slow  # each value of an axis compiles a program


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    growth.add_options(parser)
    parser.set_defaults(device="cpu")
    return parser.parse_args(arguments)


def test_exponents_are_those_of_the_seconds(monkeypatch):
    """Of a clock that each call sets forward by the square of its value."""
    now = [0.0]
    monkeypatch.setattr(growth.time, "perf_counter", lambda: now[0])

    def make(value):
        def call():
            now[0] += value**2

        return call

    report = growth.measure({"made": Axis("calls", (2, 4, 16), make, per_call=2)}, options("--rounds=3"))
    points = report["contenders"]
    assert [p["ms"] for p in points] == [2_000, 8_000, 128_000]
    assert [p["times"] for p in points] == [1, 4, 64]
    assert points[0]["exponent"] is None
    assert [p["exponent"] for p in points[1:]] == pytest.approx([2, 2])


def sizes(call) -> list[dict]:
    """The arrays of the batches that a call trains on."""
    return [batch.arrays for batch in call.__self__._subject.batches]


@pytest.mark.parametrize("name", ["batch", "length", "types", "matched", "width", "layers"])
def test_there_is_more_of_what_the_axis_says(name):
    axis = AXES[name]
    few, more = (axis.make(value) for value in axis.values[:2])
    (one, *_), (other, *_) = sizes(few), sizes(more)
    low, high = axis.values[:2]
    if name == "batch":
        assert (len(one["source"]), len(other["source"])) == (low, high)
    elif name == "length":
        assert (one["source"].shape[1], other["source"].shape[1]) == (low, high)
        assert (one["target"].shape[1], other["target"].shape[1]) == (low // 4, high // 4)
    elif name == "types":
        assert other["source"].shape[1] - one["source"].shape[1] == 3 * (high - low)
    elif name == "matched":
        assert (one["present"].shape[1], other["present"].shape[1]) == (low, high)
        assert len(more.__self__._subject.descriptions) == high
    else:
        config = more.__self__._subject.model.config
        assert high in (config.d_model, config.num_layers)
        np.testing.assert_array_equal(one["source"].shape, other["source"].shape)


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(AXES, "corpus", replace(AXES["corpus"], values=(20, 40)))
    file, page = tmp_path / "growth.json", tmp_path / "growth.md"
    arguments = ["--only=corpus", "--rounds=1", "--device=cpu", f"--json={file}", f"--markdown={page}"]
    assert main(["bench", "growth", *arguments]) == 0
    report = json.loads(file.read_text())
    assert [p["value"] for p in report["contenders"]] == [20, 40]
    assert all(p["ms"] > 0 for p in report["contenders"])
    assert "exponent" in capsys.readouterr().out
    assert report["command"] == "toner-jax bench growth --rounds=1 --only=corpus --device=cpu"


def test_an_unknown_axis():
    with pytest.raises(UserError, match="no contender 'depth'; there are width, layers, batch"):
        growth.run(options("--only=depth"))
