"""What strangers write into labels, texts and file names steers no terminal, and is no markup of ours."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

import toner_jax
from toner_jax.commands import app, predict
from toner_jax.common import console
from toner_jax.evaluation.summary import show_run
from toner_jax.inference.predicted import Part
from toner_jax.tasks.recognized import Coverage
from toner_jax.text.words import READING

EVIL = "\x1b]0;mine\x07\x1b[2J\x9b31m\u202eolleh\u2066\x7f[bold]:smile:[/bold]"
TYPE = "ev\x1b2jil\u202e"  # a schema's names have no brackets
STEERING = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems refuse such names of files")


@pytest.fixture
def folder(tmp_path):
    """A folder of data, all of whose names are hostile."""
    found = tmp_path / EVIL.replace("/", "")
    found.mkdir()
    row = {"text": f"A {EVIL} b", "entities": [{"start": 2, "end": 2 + len(EVIL), "label": EVIL}]}
    for split in ("train", "dev", "test"):
        text = f"{split} {EVIL} b"
        at = {"start": len(split) + 1, "end": len(split) + 1 + len(EVIL), "label": EVIL}
        (found / f"{split}.jsonl").write_text(json.dumps({**row, "text": text, "entities": [at]}) + "\n")
    (found / "schema.json").write_text(json.dumps({"types": [{"name": TYPE, "tags": [EVIL]}]}))
    (found / "words.conll").write_text(f"a I-{EVIL}\nb O\n\n")
    return found


def printed(capsys, *arguments: object, status: int = 0) -> str:
    """What a command prints, none of which steers anything."""
    assert app.main([str(a) for a in arguments]) == status
    out, err = capsys.readouterr()
    assert STEERING.findall(out + err) == []
    return out + err


def data(folder) -> list[str]:
    return [f"--config.data.{k}={v}" for k, v in {"dir": folder, "format": "jsonl", "cache": False}.items()]


def test_stats_shows_escapes_in_its_table_notes_and_places(folder, capsys):
    schema = f"--config.data.schema={folder / 'schema.json'}"
    said = printed(capsys, "stats", "--config=custom", *data(folder), schema, "--repairs")
    assert "ev\\x1b2jil\\u202e" in said
    printed(capsys, "stats", "--config=custom", *data(folder), schema, "--repairs", "--json")
    # A table of a hostile title, and repairs at places of a hostile file.
    for split in ("train", "dev", "test"):
        (folder / f"{split}.conll").write_text(f"{split} I-x\nb O\nc B-x\n\n")
    columns = [f"--config.data.dir={folder}", "--config.data.format=columns", f"--config.data.name={EVIL}"]
    said = printed(capsys, "stats", "--config=custom", *columns, "--config.data.schema=", "--repairs")
    assert "train: i_without_b: " in said
    assert "\\x1b]0;mine\\x07\\x1b[2J\\x9b31m\\u202eolleh\\u2066\\x7f[bold]:smile:[" in said


def test_schema_and_its_errors_show_escapes(folder, tmp_path, capsys):
    out = tmp_path / "out.json"
    said = printed(capsys, "schema", "--input", folder / "train.jsonl", "--output", out)
    assert f"({console.printable(EVIL)})" in said
    assert "exists" in printed(
        capsys, "schema", "--input", folder, "--output", folder / "schema.json", status=2
    )
    schema = ["--config=custom", *data(folder), f"--config.data.schema={tmp_path / 'other.json'}"]
    (tmp_path / "other.json").write_text('{"person": ""}')
    assert "is not in schema" in printed(capsys, "stats", *schema, status=2)
    for wrong in (
        ["stats", f"--{EVIL}"],
        [EVIL],
        ["stats", f"--config={EVIL}"],
        ["predict", f"--format={EVIL}"],
    ):
        assert "[bold]:smile:[/bold]" in printed(capsys, *wrong, status=2)


class Fake:
    """Finds the whole of each text."""

    reading = READING

    def stream(self, texts, *_, **__):
        for i, text in enumerate(texts):
            span = {"start": 0, "end": len(text), "text": text, "label": TYPE, "score": 0.5}
            yield Part(i, [span], True, Coverage(1, 1))


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_predict_writes_json_that_means_the_same(folder, capsys, monkeypatch, form):
    monkeypatch.setattr(predict, "load", lambda _: Fake())
    source = folder / "rows.jsonl"
    source.write_text(json.dumps({"text": EVIL}) + f"\n{{{EVIL}\n")
    said = printed(capsys, "predict", "--model=x", "--input", source, f"--output_format={form}", status=3)
    rows = "".join(line for line in said.splitlines() if not line.startswith(str(folder.parent)))
    if form == "json":
        assert json.loads(rows)[0]["entities"][0]["text"] == EVIL
    else:
        assert json.loads(said.splitlines()[0])["text"] == EVIL


def test_other_forms_are_shown_on_a_terminal_and_written_elsewhere(folder, monkeypatch):
    monkeypatch.setattr(predict, "load", lambda _: Fake())
    source = folder / "rows.jsonl"
    source.write_text(json.dumps({"text": EVIL}) + "\n")
    for terminal in (True, False):
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        monkeypatch.setattr(out, "isatty", lambda is_one=terminal: is_one, raising=False)
        monkeypatch.setattr(sys, "stdout", out)
        assert app.main(["predict", "--model=x", "--input", str(source), "--output_format=csv"]) == 0
        out.flush()
        written = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
        assert (EVIL in written) != terminal
        assert bool(STEERING.search(written.replace("\r\n", "\n"))) != terminal


def test_a_finished_run_shows_escapes(tmp_path, capsys):
    scores = {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    report = {
        "split": EVIL, "sentences": 1, "entities": 1, "strict": scores, "per_type": {TYPE: scores},
        "seen_in_training": scores, "unseen_in_training": scores, "toner_compatible": scores,
        "baselines": {"memorised_mentions": scores}, "alignment_ceiling": 1.0, "dropped": {},
        "scores": {"ece": {"joint": None}}, "unreachable": 0, "coverage": {"unread": ""},
    }  # fmt: skip
    text = f"{EVIL} b c"
    span = {"start": len(EVIL) + 1, "end": len(EVIL) + 2, "text": "b", "label": TYPE}
    for name, content in {
        "report/test.json": report,
        "predictions/test.jsonl": {"text": text, "predicted": [span]},
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(json.dumps(content) + "\n")
    show_run(tmp_path)
    out = capsys.readouterr().out
    assert STEERING.findall(out) == []
    joined = "".join(out.split())
    assert f"•{console.printable(EVIL)}[b]({console.printable(TYPE)})c" in joined
    colored = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=200)
    show_run(tmp_path, colored)
    out = re.sub("\x1b\\[[0-9;]*m", "", colored.file.getvalue())
    assert STEERING.findall(out) == []
    assert f"•{console.printable(EVIL)}b{console.printable(TYPE)}c" in "".join(out.split())


def test_messages_and_bars_show_escapes(monkeypatch, capsys):
    console.show_messages()
    console.say(f"read {EVIL}\nread more")
    err = capsys.readouterr().err
    assert err == f"read {console.printable(EVIL)}\\nread more\n"
    monkeypatch.setattr(console.sys.stderr, "isatty", lambda: True, raising=False)
    with console.Progress(EVIL, 2) as progress:
        progress.update(1, EVIL)
    assert STEERING.findall(re.sub("\x1b\\[[0-9;?]*[a-zA-Z]|\r", "", capsys.readouterr().err)) == []


def test_nothing_is_printed_by_another_way():
    package = Path(toner_jax.__file__).parent
    found = [
        f"{path.relative_to(package)}:{number}"
        for path in package.rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"(?<![\w.])print\(|import escape|std(out|err)\.write", line)
    ]
    assert {name.split(":")[0] for name in found} == {"common/cli.py", "common/console.py"}
