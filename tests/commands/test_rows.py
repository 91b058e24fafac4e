"""What predict reads as the rows of a file, and what it says of those that it cannot read."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import threading

import pytest

from toner_jax.commands.outputs.answers import Answer
from toner_jax.commands.outputs.forms import FORMS
from toner_jax.commands.predict import _own_keys
from toner_jax.commands.rows import Row, format_of, open_bytes, read_rows
from toner_jax.errors import UserError
from toner_jax.text.words import lines_of_words

ROW = Row({"text": "Bo é saw 😀."})


def test_what_an_annotation_says_of_the_rest_of_its_entities_is_not_kept():
    entry = {"text": "NF-YA", "words": [[0, 5]], "glued": [], "id": 7}
    gold = {
        "entities": [],
        "unreachable": [{"start": 0, "end": 4, "label": "X"}],
        "coverage": {},
        "error": "",
    }
    assert _own_keys(Row({**entry, **gold})) == entry


def rows(data: bytes, format: str = "jsonl") -> list[Row]:
    return list(read_rows(io.BytesIO(data), "in", format))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("format", ["txt", "jsonl", "json"])
def test_a_byte_order_mark_tells_the_encoding(encoding, format):
    text = ROW.entry["text"] if format == "txt" else json.dumps(ROW.entry, ensure_ascii=False)
    assert rows(f"{text}\n".encode(encoding), format) == [ROW]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_without_the_mark_nothing_is_made_of_it(encoding):
    with pytest.raises(UserError, match=r"^in: UTF-16 or UTF-32 without the byte order mark that tells them"):
        rows("Bo saw.\n".encode(encoding), "txt")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"text": "a", "text": "b"}', "not JSON (the key 'text' stands twice in an object)"),
        ('{"text": "a", "x": {"y": 1, "y": 1}}', "not JSON (the key 'y' stands twice in an object)"),
        ('{"text": "a", "x": 1e999}', "not JSON ('1e999' is too large a number)"),
        ('{"text": "a", "x": -Infinity}', "not JSON (-Infinity is no JSON)"),
        ('{"text": "a", "x": ' + "7" * 5000 + "}", "not JSON (Exceeds the limit (4300 digits) for integer"),
        ('{"text": "a", "x": ' + "[" * 300 + "]" * 300 + "}", "not JSON (nested too deeply)"),
        ('{"text": "a", "x": ' + '{"y": ' * 300 + "1" + "}" * 301, "not JSON (nested too deeply)"),
        ('{"words": ["a"], "tokens": ["b"]}', 'has "words" and other "tokens"; leave out one of the two'),
    ],
)
def test_what_cannot_be_written_again_as_one_thing_is_an_error(line, says):
    bad, good = rows(f"{line}\n{json.dumps(ROW.entry)}\n".encode())
    assert bad.error.startswith(f"in:1: {says}")
    assert ";" not in bad.error or "leave out" in bad.error
    assert good == ROW
    assert rows(f'{{"text": "a", "x": {"[" * 150 + "]" * 150}}}'.encode())[0].error == ""


def test_a_json_file_is_an_array_an_object_or_lines():
    one = json.dumps(ROW.entry, indent=2).encode()
    assert rows(one, "json") == [ROW]
    assert rows(b" " + one.replace(b"\n", b" ") + b"\n" + json.dumps(ROW.entry).encode(), "json") == [
        ROW,
        ROW,
    ]
    assert rows(json.dumps([ROW.entry, ROW.entry["text"]], indent=1).encode(), "json") == [ROW, ROW]
    with pytest.raises(UserError, match=r"^in:2: not UTF-8; convert the file"):
        rows(b'[{"text":\n"\xff"}]', "json")
    with pytest.raises(UserError, match=r"^in: not JSON \(the key 'text' stands twice in an object\)"):
        rows(b'[{"text": "a", "text": "b"}]', "json")


@pytest.mark.skipif(os.name != "posix", reason="of a system with named pipes")
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pipe_is_read_from_its_beginning(tmp_path, pack):
    """As of `--input=<(zcat texts.gz)`: what is looked at to tell gzip's files is gone when it is opened again."""
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(pack(b"one\ntwo\n" * 9_000)))
    writer.start()
    with open_bytes(str(tmp_path / "pipe")) as file:
        found = list(read_rows(file, "pipe", "txt"))
    writer.join()
    assert found == [Row({"text": "one"}), Row({"text": "two"})] * 9_000


def test_standard_input_may_be_compressed(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"one\n"))))
    with open_bytes("-") as file:
        assert list(read_rows(file, "-", "txt")) == [Row({"text": "one"})]


REFUSED = {
    "a\ud800b": {"columns", "brat", "docbin", "csv"},
    "a\0b": {"columns", "brat"},
    "\ufeffa": {"brat"},
    "-DOCSTART- a": {"columns"},
    " a\t\r\n\x85b\u2028😀 ": set(),
    "": set(),
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_text_is_refused_only_where_a_form_cannot_give_it_back(text):
    refused = {
        name for name, form in FORMS.items() if form.refuses(Answer(1, {"text": text}, ()), lines_of_words)
    }
    assert refused == REFUSED[text]


@pytest.mark.parametrize(
    ("word", "refused"),
    [
        ("", {"columns", "docbin"}),
        ("a\tb", {"columns"}),
        (" a", {"columns"}),
        ("a b\n", {"columns"}),
        ("a\u3000b", set()),
    ],
)
def test_a_word_is_refused_only_where_a_form_cannot_give_it_back(word, refused):
    answer = Answer(1, {"words": ["Bo", word]}, ())
    assert {name for name, form in FORMS.items() if form.refuses(answer, lines_of_words)} == refused
    named = Answer(1, {"text": "a", "id": "\udfff"}, ())
    assert {name for name, form in FORMS.items() if form.refuses(named, lines_of_words)} == REFUSED[
        "a\ud800b"
    ]


def test_a_line_or_an_array_without_end_is_refused_before_it_is_held(monkeypatch, tmp_path):
    """A small archive may hold any number of characters."""
    monkeypatch.setattr("toner_jax.commands.rows._LONGEST", 1000)
    whole = "x" * 1000
    assert [row.entry["text"] for row in read(tmp_path, f"{whole}\n{whole}", "a.txt.gz")] == [whole] * 2
    with pytest.raises(UserError, match=r"^a.txt.gz:2: a line of more than 1,000 characters; split it$"):
        read(tmp_path, f"{whole}\n{whole}x\n", "a.txt.gz")
    with pytest.raises(
        UserError, match=r"^a.json.gz: an array of more than 1,000 characters; write JSON lines"
    ):
        read(tmp_path, f'["{whole}"]', "a.json.gz")


def read(folder, text: str, name: str) -> list[Row]:
    (folder / name).write_bytes(gzip.compress(text.encode()))
    with open_bytes(str(folder / name)) as file:
        return list(read_rows(file, name, format_of(name)))
