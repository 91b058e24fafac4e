"""Cross-fitted T′: no model matches what it has seen, and what is done of it is not done twice."""

import json

import numpy as np
import pytest

from toner_jax.experiments.grid import _lend
from toner_jax.runs import cross_fitting, matcher
from toner_jax.runs.marker import stage_result
from toner_jax.runs.restore import read_work_config
from toner_jax.runs.run import execute


class Killed(Exception):
    """Stands for SIGKILL."""


def rows(path) -> dict[str, dict]:
    return {entry["id"]: entry for entry in map(json.loads, path.read_text().splitlines())}


@pytest.mark.slow
def test_folds(finished, tmp_path, monkeypatch):
    """Begun with the matcher of a finished run, killed in the second of two folds, and started again."""
    workdir = tmp_path / "run"
    _lend(finished[0], workdir)
    config = read_work_config(finished[0])
    config.update_from_flattened_dict(
        {"types.training": "cross_fitted", "types.folds": 2, "stages": ("matcher",), "matcher.epochs": 4.0}
    )
    asked: list[tuple[str, set[str]]] = []
    fit = matcher.fit_matcher

    def killed(config, run, folder, train, *rest):
        asked.append((folder, {s.id for s in train}))
        if len(asked) == 2:
            raise Killed
        return fit(config, run, folder, train, *rest)

    monkeypatch.setattr(matcher, "fit_matcher", killed)
    with pytest.raises(Killed):
        execute(config, workdir)
    first = (workdir / "folds" / "0.jsonl").read_bytes()
    results = execute(config, workdir)
    assert [folder for folder, _ in asked] == ["folds/0", "folds/1", "folds/1"]
    assert (workdir / "folds" / "0.jsonl").read_bytes() == first
    assert not any(path.is_dir() for path in (workdir / "folds").iterdir())

    held_out = [rows(workdir / "folds" / f"{k}.jsonl") for k in range(2)]
    train, chosen = rows(workdir / "folds" / "train.jsonl"), rows(workdir / "types" / "train.jsonl")
    every = {json.loads(line)["id"] for line in (workdir / "data" / "train.jsonl").read_text().splitlines()}
    for k, (_, seen) in enumerate([asked[0], asked[2]]):
        assert not seen & held_out[k].keys()
        assert seen | held_out[k].keys() == every
    assert {**held_out[0], **held_out[1]} == train == chosen
    own = rows(finished[0] / "types" / "train.jsonl")
    assert [chosen[i]["similarities"] for i in every] != [own[i]["similarities"] for i in every]
    # Dev is matched by the model of all of train, as what is evaluated will be.
    assert (workdir / "types" / "dev.jsonl").read_bytes() == (
        finished[0] / "types" / "dev.jsonl"
    ).read_bytes()
    assert (
        stage_result(workdir, "types")["type_threshold"]
        == stage_result(finished[0], "types")["type_threshold"]
    )

    suspects = [json.loads(line) for line in (workdir / cross_fitting.SUSPECTS).read_text().splitlines()]
    assert results["folds"]["suspects"] == len(suspects) > 0
    for entry in suspects[:50]:
        present = entry["suspect"] in {name for *_, name in entry["label"]}
        assert present == (entry["kind"] == "doubtful")
        cosine = train[entry["id"]]["similarities"][entry["suspect"]]
        labels = {i: set(t) for i, t in _labels(workdir).items()}
        others = [
            train[i]["similarities"][entry["suspect"]]
            for i in every
            if (entry["suspect"] in labels[i]) != present
        ]
        assert (cosine < np.mean(others)) == present

    before = {p: p.stat().st_mtime_ns for p in (workdir / "folds").iterdir()}
    execute(config, workdir)
    assert {p: p.stat().st_mtime_ns for p in (workdir / "folds").iterdir()} == before
    config.types.training = "matcher"
    execute(config, workdir)
    assert rows(workdir / "types" / "train.jsonl") == own


def _labels(workdir) -> dict[str, list[str]]:
    found = {}
    for line in (workdir / "data" / "train.jsonl").read_text().splitlines():
        entry = json.loads(line)
        found[entry["id"]] = [e["label"] if isinstance(e, dict) else e[-1] for e in entry["entities"]]
    return found
