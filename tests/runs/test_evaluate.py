"""The evaluation stage's scores, on a finished tiny run."""

from __future__ import annotations

import json
import shutil

import pytest
import tiny

import toner_jax
from toner_jax.api import Ner
from toner_jax.errors import UserError
from toner_jax.predict import main
from toner_jax.runs.restore import read_work_config


def _predicted(workdir, split):
    lines = (workdir / f"predictions/{split}.jsonl").read_text().splitlines()
    return [json.loads(line)["predicted"] for line in lines]


@pytest.fixture(scope="module")
def fitted(finished, cache, tmp_path_factory):
    """The run evaluated anew with a fitted calibration temperature and a threshold: (work directory, what it said)."""
    workdir = tmp_path_factory.mktemp("fitted") / "run"
    shutil.copytree(finished[0], workdir)
    settings = ("--config.decode.calibration_temperature=dev", "--config.decode.threshold=0.02")
    done = tiny.run(tiny.command(workdir, *settings), tiny.environment(cache))
    assert done.returncode == 0, done.stderr
    return workdir, done.stderr


@pytest.fixture(scope="module")
def ner(fitted):
    return toner_jax.load(fitted[0])


@pytest.mark.slow
def test_the_temperature_is_fitted_recorded_and_restored(fitted, ner, tmp_path):
    workdir, said = fitted
    result = json.loads((workdir / "evaluate/stage.json").read_text())["result"]
    calibration_temperature = result["calibration_temperature"]
    assert (
        f"evaluate: calibration temperature {calibration_temperature:.3f}, fitted on 20 dev sentences" in said
    )
    assert result["fitted"]["calibration_temperature"] == calibration_temperature != 1
    assert result["fitted"]["nll_after"] < result["fitted"]["nll_before"]
    for split in ("dev", "test"):
        scores = json.loads((workdir / f"report/{split}.json").read_text())["scores"]
        assert (scores["calibration_temperature"], scores["fitted"]) == (
            calibration_temperature,
            result["fitted"],
        )
    assert ner.calibration_temperature == calibration_temperature
    ner.save_pretrained(tmp_path / "saved")
    assert toner_jax.load(tmp_path / "saved").calibration_temperature == calibration_temperature


@pytest.mark.slow
def test_the_temperature_changes_scores_and_nothing_else(fitted, finished):
    plain, scaled = (
        [json.loads(line) for line in (w / "predictions/test.jsonl").read_text().splitlines()]
        for w in (finished[0], fitted[0])
    )
    assert [line["output"] for line in plain] == [line["output"] for line in scaled]
    before = {
        (line["id"], e["start"], e["end"], e["label"]): e["score"]
        for line in plain
        for e in line["predicted"]
    }
    after = {
        (line["id"], e["start"], e["end"], e["label"]): e["score"]
        for line in scaled
        for e in line["predicted"]
    }
    assert after.keys() < before.keys()  # some are below the threshold
    assert after
    # Where the grammar leaves no choice, the score is 1 at any temperature.
    assert all(after[key] != before[key] or after[key] == 1 for key in after)
    assert min(after.values()) < 1


@pytest.mark.slow
def test_the_threshold_counts_what_it_leaves_out_and_curves_are_of_all(fitted, finished):
    workdir, _ = fitted
    for split in ("dev", "test"):
        report = json.loads((workdir / f"report/{split}.json").read_text())
        kept = [e for line in _predicted(workdir, split) for e in line]
        everything = sum(len(line) for line in _predicted(finished[0], split))
        assert all(e["score"] >= 0.02 for e in kept)
        assert report["strict"]["tp"] + report["strict"]["fp"] == len(kept) < everything
        assert report["dropped"]["below_threshold"] == everything - len(kept)
        assert report["scores"]["predicted"] == everything
        assert report["scores"]["threshold"] == 0.02
        unfiltered = json.loads((finished[0] / f"report/{split}.json").read_text())["strict"]
        lowest = report["scores"]["curve"][0]
        assert lowest["f1"] == pytest.approx(unfiltered["f1"]) != pytest.approx(report["strict"]["f1"])


@pytest.mark.slow
def test_predict_leaves_out_what_is_below_the_least_score(ner):
    texts = ["Judge Ivan Borcalski married Professor Jaman in Selqua in 1973 ."]
    (everything,) = ner.predict(texts, threshold=0.0)
    assert everything
    (kept,) = ner.predict(texts)
    assert kept == [e for e in everything if e["score"] >= 0.02]  # the run's decode.threshold
    best = max(e["score"] for e in everything)
    (kept,) = ner.predict(texts, threshold=best - 1e-3)
    assert kept == [e for e in everything if e["score"] >= best - 1e-3]
    with pytest.raises(UserError, match=r"^threshold=2:"):
        ner.predict(texts, threshold=2)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("threshold=nan", "threshold=nan: a score lies between 0 and 1"),
        ("threshold=-0.5", "threshold=-0.5: a score lies between 0 and 1"),
        ("type_threshold=1.5", "type_threshold=1.5: a cosine lies between -1 and 1"),
    ],
)
def test_a_bad_threshold_is_one_line_and_keeps_the_output(finished, tmp_path, capsys, flag, message):
    source, sink = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text("a\n")
    sink.write_text("precious\n")
    arguments = [f"--model={finished[0]}", f"--input={source}", f"--output={sink}", f"--{flag}"]
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"toner-jax: --{message}\n"
    assert sink.read_text() == "precious\n"


def test_without_a_fit_the_scores_are_unscaled_and_that_is_said(finished, said):
    config = read_work_config(finished[0])
    config.decode.calibration_temperature = "dev"
    ner = Ner(finished[0], config=config)
    assert ner.calibration_temperature == 1.0
    assert [m for m in said() if m.startswith("decode.calibration_temperature=dev: no evaluate stage")]
