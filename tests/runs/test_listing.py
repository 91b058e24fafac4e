"""The runs below a folder."""

from __future__ import annotations

import json
import os
import shutil

import faked_runs
import pytest

from toner_jax.commands import app
from toner_jax.experiments.listing import describe, work_directories
from toner_jax.runs.run import execute


def row(workdir) -> tuple:
    found = describe(workdir, "test")
    return found["state"], found["f1"]


def test_states(tmp_path, monkeypatch):
    workdir, data, state = faked_runs.make_world(tmp_path, monkeypatch)
    config = faked_runs.settings(data)
    state.kill_at = 4  # in the generator's training
    with pytest.raises(faked_runs.Killed):
        execute(config, workdir)
    assert row(workdir) == ("stopped: generator", None)
    (workdir / "metrics.jsonl").write_text(
        '{"stage": "matcher", "step": 90}\n{"stage": "generator", "step": 1200, "loss": 1.0}\n{"half'
    )
    assert row(workdir) == ("stopped: generator, step 1,200; none is saved", None)
    manifests = workdir / "generator" / "checkpoints" / "manifests"
    manifests.mkdir(parents=True)
    # SIGTERM saves, Ctrl-C does not.
    for step, at in ((900, "step 1,200; step 900 is saved"), (1201, "step 1,201")):
        (manifests / f"{step}.json").touch()
        (manifests.parent / str(step)).mkdir()
        assert row(workdir) == (f"stopped: generator, {at}", None)
    shutil.rmtree(manifests.parent)
    (workdir / ".owner").write_text(str(os.getpid()))
    assert row(workdir) == ("at work: generator, step 1,200", None)
    (workdir / ".owner").write_text("4194999")  # no process has so high a number
    assert row(workdir)[0].startswith("stopped")
    state.kill_at = None
    execute(config, workdir)
    (workdir / "report" / "test.json").write_text('{"strict": {"f1": 0.5}, "types": {"f1": 0.75}}')
    assert row(workdir) == ("done", 0.5)
    marker = workdir / "generator" / "stage.json"
    marker.write_text(marker.read_text().replace("10", "20"))
    assert row(workdir)[0].startswith("stopped: generator")  # what is damaged is not done
    (workdir / "config.json").write_text("{")
    assert row(workdir)[0].startswith("damaged: ")


def test_without_type_matching_its_stage_is_not_missed(tmp_path, monkeypatch):
    workdir, data, _ = faked_runs.make_world(tmp_path, monkeypatch)
    config = faked_runs.settings(data)
    with config.unlocked():
        config.matcher.enabled = False
    execute(config, workdir)
    assert row(workdir)[0] == "done"


def test_the_command(tmp_path, monkeypatch, capsys):
    _, data, _ = faked_runs.make_world(tmp_path, monkeypatch)
    for seed, f1 in ((0, 0.25), (1, 0.75), (2, None)):
        config = faked_runs.settings(data)
        config.seed = seed
        folder = tmp_path / "runs" / f"seed{seed}" / "run"
        execute(config, folder)
        report = folder / "report" / "test.json"
        if f1 is None:
            report.unlink()
        else:
            report.write_text(json.dumps({"strict": {"f1": f1}}))
    assert len(list(work_directories(tmp_path / "runs"))) == 3
    assert list(work_directories(tmp_path / "runs" / "seed1" / "run")) == [
        tmp_path / "runs" / "seed1" / "run"
    ]
    assert app.main(["runs", str(tmp_path / "runs"), "--sort=f1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(r["seed"], r["f1"]) for r in rows] == [(1, 0.75), (0, 0.25), (2, None)]
    assert app.main(["runs", str(tmp_path / "runs")]) == 0
    out = capsys.readouterr().out
    assert [line.split("│")[3].strip() for line in out.splitlines() if "done" in line] == ["0", "1", "2"]
    assert "model random weights" in out  # what all have in common
    assert app.main(["runs", str(data)]) == 0
    assert "no runs there" in capsys.readouterr().out
