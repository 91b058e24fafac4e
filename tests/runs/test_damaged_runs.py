"""The short form of tests/stress/damaged_runs.py: every small file, and some of the checkpoint that is used."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stress"))
import damaged_runs

import toner_jax
from toner_jax.runs.restore import read_work_config

# What no use of a finished run depends on: locks, what TensorBoard alone reads, and the lines of which the curves of a
# report are drawn, with a warning where they were changed.
UNAFFECTED = (".lock", "tensorboard/", "metrics.jsonl", "starts.jsonl")


def files(workdir: Path, chosen: int) -> Iterator[str]:
    """The files to damage: of checkpoints some of the one that is used."""
    used = f"generator/checkpoints/{chosen}/"
    for number, path in enumerate(sorted(p for p in workdir.rglob("*") if p.is_file())):
        name = path.relative_to(workdir).as_posix()
        if path.stat().st_size and (
            "/checkpoints/" not in name or (name.startswith(used) and not number % 4)
        ):
            yield name
    yield f"generator/checkpoints/manifests/{chosen}.json"


def load(workdir: Path, config: Any) -> None:
    toner_jax.load(workdir)


@pytest.mark.parametrize(
    "kinds",
    [
        tuple(damaged_runs.DAMAGES),
        *(pytest.param((k,), marks=pytest.mark.slow) for k in damaged_runs.DAMAGES),
    ],
    ids="-".join,
)
def test_a_damaged_file_is_named_or_made_anew(finished, tmp_path, kinds):
    whole, copy = finished[0], tmp_path / "run"
    config, chosen = read_work_config(whole), toner_jax.load(whole).step
    shutil.copytree(whole, copy)
    seen = set()
    for name, kind in zip(files(whole, chosen), cycle(kinds), strict=False):
        damaged_runs.DAMAGES[kind](copy / name)
        assert not (copy / name).exists() or (copy / name).read_bytes() != (whole / name).read_bytes()
        seen.add(name)
        verdicts = [damaged_runs.judge(name, damaged_runs.start, copy, config, [])]
        if verdicts == ["unaffected"]:
            verdicts.append(damaged_runs.judge(name, load, copy, config, None))
        if name.startswith(UNAFFECTED):
            assert verdicts == ["unaffected", "unaffected"], (name, kind)
        else:
            assert verdicts[-1] in ("named", "mended"), (name, kind, verdicts)
        (copy / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(whole / name, copy / name)
    assert {
        "config.json",
        "schema.json",
        "data/test.jsonl",
        "types/thresholds.json",
        "report/test.html",
    } <= seen
