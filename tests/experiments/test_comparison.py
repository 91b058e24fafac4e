"""Two evaluations beside each other."""

from __future__ import annotations

import json
import re

import pytest

from toner_jax.commands import app
from toner_jax.errors import UserError
from toner_jax.experiments.comparison import compare, read_side

TEXT = "Ann saw Bo ."
ANN = {"start": 0, "end": 3, "text": "Ann", "label": "person"}
BO = {"start": 8, "end": 10, "text": "Bo", "label": "person"}
PLACE = {**BO, "label": "place"}


def put(folder, predicted, gold=(ANN, BO), text=TEXT):
    """The output of an evaluation: of each sentence what was predicted."""
    folder.mkdir()
    rows = [
        {"id": f"s{i}", "text": text, "gold": list(gold), "predicted": list(found)}
        for i, found in enumerate(predicted)
    ]
    right = sum(len([e for e in found if e in gold]) for found in predicted)
    count, wanted = sum(map(len, predicted)), len(gold) * len(predicted)
    strict = {"f1": 2 * right / max(1, count + wanted)}
    report = {
        "strict": strict, "per_type": {"person": strict}, "toner_compatible": strict, "seen_in_training": strict,
        "unseen_in_training": strict, "errors": {"missed": wanted - right, "spurious": count - right},
    }  # fmt: skip
    (folder / "report.json").write_text(json.dumps(report))
    (folder / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_side(folder, "test")


def test_what_differs(tmp_path):
    # A finds Ann in each of four sentences and nothing else; B both in the first three, and Bo as a place in the last.
    a = put(tmp_path / "a", [[ANN]] * 4)
    b = put(tmp_path / "b", [[ANN, BO]] * 3 + [[PLACE]])
    found = compare(a, b, examples=2)
    assert found["found"] == {"both": 3, "a": 1, "b": 3, "neither": 1}
    assert found["errors"] == {"missed": [4, 2], "spurious": [0, 1]}
    f1_a, f1_b = 2 * 4 / (4 + 8), 2 * 6 / (7 + 8)
    assert found["scores"]["strict spans"] == [pytest.approx(f1_a), pytest.approx(f1_b)]
    assert found["difference"]["f1"] == pytest.approx(f1_b - f1_a)
    low, high = found["difference"]["interval"]
    # Where no sentence of four is the last, B has all and A has 2/3; where all are, B has nothing.
    assert low < f1_b - f1_a < high <= 1 / 3 + 1e-9
    assert 0.5 < found["difference"]["better"] < 1
    assert [(e["id"], e["right"]) for e in found["examples"]] == [("s0", "b"), ("s1", "b")]
    assert found["changed"] == {}


def test_chance_is_told_from_difference(tmp_path):
    none, all_ = put(tmp_path / "none", [[]] * 9), put(tmp_path / "all", [[ANN, BO]] * 9)
    assert compare(none, all_, 0)["difference"] == {"f1": 1.0, "interval": [1.0, 1.0], "better": 1.0}
    same = compare(all_, all_, 0)["difference"]
    assert same == {"f1": 0.0, "interval": [0.0, 0.0], "better": 0.0}
    # One sentence of 200 apart is chance; resamples without it are ties.
    nearly = put(tmp_path / "nearly", [[ANN, BO]] * 199 + [[]])
    most = put(tmp_path / "most", [[ANN, BO]] * 200)
    low, high = compare(nearly, most, 0)["difference"]["interval"]
    assert low == 0 < high < 0.02


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"predicted": [[ANN]]}, "b on 1: evaluate both on the same ones"),
        (
            {"predicted": [[ANN]] * 2, "text": "Ann met Bo ."},
            "are evaluated on other sentences: s0 and s0 differ",
        ),
        (
            {"predicted": [[ANN]] * 2, "gold": (ANN,)},
            "are evaluated against other annotations: of s0, for one",
        ),
    ],
)
def test_other_sentences_are_refused(tmp_path, other, message):
    a, b = put(tmp_path / "a", [[ANN]] * 2), put(tmp_path / "b", **other)
    with pytest.raises(UserError, match=re.escape(message)):
        compare(a, b, 0)


def test_the_command(tmp_path, capsys):
    put(tmp_path / "a", [[ANN]] * 4)
    put(tmp_path / "b", [[ANN, BO]] * 3 + [[PLACE]])
    assert app.main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--examples=1"]) == 0
    out = capsys.readouterr().out
    assert "Strict F1 of B is +13.33 points from A's, which may be chance" in out
    assert "Gold entities: 3 found by both, 1 by A alone, 3 by B alone, 1 by neither." in out
    assert "s0: B is right\n  A [Ann](person) saw Bo .\n  B [Ann](person) saw [Bo](person) .\n" in out
    assert app.main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found"]["both"] == 3
    assert app.main(["compare", str(tmp_path / "a"), str(tmp_path)]) == 2
    assert "no evaluation of test there" in capsys.readouterr().err
