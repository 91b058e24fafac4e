"""predict without models: where it writes to, how it goes on, and what a full disk does to it."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from unittest import mock

import pytest

from toner_jax.commands import predict
from toner_jax.commands.outputs.forms import FORMS
from toner_jax.commands.outputs.unread import Unread
from toner_jax.inference.predicted import Part
from toner_jax.predict import main
from toner_jax.schema import EntityType, Schema
from toner_jax.tasks.recognized import Coverage
from toner_jax.text.words import READING, split_into_sentences

TEXTS = ["cut", "whole", "unknown", "long", "cut", "words"]
READ = {
    "cut": Coverage(1, 2, truncated=2, pieces=9),
    "unknown": Coverage(1, 1, pieces=3, unknown=2),
    "long": Coverage(1, 1, matching_shortened=1, pieces=9),
    "words": Coverage(1, 1, words_too_long=3, pieces=9),
}
SAYS = (
    "not all was read of 5 texts, whose rows have a coverage: 3 words longer than an input, 4 outputs cut at the "
    "longest, 1 sentence longer than the type matcher reads, 1 with more than 20% of unknown pieces"
)


def stream(texts, *_, **__):
    return (Part(i, [], True, READ.get(text, Coverage(1, 1, pieces=9))) for i, text in enumerate(texts))


@pytest.fixture(autouse=True)
def _without_models(monkeypatch):
    monkeypatch.setattr(predict, "load", lambda _: SimpleNamespace(reading=READING, stream=stream))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("".join(f"{text}\n" for text in TEXTS))
    return path


@pytest.mark.parametrize("done", range(len(TEXTS) + 1))
def test_what_was_not_read_before_an_interruption_is_said_too(tmp_path, source, capsys, done):
    output = tmp_path / "out.jsonl"
    arguments = ["--model=x", f"--input={source}", f"--output={output}"]
    assert main(arguments) == 0
    assert capsys.readouterr().err.splitlines()[-1] == SAYS
    lines = output.read_bytes().splitlines(keepends=True)
    (tmp_path / "out.jsonl.partial").write_bytes(b"".join(lines[:done]) + b'{"text": "cu')
    assert main([*arguments, "--resume"]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == SAYS
    assert output.read_bytes().splitlines(keepends=True) == lines


def test_nothing_unread_is_nothing_to_say():
    assert Unread().describe() == ""


@pytest.mark.parametrize("form", [f for f in FORMS if f != "docbin"])
def test_an_output_may_have_any_name_in_any_folder_if_its_form_is_said(tmp_path, source, form):
    output = tmp_path / "new/folder/x.v2"
    assert main(["--model=x", f"--input={source}", f"--output={output}", f"--output_format={form}"]) == 0
    assert [p.name for p in output.parent.iterdir()] == ["x.v2"]


def test_rows_of_an_interrupted_command_are_not_lost_without_a_word(tmp_path, source, capsys):
    arguments = ["--model=x", f"--input={source}", f"--output={tmp_path / 'out.csv'}"]
    with mock.patch.object(predict, "_shown", side_effect=KeyboardInterrupt):
        assert main(arguments) == 130
    assert "interrupted; the same command goes on with --resume\n" in capsys.readouterr().err
    (tmp_path / "out.csv.partial").write_text('{"text": "cut", "entities": []}\n')
    assert main(arguments) == 0
    says = "out.csv.partial: rows of an interrupted command, found anew; --resume goes on with them\n"
    assert says in capsys.readouterr().err


def test_columns_cut_a_text_into_words_once(tmp_path, monkeypatch):
    source, cut = tmp_path / "in.txt", []

    def counting(text, reading):
        cut.append(text)
        return split_into_sentences(text, reading=reading)

    monkeypatch.setattr("toner_jax.text.words.split_into_sentences", counting)
    source.write_text("Ajax sank .\nIt is gone .\n")
    assert main(["--model=x", f"--input={source}", f"--output={tmp_path / 'out.conll'}"]) == 0
    assert cut == ["Ajax sank .", "It is gone ."]
    source.write_text("-DOCSTART- X\n")
    assert main(["--model=x", f"--input={source}", f"--output={tmp_path / 'other.conll'}"]) in (0, 3)


LIMITED = """
import resource, sys
from types import SimpleNamespace
from toner_jax.commands import predict
from toner_jax.inference.predicted import Part
from toner_jax.predict import main
from toner_jax.schema import EntityType, Schema
from toner_jax.tasks.recognized import Coverage
from toner_jax.text.words import READING

def stream(texts, *_, **__):
    return (Part(i, [], True, Coverage(1, 1)) for i, _ in enumerate(texts))

predict.load = lambda _: SimpleNamespace(reading=READING, stream=stream)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), -1))
sys.exit(main(["--model=x", *sys.argv[2:]]))
"""


@pytest.mark.parametrize(
    "form",
    ["jsonl", *(pytest.param(f, marks=pytest.mark.slow) for f in ("csv", "columns", "html", "brat", "json"))],
)
@pytest.mark.skipif(sys.platform == "win32", reason="a system without limits of files")
def test_an_output_that_does_not_fit_is_named_and_goes_on(tmp_path, form, pythonpath):
    """A limit of a file's size stands for a disk that is full: of the rows, and of what is made of them."""
    source, output = tmp_path / "in.txt", tmp_path / "out"
    # As brat's text, of which there is more than of all rows of others, it is one row.
    source.write_text("x" * 3000 + "\n" if form == "brat" else "Ajax sank.\n" * 100)

    def run(limit: int, *more: str) -> subprocess.CompletedProcess[str]:
        arguments = [f"--input={source}", f"--output={output}", f"--output_format={form}", *more]
        return subprocess.run(
            [sys.executable, "-B", "-c", LIMITED, str(limit), *arguments],
            capture_output=True, text=True, env=pythonpath, timeout=100,
        )  # fmt: skip

    mend = "File too large; raise the limit of a file's size (ulimit -f), or choose another disk"
    done = run(1000)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"toner-jax: {output}.partial: {mend}")
    kept = {p.name for p in tmp_path.iterdir()}
    assert kept == {"in.txt", "out.partial"}
    assert run(1 << 20, "--resume").returncode == 0
    assert {p.name for p in tmp_path.iterdir()} == {"in.txt", "out"}
    if form in ("html", "columns"):  # longer than their rows
        rows = sum(len(json.dumps({"text": t, "entities": []})) + 1 for t in ["Ajax sank."] * 100)
        assert output.stat().st_size > 1000
        done = run(rows + 10 if form == "html" else 10_000_000)
        assert (done.returncode, done.stderr.endswith(f"{output}: {mend}\n")) in ((2, True), (0, False))
        assert not list(tmp_path.glob(".out*"))


def test_labels_that_training_did_not_have_are_named(said):
    """Unless something describes them; a trained type's tag is one that it had."""
    ner = SimpleNamespace(schema=Schema("s", (EntityType("person", tags=("PER",)), EntityType("place"))))
    for labels in (None, ["PER", "Place"], {"ship": "Names of vessels."}):
        predict._say_what_is_new(labels, ner)
    assert said() == []
    predict._say_what_is_new(["PER", "LOC", "ship"], ner)
    assert said() == [
        "labels that training did not have: LOC, ship; a schema file as --labels describes them"
    ]


def test_an_input_without_texts_is_said(tmp_path, capsys):
    (tmp_path / "in.txt").write_text("")
    assert main(["--model=x", f"--input={tmp_path / 'in.txt'}", f"--output={tmp_path / 'out.jsonl'}"]) == 0
    assert f"{tmp_path / 'in.txt'}: no texts\n" in capsys.readouterr().err
    assert (tmp_path / "out.jsonl").read_text() == ""
