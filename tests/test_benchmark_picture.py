"""A benchmark's picture: what it compares, and that one is written."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from toner_jax.benchmarks import tables
from toner_jax.benchmarks.growth import AXES
from toner_jax.benchmarks.picture import comparisons, write_picture


def ratio(median: float) -> dict[str, float]:
    return {"median": median, "least": 0.9 * median, "greatest": 1.2 * median}


def report(benchmark: str, *contenders: tuple[str, Any]) -> dict[str, Any]:
    return {
        "benchmark": benchmark,
        "contenders": [{"name": n, "title": n, "times_as_fast_as": given} for n, given in contenders],
    }


TRAIN = report("train", ("toner_jax", {"eager": ratio(1.1), "sdpa": ratio(0.8)}),
               ("eager", {"eager": ratio(1.0), "sdpa": ratio(0.7)}), ("sdpa", {}))  # fmt: skip
MATCH = report("match", ("toner_jax", {"sdpa": {"embed": ratio(0.9), "train": ratio(1.3)}}), ("sdpa", {}))
DECODE = report("decode", ("greedy", {"ct2": 2.0}), ("batching", {"ct2": 3.0}), ("ct2", {"ct2": 1.0}))
GROWTH = {
    "benchmark": "growth",
    "contenders": [
        {"name": f"{axis} {v}", "title": axis, "axis": axis, "value": v, "ms": 3.0 * v}
        for axis in AXES
        for v in (4, 16, 64)
    ],
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (TRAIN, [("eager", 1.1), ("sdpa", 0.8)]),
        (MATCH, [("sdpa / embed", 0.9), ("sdpa / train", 1.3)]),
        (DECODE, [("greedy / ct2", 2.0), ("batching / ct2", 3.0)]),
    ],
)
def test_ours_is_compared_with_every_rival(given, expected):
    assert [(label, found["median"]) for label, found in comparisons(given)] == expected


@pytest.mark.parametrize("given", [TRAIN, MATCH, DECODE, GROWTH], ids=lambda g: g["benchmark"])
def test_a_picture_is_written(given, tmp_path: Path):
    write_picture(given, "A title", tmp_path / "a.svg")
    write_picture(given, "A title", tmp_path / "a.png")
    drawn = (tmp_path / "a.svg").read_text()
    assert drawn.count("<svg") == 1
    assert "<dc:date>" not in drawn  # the same figures are the same picture, whenever it is drawn
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_without_rivals_the_figures_are_kept(tmp_path: Path, said):
    parser = argparse.ArgumentParser()
    tables.add_options(parser)
    options = parser.parse_args([f"--picture={tmp_path / 'a.png'}", f"--json={tmp_path / 'a.json'}"])
    given = report("train", ("toner_jax", {}))
    tables.deliver(given, tables.terminal_table("A title", [], given, []), "", options)
    assert json.loads((tmp_path / "a.json").read_text()) == given
    assert "no picture: no rival was measured" in said()
    assert not (tmp_path / "a.png").exists()
