"""Where predict writes to: nothing is replaced that is no file, and what is interrupted can go on."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import threading

import pytest
from test_output_forms import ANSWERS, ERROR, tokenize, write

from toner_jax.commands.outputs.forms import FORMS
from toner_jax.commands.outputs.target import Done, Target
from toner_jax.errors import UserError

GONE = 2**22 + 1  # the number of no process
LINES = b"".join(json.dumps(a).encode() + b"\n" for a in (ANSWERS[0], ERROR, ANSWERS[2]))


@pytest.mark.parametrize("form", [f for f in FORMS if f != "docbin"])
def test_every_form_goes_on_where_it_was(tmp_path, form):
    """What an interrupted command left is whole rows, whatever becomes of them."""
    whole = write(tmp_path / "whole", [ANSWERS[0], ERROR, ANSWERS[2], ANSWERS[3]], form)
    (tmp_path / "out.partial").write_bytes(LINES + b'{"text": "Aj')
    (tmp_path / "out.writing").write_text("mine")
    (tmp_path / f".out.{GONE}.writing").mkdir()  # of a conversion that was interrupted
    (tmp_path / f".out.{GONE}.writing/1.txt").touch()
    (tmp_path / f".out.{os.getppid()}.writing").touch()  # of one that goes on
    with Target(str(tmp_path / "out"), form, resume=True) as target:
        sink, done = target.open()
        assert done == Done(3, 1, ERROR["error"])
        sink.write(json.dumps(ANSWERS[3]) + "\n")
        target.finish(tokenize)
    if form == "brat":
        files = {p.name: p.read_bytes() for p in whole.iterdir()}
        assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == files
    elif form in ("jsonl", "json"):
        found = (tmp_path / "out").read_text(encoding="utf-8")
        rows = json.loads(found) if form == "json" else [json.loads(line) for line in found.splitlines()]
        assert rows == [ANSWERS[0], ERROR, ANSWERS[2], ANSWERS[3]]
    else:
        assert (tmp_path / "out").read_bytes() == whole.read_bytes()
    others = {"out.writing", f".out.{os.getppid()}.writing"}
    assert {p.name for p in tmp_path.iterdir()} == {"whole", "out", *others}
    assert (tmp_path / "out.writing").read_text() == "mine"


@pytest.mark.parametrize("torn", [b"\0\0\0\0\n", b"5\n", b"5", b'{"text": 1}', b"\xff\n"])
def test_what_a_crash_tore_is_cut(tmp_path, torn):
    (tmp_path / "out.csv.partial").write_bytes(LINES + torn)
    with Target(str(tmp_path / "out.csv"), "auto", resume=True) as target:
        assert target.open()[1].rows == 3
    assert (tmp_path / "out.csv.partial").read_bytes() == LINES


def test_an_interrupted_command_leaves_the_file_that_was_there(tmp_path):
    (tmp_path / "out.csv").write_text("mine")
    with Target(str(tmp_path / "out.csv"), "auto", False) as target:
        target.open()[0].write(json.dumps(ANSWERS[0]) + "\n")
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert (tmp_path / "out.csv.partial").read_text() == json.dumps(ANSWERS[0]) + "\n"


def test_a_link_stays_one(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "out.json").symlink_to(tmp_path / "far/real.json")
    write(tmp_path / "out.json", ANSWERS)
    assert (tmp_path / "out.json").is_symlink()
    assert json.loads((tmp_path / "far/real.json").read_text()) == ANSWERS


@pytest.mark.skipif(os.name != "posix", reason="of a system with devices and pipes")
def test_a_device_is_written_to_and_a_pipe(tmp_path):
    (tmp_path / "null").symlink_to("/dev/null")
    for form in ("jsonl", "csv"):
        write(tmp_path / "null", ANSWERS, form)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert not os.path.exists("/dev/null.partial")
    os.mkfifo(tmp_path / "pipe.csv")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe.csv").read_text()))
    reader.start()
    write(tmp_path / "pipe.csv", ANSWERS, "csv")
    reader.join()
    assert read == [write(tmp_path / "out.csv", ANSWERS).read_text()]
    with pytest.raises(UserError, match="docbin is not written to standard output, a device or a pipe"):
        Target(str(tmp_path / "pipe.csv"), "docbin", False)


@pytest.mark.parametrize("form", ["json", "columns", "csv", "html"])
def test_texts_go_to_standard_output_too(tmp_path, monkeypatch, form):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    with Target("-", form, False) as target:
        sink, _ = target.open()
        sink.writelines(json.dumps(answer, ensure_ascii=False) + "\n" for answer in ANSWERS)
        target.finish(tokenize)
    out.flush()
    assert out.buffer.getvalue() == write(tmp_path / "out", ANSWERS, form).read_bytes()  # type: ignore[attr-defined]


def test_what_cannot_be_written_is_one_line_before_any_work(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").touch()
    (tmp_path / "file").touch()
    (tmp_path / "source.csv.partial").touch()
    (tmp_path / "mine.csv.partial").write_text("half of a letter\n")
    wrong = [
        ("full", "auto", False, "full: not an empty folder; give a new one"),
        ("full", "csv", False, "full: is a folder, which only brat is"),
        ("file", "brat", False, "file: not an empty folder"),
        ("a.spacy.gz", "auto", False, "docbin is not written to a file that is compressed"),
        ("a.gz", "brat", False, "brat is not written to a file that is compressed"),
        ("file/a.csv", "auto", False, r"file/a\.csv: cannot be written \(.*file is no folder\)"),
        ("mine.csv", "auto", False, r"mine\.csv\.partial: is in the way .* move it"),
        ("a.csv", "auto", True, "there is no .*a.csv.partial, which an interrupted command leaves"),
    ]
    for name, form, resume, says in wrong:
        with pytest.raises(UserError, match=says):
            Target(str(tmp_path / name), form, resume)
    for form in ("brat", "docbin"):
        with pytest.raises(UserError, match=f"-: {form} is not written to standard output"):
            Target("-", form, False)
    with pytest.raises(UserError, match="--resume: - is no file"):
        Target("-", "csv", True)
    with pytest.raises(UserError, match="is the input, too"):
        Target(str(tmp_path / "source.csv"), "auto", False).check_is_not(str(tmp_path / "source.csv.partial"))


@pytest.mark.parametrize("form", ["brat", "columns", "docbin"])
def test_what_was_written_for_another_form_is_not_forced_into_this_one(tmp_path, form):
    row = {"text": "A \ud800 b", "entities": []}
    (tmp_path / "out.partial").write_text(json.dumps(ANSWERS[0]) + "\n" + json.dumps(row) + "\n")
    before = (tmp_path / "out.partial").read_bytes()
    with Target(str(tmp_path / "out"), form, resume=True) as target:
        target.open()
        with pytest.raises(UserError, match=r"out\.partial:2: holds half of a surrogate pair.*=jsonl"):
            target.check_kept(tokenize)
    assert (tmp_path / "out.partial").read_bytes() == before


def test_a_pipe_has_names_below_dev(capfd):
    program = (
        "from toner_jax.commands.outputs.target import Target\n"
        "with Target('/dev/stdout', 'auto', False) as target:\n"
        "    target.open()[0].write('{}\\n')\n"
        "    target.finish(None)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, timeout=120)
    assert done.stdout == b"{}\n"
