"""The short form of tests/stress/damaged_runs.py: every small file, and some of each checkpoint."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stress"))
import damaged_runs

from toner_jax.runs.restore import read_work_config

# What no use of a finished run depends on, each with the reason.
UNAFFECTED = {
    ".lock": "only ever locked",
    "tensorboard": "read by TensorBoard alone",
    "metrics.jsonl": "drawn in the report, by an evaluation, which warns",
}


@pytest.mark.parametrize(
    "kind", ["changed", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("cut", "removed"))]
)
def test_a_damaged_file_is_named_or_made_anew(finished, tmp_path, kind):
    whole, copy = finished[0], tmp_path / "run"
    config = read_work_config(whole)
    chosen = damaged_runs.toner_jax.load(whole).step
    shutil.copytree(whole, copy)
    seen = set()
    for path in sorted(p for p in whole.rglob("*") if p.is_file()):
        name = path.relative_to(whole).as_posix()
        if (
            f"generator/checkpoints/{chosen}/" not in name
            and "/checkpoints/" in name
            and "manifests" not in name
        ):
            continue  # one checkpoint stands for all
        if f"{chosen}/state/ocdbt" in name and len(seen) % 4:
            continue
        if kind != "removed" and not path.stat().st_size:
            continue
        damaged_runs.DAMAGES[kind](copy / name)
        if (copy / name).exists() and (copy / name).read_bytes() == path.read_bytes():
            continue  # an empty one
        seen.add(name)
        verdicts = {
            use.__name__: damaged_runs.judge(name, use, copy, config, None)
            for use in (damaged_runs.start, damaged_runs.data)
        }
        verdicts["data"] = verdicts["data"].replace(
            "SILENTLY ANOTHER RESULT", "unaffected"
        )  # it is read whole
        if name.split("/")[0] in UNAFFECTED or (f"manifests/{chosen}" not in name and "manifests" in name):
            assert set(verdicts.values()) == {"unaffected"}, (name, verdicts)
        else:
            assert {"named", "mended"} & set(verdicts.values()), (name, verdicts)
            assert set(verdicts.values()) <= {"named", "mended", "unaffected"}, (name, verdicts)
        (copy / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, copy / name)
    assert {
        "config.json",
        "schema.json",
        "data/test.jsonl",
        "types/thresholds.json",
        "report/test.html",
    } <= seen
