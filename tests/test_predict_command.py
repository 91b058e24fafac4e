"""`toner-jax predict`, on a finished tiny run."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
from unittest import mock

import pytest

from toner_jax.commands.predict import BAD_ROWS
from toner_jax.commands.rows import Row, format_of, open_bytes, read_rows
from toner_jax.errors import UserError
from toner_jax.predict import main

TEXTS = [
    "Judge Ivan Borcalski married Professor Jaman in Selqua in 1973.",
    "",
    "Émile ½ 😀 ( said ) : “no”",
]


def places(entities):
    return [(e["start"], e["end"], e["text"], e["label"]) for e in entities]


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_command_line(ner, finished, tmp_path):
    source, sink = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    entries = [{"entities": 1, "text": TEXTS[0], "key": 7}, {"text": ""}, {"text": " ".join(TEXTS[:1] * 40)}]
    source.write_text("\n\n".join(json.dumps(e) for e in entries) + "\n")
    assert main([f"--model={finished[0]}", f"--input={source}", f"--output={sink}"]) == 0
    found = [json.loads(line) for line in sink.read_text().splitlines()]
    assert (found[0]["key"], found[0]["text"]) == (7, TEXTS[0])
    assert [e["entities"] for e in found] == ner.predict([e["text"] for e in entries])
    assert found[1]["entities"] == []


@pytest.mark.slow
def test_rows_of_words_and_of_pretokenized_texts(ner, finished, tmp_path, capsys):
    """Words give places in words, a text gives them in characters; what was not read stands in the row."""
    text = "  Judge Ivan Borcalski came   to Selqua ."
    rows = [{"words": text.split(), "id": 1}, {"tokens": text.split()}, {"text": text}]
    rows.append({"words": ["x1" * ner.config.text.max_source, "fell"]})
    source, sink = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows[0] |= {"text": None, "info": {"source": "x"}}
    rows += [{"text": "Judge Ivan\nin \ud800 Selqua"}, {"words": []}]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main([f"--model={finished[0]}", f"--input={source}", f"--output={sink}", "--pretokenized"]) == 0
    words, tokens, characters, long, lines, empty = map(json.loads, sink.read_text().splitlines())
    assert lines["text"] == rows[4]["text"]
    assert empty["entities"] == []
    (expected,) = ner.predict(words=[text.split()])
    assert expected
    places = [(e["start"], e["end"], e["text"], e["label"]) for e in expected]
    for row, given in zip((words, tokens), rows, strict=False):
        found = row.pop("entities")
        assert [(e["start"], e["end"], e["text"], e["label"]) for e in found] == places
        assert row == given
    assert len(characters["entities"]) == len(expected)
    for e, word in zip(characters["entities"], expected, strict=True):
        assert text[e["start"] : e["end"]] == e["text"]
        assert (e["text"].split(), e["label"]) == (word["text"].split(), word["label"])
        assert e["score"] == pytest.approx(word["score"], abs=2e-5)  # of another batch
    assert long["coverage"]["words_too_long"] == 1
    assert "coverage" not in words
    assert "not all was read of 1 text, whose rows have a coverage: 1 word longer" in capsys.readouterr().err


BAD = {
    "not json": "not JSON",
    '{"words": [1]}': "expected an object",
    '{"words": "a"}': "expected an object",
    '{"text": "a b", "words": ["a"]}': 'has a "text" and a list of "words"; leave out one',
    '{"text": null}': "expected an object",
    "[]": "expected an object",
    "5": "expected an object",
    '{"text": "a", "n": NaN}': "not JSON (NaN is no JSON)",
    "[" * 100_000: "not JSON (nested too deeply)",
}


@pytest.mark.slow
def test_a_bad_row_costs_no_other(ner, finished, tmp_path, capsys):
    lines = [json.dumps({"text": TEXTS[0]}), *BAD, json.dumps({"text": TEXTS[0], "id": 7})]
    source, sink = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes("\n".join(lines).encode() + b'\n{"text": "\xff"}\n')
    assert main([f"--model={finished[0]}", f"--input={source}", f"--output={sink}"]) == BAD_ROWS
    first, *bad, last, undecodable = rows(sink)
    assert places(first["entities"]) == places(last["entities"]) == places(ner.predict(TEXTS[:1])[0])
    assert last["id"] == 7
    for number, (row, says) in enumerate(zip(bad, BAD.values(), strict=True), 2):
        assert row["error"].startswith(f"{source}:{number}: {says}")
    assert undecodable == {"error": f"{source}:{len(lines) + 1}: not UTF-8"}
    said = capsys.readouterr().err
    assert f"{source}:2: not JSON" in said
    assert f"({len(BAD) + 1} rows could not be read and stand" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "says"), [("not json", "in.jsonl:2: not JSON"), ("[]", "in.jsonl:2: expected")]
)
def test_strict_stops_at_it(finished, tmp_path, capsys, line, says):
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n' + line + "\n")
    output = tmp_path / "out.jsonl"
    assert (
        main([f"--model={finished[0]}", f"--input={tmp_path / 'in.jsonl'}", "--strict", f"--output={output}"])
        == 2
    )
    assert says in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize(
    ("name", "data", "more"),
    [
        ("a.txt", TEXTS[0].encode("utf-8-sig"), []),
        ("a.txt", (TEXTS[0] + "\r\n").encode("utf-16"), []),
        ("a", TEXTS[0].encode(), []),
        ("a.txt.gz", gzip.compress(TEXTS[0].encode(), mtime=0), []),
        ("a.JSONL", json.dumps({"text": TEXTS[0]}).encode("utf-8-sig"), []),
        ("a.ndjson.gz", gzip.compress(json.dumps({"text": TEXTS[0]}).encode(), mtime=0), []),
        ("a.jsonl", json.dumps(TEXTS[0]).encode(), []),
        ("a.json", json.dumps([{"text": TEXTS[0]}], indent=2).encode(), []),
        ("a.json", json.dumps([TEXTS[0]]).encode("utf-8-sig"), []),
        ("a.json", json.dumps({"text": TEXTS[0]}).encode() + b"\n", []),
        ("a.txt", json.dumps({"text": TEXTS[0]}).encode(), ["jsonl"]),
        ("-", json.dumps({"text": TEXTS[0]}).encode(), ["jsonl"]),
        ("-", TEXTS[0].encode("utf-8-sig"), []),
    ],
)
def test_files_of_every_kind(tmp_path, monkeypatch, name, data, more):
    source = str(tmp_path / name)
    if name == "-":
        source = name
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    else:
        (tmp_path / name).write_bytes(data)
    with open_bytes(source) as file:
        (row,) = read_rows(file, source, format_of(source, *more))
    assert row == Row({"text": TEXTS[0]})


@pytest.mark.parametrize("data", [b"\x1f\x8bno", gzip.compress(b"text" * 500, mtime=0)[:-9]])
def test_a_damaged_archive_is_refused(tmp_path, data):
    (tmp_path / "a.gz").write_bytes(data)
    with (
        open_bytes(str(tmp_path / "a.gz")) as file,
        pytest.raises(UserError, match=r"^a.gz: cannot be read \("),
    ):
        list(read_rows(file, "a.gz", "txt"))


@pytest.mark.slow
def test_the_output_is_there_once_it_is_complete_and_goes_on_where_it_was(ner, finished, tmp_path, capsys):
    source, sink = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    arguments = [f"--model={finished[0]}", f"--input={source}", f"--output={sink}"]
    assert main([*arguments, "--resume"]) == 2
    assert "out.jsonl.partial, which an interrupted command leaves" in capsys.readouterr().err
    sink.write_text("what was there before\n")
    with mock.patch("toner_jax.commands.predict._shown", side_effect=KeyboardInterrupt):
        assert main(arguments) == 130
    assert sink.read_text() == "what was there before\n"
    assert main(arguments) == 0
    whole = rows(sink)
    assert not (tmp_path / "out.jsonl.partial").exists()
    first, *_ = sink.read_bytes().splitlines(keepends=True)
    (tmp_path / "out.jsonl.partial").write_bytes(first + b'{"text": "", "entit')
    assert main([*arguments, "--resume"]) == 0
    assert [(r["text"], places(r["entities"])) for r in rows(sink)] == [
        (r["text"], places(r["entities"])) for r in whole
    ]


def test_the_input_is_never_the_output(finished, tmp_path, capsys):
    source = tmp_path / "in.txt"
    source.write_text("a\n")
    os.link(source, tmp_path / "other")
    (tmp_path / "link").symlink_to(source)
    for sink in (source, tmp_path / "other", tmp_path / "link", tmp_path / "x/../in.txt"):
        (tmp_path / "x").mkdir(exist_ok=True)
        assert main([f"--model={finished[0]}", f"--input={source}", f"--output={sink}"]) == 2
        assert "is the input, too" in capsys.readouterr().err
    assert source.read_text() == "a\n"


@pytest.mark.slow
def test_labels_and_keys(ner, finished, tmp_path, capsys):
    source, sink = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text(TEXTS[0] + "\n")
    (tmp_path / "ships.json").write_text(json.dumps({"ship": "Names of vessels.", "harbour": ""}))
    arguments = [f"--model={finished[0]}", f"--input={source}", f"--output={sink}"]
    for labels, names in (("Person,ORG", {"Person", "ORG"}), (tmp_path / "ships.json", {"ship", "harbour"})):
        assert main([*arguments, f"--labels={labels}", "--flat"]) == 0
        assert {e["label"] for row in rows(sink) for e in row["entities"]} <= names
    assert main([*arguments, "--config.decode.threshold=1.0"]) == 0
    assert rows(sink)[0]["entities"] == []
    assert main([*arguments, "--config.seed=3"]) == 2
    assert "seed: fixed by training" in capsys.readouterr().err


def test_bad_models(tmp_path, capsys):
    (tmp_path / "in.txt").write_text("a\n")
    assert main([f"--model={tmp_path}", f"--input={tmp_path / 'in.txt'}"]) == 2
    assert "no config.json" in capsys.readouterr().err
    assert main([f"--model={tmp_path}", f"--input={tmp_path / 'nothing.txt'}"]) == 2
    assert "nothing.txt" in capsys.readouterr().err
