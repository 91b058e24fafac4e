"""Stages that do not belong together: an error to each reader, or by option a warning that stays in the report."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace

import pytest

import toner_jax
from toner_jax.commands import evaluate, predict
from toner_jax.errors import UserError
from toner_jax.runs.marker import MARKER, read_marker

MIXED = r"generator: made from another types than lies there"


@pytest.fixture
def mixed(finished, tmp_path):
    """A finished run with the T′ of another, as if its folder had been copied there: whole, but of another δ."""
    copy = tmp_path / "run"
    shutil.copytree(finished[0], copy)
    marker = read_marker(copy / "types" / MARKER)
    replace(marker, result={**marker.result, "identity": "of another run"}).write(copy / "types" / MARKER)
    return copy


def test_every_reader_refuses_them(mixed, tmp_path):
    (tmp_path / "texts.txt").write_text("Judge Ivan slept.\n")
    for read in (
        lambda: toner_jax.load(mixed),
        lambda: evaluate.main([f"--workdir={mixed}"]),
        lambda: predict.main([f"--model={mixed}", f"--input={tmp_path / 'texts.txt'}"]),
    ):
        with pytest.raises(UserError, match=f"{MIXED}, so they do not belong together"):
            read()


@pytest.mark.slow
def test_they_are_read_if_accepted(mixed, finished, tmp_path, caplog):
    ner = toner_jax.load(mixed, accept_mixed=True)
    assert [w.message for w in caplog.records if w.levelname == "WARNING"] == list(ner.mixed)
    (line,) = ner.mixed
    assert line == f"{mixed}/generator: made from another types than lies there"
    assert pickle.loads(pickle.dumps(ner)).mixed == ner.mixed
    texts = ["Judge Ivan Borcalski married Professor Jaman in Selqua."]
    whole = toner_jax.load(finished[0], accept_mixed=True)
    assert whole.mixed == ()
    assert ner.predict(texts) == whole.predict(texts)


@pytest.mark.slow
def test_the_warning_stays_in_the_report(mixed, finished, tmp_path, capsys):
    evaluate.main([f"--workdir={mixed}", "--accept-mixed", f"--output={tmp_path / 'out'}"])
    report = json.loads((tmp_path / "out/report.json").read_text())
    (line,) = report["made_by"]["mixed"]
    assert line.endswith("generator: made from another types than lies there")
    assert "made from another types" in " ".join(capsys.readouterr().out.split())
    evaluate.main([f"--workdir={finished[0]}", "--accept-mixed", f"--output={tmp_path / 'whole'}"])
    assert "mixed" not in json.loads((tmp_path / "whole/report.json").read_text())["made_by"]
