"""`toner-jax predict --output_format`, on a finished tiny run; and the small version of `stress/fuzz_predict.py`."""

from __future__ import annotations

import csv
import json
import random
import sys
from unittest import mock

import pytest
import tiny
from tiny import TEXTS

from toner_jax.commands.predict import BAD_ROWS
from toner_jax.predict import main

sys.path.insert(0, str(tiny.ROOT / "tests" / "stress"))
import fuzz_predict

BAD = ["not json", '{"text": "a", "text": "b"}']
ROWS = [
    {"id": "a", "text": f"{TEXTS[0]}\r\n\tSelqua met Zorvel."},
    {"id": "b", "text": ""},
    {"id": "c", "text": "½ \ud800 Jaman"},
    {"id": "d", "words": TEXTS[0].split()},
]


@pytest.fixture
def loaded(ner):
    """Every command finds the models loaded."""
    with mock.patch("toner_jax.commands.predict.load", return_value=ner):
        yield ner


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join([json.dumps(ROWS[0]), *BAD, *map(json.dumps, ROWS[1:])]) + "\n")
    return path


@pytest.mark.slow
def test_every_form_has_the_same_entities(loaded, source, tmp_path, capsys):
    """Those of the JSON lines; what a form has no room for is named, and none is lost without a word."""

    def run(name, *more):
        sink = tmp_path / name
        assert main([f"--model={tmp_path}", f"--input={source}", f"--output={sink}", *more]) == BAD_ROWS
        return sink, capsys.readouterr().err

    sink, said = run("out.jsonl")
    lines = [json.loads(line) for line in sink.read_text(encoding="utf-8").split("\n")[:-1]]
    assert f"{source}:2: not JSON" in said
    assert "(2 rows could not be read and stand in the output with an error)" in said
    assert [row.get("id") for row in lines] == ["a", None, None, "b", "c", "d"]
    assert json.loads(run("out.json")[0].read_text(encoding="utf-8")) == lines
    lone = f"{source}:5: holds half of a surrogate pair, which UTF-8 cannot; choose --output_format=jsonl"

    sink, said = run("out.csv")
    with sink.open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    errors = [row["error"] for row in table if row["error"]]
    assert errors == [lines[1]["error"], lines[2]["error"], lone]
    found = [
        (e["start"], e["end"], e["text"], e["label"]) for row in (lines[0], lines[5]) for e in row["entities"]
    ]
    assert found
    assert [(int(r["start"]), int(r["end"]), r["text"], r["label"]) for r in table if not r["error"]] == found

    sink, said = run("brat", "--output_format=brat")
    assert {p.name for p in sink.iterdir()} == {f"{name}.{s}" for name in "abd" for s in ("txt", "ann")}
    assert (sink / "a.txt").read_bytes().decode() == ROWS[0]["text"]
    spans = [line.split("\t", 2)[1].split(" ") for line in (sink / "a.ann").read_text().splitlines()]
    assert sorted((int(a), int(b), label) for label, a, b in spans) == sorted(
        (e["start"], e["end"], e["label"]) for e in lines[0]["entities"]
    )
    assert said.count(f"{source}:") == 3
    assert lone in said
    assert "brat: 3 rows left out" in said

    sink, said = run("out.conll", "--flat")
    assert sink.read_text().count("-DOCSTART-\tO\n") == 6
    assert lone in said
    page = run("out.html")[0].read_text(encoding="utf-8")
    assert page.count("</script>") == 1
    assert "not JSON" in page


def test_strict_stops_at_a_row_that_the_form_cannot_hold(loaded, source, tmp_path, capsys):
    source.write_text(json.dumps(ROWS[0]) + "\n" + json.dumps(ROWS[2]) + "\n")
    arguments = [f"--model={tmp_path}", f"--input={source}", "--strict"]
    assert main([*arguments, f"--output={tmp_path / 'out.csv'}"]) == 2
    assert "in.jsonl:2: holds half of a surrogate pair" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()
    assert main([*arguments, f"--output={tmp_path / 'out.jsonl'}"]) == 0


def test_going_on_counts_what_could_not_be_read_before(loaded, source, tmp_path, capsys):
    whole, sink = tmp_path / "whole.csv", tmp_path / "out.csv"
    arguments = [f"--model={tmp_path}", f"--input={source}"]
    assert main([*arguments, f"--output={whole}"]) == BAD_ROWS
    assert main([*arguments, f"--output={tmp_path / 'lines.jsonl'}"]) == BAD_ROWS
    rows = (tmp_path / "lines.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "out.csv.partial").write_bytes(b"".join(rows[:3]) + rows[3][:9])
    capsys.readouterr()
    assert main([*arguments, f"--output={sink}", "--resume"]) == BAD_ROWS
    assert "(3 rows could not be read" in capsys.readouterr().err
    assert [line[:20] for line in sink.read_text().splitlines()] == [
        line[:20] for line in whole.read_text().splitlines()
    ]


def test_what_is_asked_for_and_cannot_be_is_one_line(tmp_path, capsys):
    (tmp_path / "in.txt").write_text("a\n")
    arguments = [f"--model={tmp_path}", f"--input={tmp_path / 'in.txt'}"]
    for more, says in (
        ([f"--output={tmp_path / 'a.xlsx'}"], "no form of output is called .xlsx; name it, --output_format="),
        (["--output_format=xml"], "'xml' is none of auto, jsonl, json, columns, brat, docbin, csv, html"),
        (["--output_format=brat"], "-: brat is not written to standard output"),
        (["--labels=Per\udcffson"], "--labels='Per\\udcffson': not UTF-8"),
    ):
        assert main([*arguments, *more]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert says in line


@pytest.mark.slow
@pytest.mark.usefixtures("loaded")
def test_damaged_files(tmp_path, capsys):
    files = fuzz_predict.fuzz_files(str(tmp_path), tmp_path, random.Random(5), 25)
    assert files["faults"] == 0, capsys.readouterr().out
    assert files["exit status 2"] > 1
    assert files["exit status 3"] > 1


@pytest.mark.slow
def test_arbitrary_texts(loaded, tmp_path, capsys):
    texts = fuzz_predict.fuzz_texts(str(tmp_path), set(loaded.schema.names), tmp_path, random.Random(5), 40)
    assert texts["faults"] == 0, capsys.readouterr().out
    assert texts["entities"] > 10


ANSWER = {
    "text": "Bo 😀 ran",
    "entities": [{"start": 0, "end": 2, "label": "person", "text": "Bo", "score": 0.5}],
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "Bo ran"},
        {"start": 1},
        {"end": 0, "text": ""},
        {"label": "x"},
        {"score": 1.5},
        {"text of it": "Bo "},
    ],
)
def test_the_fuzzer_finds_what_is_wrong(wrong):
    assert not fuzz_predict.faults(ANSWER, "Bo 😀 ran", {"person"})
    entity = {
        **ANSWER["entities"][0],
        **{k: v for k, v in wrong.items() if k in ("start", "end", "label", "score")},
    }
    if "text of it" in wrong:
        entity["text"] = wrong["text of it"]
    row = {"text": wrong.get("text") or ANSWER["text"], "entities": [entity]}
    assert fuzz_predict.faults(row, "Bo 😀 ran", {"person"})


def test_the_fuzzer_finds_rows_that_are_lost(tmp_path):
    sink = tmp_path / "out.jsonl"
    sink.write_text('{"text": "a", "entities": []}\n')
    faults = fuzz_predict.file_faults
    assert not faults("in.txt", b"a\n", 0, "", sink)
    assert faults("in.txt", b"a\r\nb\n", 0, "", sink)
    assert faults("in.txt", b"b\n", 0, "", sink)
    assert faults("in.txt", b"a\n", 3, "", sink)
    assert faults("in.txt", b"a\n", 2, "Traceback", sink)
    assert not faults("in.txt", b"a\n", 2, "toner-jax: in.txt: cannot be read\n", sink)
