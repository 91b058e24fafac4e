"""What a type matching model tells apart, by another count; and the picture of it."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from toner_jax.commands.app import main
from toner_jax.experiments.similarities import area_under_curve


def test_area_under_curve_by_pairs():
    rng = np.random.default_rng(0)
    present, absent = (
        np.round(rng.normal(0.6, 0.2, 90), 1),
        np.round(rng.normal(0.4, 0.2, 130), 1),
    )  # with ties
    pairs = [(p > a) + 0.5 * (p == a) for p in present for a in absent]
    assert area_under_curve(present, absent) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert area_under_curve(np.array([2.0]), np.array([1.0])) == 1.0
    assert np.isnan(area_under_curve(np.array([]), absent))


@pytest.mark.slow
def test_a_run(finished, tmp_path, capsys):
    workdir = finished[0]
    assert main(["sweep", "--mode=match", f"--workdir={workdir}", f"--out={tmp_path}"]) == 0
    found = json.loads((tmp_path / "match.json").read_text())
    after = {r["split"]: r for r in found["matcher"] if r["weights"] == "after"}
    before = {r["split"]: r for r in found["matcher"] if r["weights"] == "before"}
    chosen = json.loads((workdir / "types" / "thresholds.json").read_text())
    for name in ("precision", "recall", "f1"):
        assert after["dev"][name] == pytest.approx(chosen["dev"][f"type_{name}"])
    assert after["dev"]["type_threshold"] == pytest.approx(chosen["type_threshold"])
    report = json.loads((workdir / "report" / "test.json").read_text())
    assert after["test"]["f1"] == pytest.approx(report["types"]["f1"])
    prior = {p["split"]: p for p in found["type_prior"]}
    assert prior["test"]["f1"] == pytest.approx(report["baselines"]["type_prior"]["f1"])
    # Of the cosines that the run itself has written.
    rows = [json.loads(line) for line in (workdir / "types" / "train.jsonl").read_text().splitlines()]
    labels = [json.loads(line) for line in (workdir / "data" / "train.jsonl").read_text().splitlines()]
    inside, outside = [], []
    for row, sentence in zip(rows, labels, strict=True):
        has = {name for _, _, name in sentence["entities"]}
        for name, value in row["similarities"].items():
            (inside if name in has else outside).append(value)
    assert after["train"]["auc"] == pytest.approx(
        area_under_curve(np.array(inside), np.array(outside)), abs=1e-4
    )
    assert after["train"]["auc"] > before["train"]["auc"]
    assert ElementTree.parse(tmp_path / "match.svg").getroot().tag.endswith("svg")
    assert "| test, after training |" in capsys.readouterr().out


def test_what_is_missing(tmp_path, capsys):
    assert main(["sweep", "--mode=match"]) == 2
    assert "give --workdir" in capsys.readouterr().err
    assert main(["sweep", f"--workdir={tmp_path}"]) == 2
    assert "--thresholds=0.5,0.6,0.7" in capsys.readouterr().err
