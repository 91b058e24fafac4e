"""Broken files of every format: each gives one line that names it, or loads with what was mended counted.

Never another exception: a traceback is a defect of ours.
"""

import pytest
from sound import SOUND, load, refused

from toner_jax.errors import UserError


@pytest.mark.parametrize("format", SOUND)
def test_sound_files_are_sound(format, tmp_path):
    (sentences, repairs), _ = load(format, SOUND[format], tmp_path)
    assert [s.surface(e) for s in sentences for e in s.entities] == ["Zoë Lima"]
    assert repairs == {}


@pytest.mark.parametrize("format", SOUND)
@pytest.mark.parametrize("change", ["bom", "crlf", "no end", "blank end"])
def test_harmless_differences(format, change, tmp_path):
    text = SOUND[format]
    content = {
        "bom": "\ufeff" + text,
        "crlf": text.replace("\n", "\r\n"),
        "no end": text.rstrip("\n"),
        "blank end": text + "\n \n\n",
    }[change]
    (sentences, repairs), _ = load(format, content, tmp_path)
    assert [s.surface(e) for s in sentences for e in s.entities] == ["Zoë Lima"]
    assert repairs == {}


@pytest.mark.parametrize("format", SOUND)
@pytest.mark.parametrize(
    ("encoding", "problem"),
    [
        ("latin-1", "byte 0xeb is not UTF-8; convert the file"),
        ("cp1252", "byte 0xeb is not UTF-8; convert the file"),
        ("utf-16", "byte 0xff is not UTF-8; convert the file"),
        ("utf-32", "byte 0xff is not UTF-8; convert the file"),
    ],
)
def test_other_encodings(format, encoding, problem, tmp_path):
    line, found = refused(format, SOUND[format].encode(encoding), tmp_path)
    assert found == problem
    byte = b"\xff" if encoding.startswith("utf") else b"\xeb"
    before = SOUND[format].encode(encoding).split(byte)[0]
    assert line == before.count(b"\n") + 1


@pytest.mark.parametrize("format", SOUND)
def test_utf_16_without_a_mark(format, tmp_path):
    content = SOUND[format].replace("ë", "e").encode("utf-16-le")
    assert refused(format, content, tmp_path) == (1, "NUL character; the file is not plain UTF-8 text")


@pytest.mark.parametrize("format", SOUND)
@pytest.mark.parametrize("at", [0, 5, -1])
def test_nul(format, at, tmp_path):
    data = SOUND[format].encode()
    content = data[:at] + b"\0" + data[at:]
    line, problem = refused(format, content, tmp_path)
    assert (line, problem) == (
        content.split(b"\0")[0].count(b"\n") + 1,
        "NUL character; the file is not plain UTF-8 text",
    )


@pytest.mark.parametrize("format", [f for f in SOUND if f != "brat"])
@pytest.mark.parametrize(
    "content", ["", "\n", " \n\t\r\n", "\ufeff"], ids=["nothing", "line", "blanks", "bom"]
)
def test_nothing_in_it(format, content, tmp_path):
    assert refused(format, content, tmp_path) == (
        None,
        "empty: it holds no sentence; check that this is the right file",
    )


@pytest.mark.parametrize("format", SOUND)
def test_a_picture(format, tmp_path):
    line, problem = refused(format, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 9, tmp_path)
    assert (line, problem) == (1, "byte 0x89 is not UTF-8; convert the file")


@pytest.mark.parametrize("format", SOUND)
def test_truncated_anywhere(format, tmp_path):
    """Every beginning of a file is refused with its name, or is a sound file itself."""
    data = SOUND[format].encode()
    for end in range(1, len(data)):
        folder = tmp_path / str(end)
        folder.mkdir()
        error, read = "", None
        try:
            read, _ = load(format, data[:end], folder)
        except UserError as caught:
            error = str(caught)
        if read is None:
            assert error.startswith(str(folder))
            assert len(error.splitlines()) == 1
        else:
            assert format in ("columns", "csv", "brat") or end >= len(data.rstrip())
            assert {e.type for s in read.sentences for e in s.entities} <= {"person"}


LONG = 50_000_000


@pytest.mark.parametrize(
    ("format", "content", "at", "problem"),
    [
        ("columns", b"x" * LONG + b"\n", 1, "1 column, which leaves none for the tag"),
        ("jsonl", b'{"text": "' + b"x" * LONG, 1, "not JSON (Unterminated string"),
    ],
    ids=["columns", "jsonl"],
)
def test_a_line_of_50_megabytes_is_refused_soon(format, content, at, problem, tmp_path):
    found, message = refused(format, content, tmp_path)
    assert (found, problem in message) == (at, True)
