"""The rows of a file of texts: what `toner-jax predict` reads."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import math
import re
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn, cast

from toner_jax.common.files import naming
from toner_jax.data.reading import shown
from toner_jax.errors import UserError

FORMATS = ("auto", "txt", "jsonl", "json")
STANDARD = "-"  # standard input or output

_GZIP = b"\x1f\x8b"
# A longer mark comes before the shorter one that it begins with.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# How four characters of ASCII begin in an encoding that only its mark would tell.
_WITHOUT_MARK = re.compile(rb"[^\0]\0[^\0]\0|\0[^\0]\0[^\0]|[^\0]\0\0\0|\0\0\0[^\0]")
_ESCAPED = re.compile("[\udc80-\udcff]")  # bytes that are not UTF-8, as "surrogateescape" gives them
_DEEPEST = 200  # what nests deeper may be read and yet not written
# Characters that are held in memory at a time, of a row or of an array: a small file may decompress to any number.
_LONGEST = 1 << 28


@dataclass(frozen=True)
class Row:
    """A row: its keys and values, or what is wrong with it, behind its file and line.

    Attributes:
      location: its file and line, or its number in an array.
    """

    entry: dict[str, Any]
    error: str = ""
    location: str = field(default="", compare=False)


def words_of(entry: Mapping[str, Any]) -> list[str] | None:
    """The words of a row that has a list of them."""
    for key in ("words", "tokens"):
        words = entry.get(key)
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
    return None


def format_of(name: str, format: str = "auto") -> str:
    """What a file holds, if `format` does not say, by its name: "txt", a text a line; "jsonl", JSON objects a line; or
    "json", an array of them."""
    if format != "auto":
        return format
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    return {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}.get(suffix, "txt")


@contextmanager
def open_bytes(name: str) -> Iterator[IO[bytes]]:
    """A file or standard input, decompressed if it is gzip's; opened once, as a pipe gives what it holds but once.

    Raises:
      UserError: standard input is closed.
    """
    if name == STANDARD and sys.stdin is None:
        raise UserError("standard input is closed; name a file of texts")
    with nullcontext(sys.stdin.buffer) if name == STANDARD else Path(name).open("rb") as opened:
        file = io.BufferedReader(cast("io.RawIOBase", opened))
        compressed = file.peek(2)[:2] == _GZIP
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if compressed else file


def read_rows(file: IO[bytes], name: str, format: str) -> Iterator[Row]:
    """The rows in order, read as they are asked for but for those of an array.

    A row that cannot be read has its error. UTF-8 with or without a byte order mark is read, and UTF-16 or UTF-32 with
    one.

    Args:
      format: as `format_of` gives it.

    Raises:
      UserError: the file as a whole cannot be read.
    """
    buffered = io.BufferedReader(cast("io.RawIOBase", file))
    try:
        head = buffered.peek(4)[:4]
        encoding = next((found for mark, found in _MARKS.items() if head.startswith(mark)), "utf-8-sig")
        if _WITHOUT_MARK.match(head):
            raise UserError(
                f"{name}: UTF-16 or UTF-32 without the byte order mark that tells them; save the file as UTF-8"
            )
        # What is not UTF-8 spoils its own row alone.
        errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
        lines = io.TextIOWrapper(buffered, encoding=encoding, errors=errors)
        with naming(name):
            yield from _array(lines, name) if format == "json" else _lines(lines, name, format == "jsonl")
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{name}: cannot be read ({error})") from error


def _lines(lines: IO[str], name: str, is_json: bool) -> Iterator[Row]:
    for number, line in enumerate(iter(lambda: lines.readline(_LONGEST + 1), ""), 1):
        if len(line) > _LONGEST and not line.endswith("\n"):
            raise UserError(f"{name}:{number}: a line of more than {_LONGEST:,} characters; split it")
        text, location = line.rstrip("\n"), f"{name}:{number}"
        if _ESCAPED.search(text):
            yield Row({}, f"{location}: not UTF-8", location)
        elif not is_json:
            yield Row({"text": text}, location=location)
        elif text.strip():
            yield _parsed(text, location)


def _array(lines: IO[str], name: str) -> Iterator[Row]:
    """The elements of an array, or one object on any number of lines; of a file that is neither, its lines."""
    text = lines.read(_LONGEST + 1)
    if len(text) > _LONGEST:
        raise UserError(
            f"{name}: an array of more than {_LONGEST:,} characters; write JSON lines, a row each"
        )
    if wrong := _ESCAPED.search(text):
        raise UserError(f"{name}:{text.count(chr(10), 0, wrong.start()) + 1}: not UTF-8; convert the file")
    try:
        values = _load(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("["):
            raise UserError(f"{name}: not JSON ({_reason(error)})") from error
        yield from _lines(io.StringIO(text), name, is_json=True)
        return
    for number, value in enumerate(values if isinstance(values, list) else [values], 1):
        yield _checked(value, f"{name}: record {number}")


def _parsed(text: str, location: str) -> Row:
    try:
        return _checked(_load(text), location)
    except (ValueError, RecursionError) as error:
        return Row({}, f"{location}: not JSON ({_reason(error)})", location)


def _load(text: str) -> Any:
    """What JSON says, where it can be written again and says one thing.

    Raises:
      ValueError, RecursionError: it is none, a key stands twice, a number is none or too large, or it nests too deeply.
    """
    value = json.loads(
        text, parse_constant=_no_json, parse_float=_finite, object_pairs_hook=_with_each_key_once
    )
    if text.count("[") + text.count("{") > _DEEPEST:
        _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        inside = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)]
        level = [v for values in inside for v in values]
    if level:
        raise RecursionError


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{shown(text)} is too large a number")
    return value


def _with_each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {shown(twice)} stands twice in an object")
    return found


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]


def _checked(value: Any, location: str) -> Row:
    """A row with a text or with words, and not with both; a null is neither, and a string is a text. Words may stand
    beside a text as character ranges, as our own files have them; the text is read then."""
    entry = {"text": value} if isinstance(value, str) else value

    def wrong(reason: str, entry: dict[str, Any]) -> Row:
        return Row(entry, f"{location}: {reason}", location)

    expected = 'expected an object with a "text" string, or a list of "words"'
    if not isinstance(entry, dict):
        return wrong(expected, {})
    has_text, words = isinstance(entry.get("text"), str), words_of(entry)
    if has_text and words:
        return wrong('has a "text" and a list of "words"; leave out one of the two', entry)
    if words is not None and words_of({"words": entry.get("tokens")}) not in (None, words):
        return wrong('has "words" and other "tokens"; leave out one of the two', entry)
    if has_text or words is not None:
        return Row(entry, location=location)
    return wrong(expected, entry)
