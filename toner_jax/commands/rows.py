"""The rows of a file of texts: what `toner-jax predict` reads."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn, cast

from toner_jax.errors import UserError

FORMATS = ("auto", "txt", "jsonl", "json")
STANDARD = "-"  # standard input or output

_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Row:
    """A row: its keys and values, or what is wrong with it, behind its file and line."""

    entry: dict[str, Any]
    error: str = ""


def words_of(entry: dict[str, Any]) -> list[str] | None:
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


def open_bytes(name: str) -> AbstractContextManager[IO[bytes]]:
    """A file, decompressed if it is gzip's, or standard input."""
    if name == STANDARD:
        return nullcontext(sys.stdin.buffer)
    with Path(name).open("rb") as file:
        compressed = file.read(2) == _GZIP
    return cast("IO[bytes]", gzip.open(name)) if compressed else Path(name).open("rb")


def read_rows(file: IO[bytes], name: str, format: str) -> Iterator[Row]:
    """The rows in order, read as they are asked for but for those of an array.

    A row that cannot be read has its error. UTF-8 with or without a byte order mark is read, and UTF-16 with one.

    Args:
      format: as `format_of` gives it.

    Raises:
      UserError: the file as a whole cannot be read.
    """
    buffered = io.BufferedReader(cast("io.RawIOBase", file))
    try:
        encoding = "utf-16" if buffered.peek(2)[:2] in _UTF16 else "utf-8-sig"
        # What is not UTF-8 spoils its own row alone.
        errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
        lines = io.TextIOWrapper(buffered, encoding=encoding, errors=errors)
        yield from _array(lines, name) if format == "json" else _lines(lines, name, format == "jsonl")
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{name}: cannot be read ({error})") from error


def _lines(lines: IO[str], name: str, is_json: bool) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        text, location = line.rstrip("\n"), f"{name}:{number}"
        if any("\udc80" <= character <= "\udcff" for character in text):
            yield Row({}, f"{location}: not UTF-8")
        elif not is_json:
            yield Row({"text": text})
        elif text.strip():
            yield _parsed(text, location)


def _array(lines: IO[str], name: str) -> Iterator[Row]:
    """The elements of an array; of a file that is none, its lines."""
    text = lines.read()
    if not text.lstrip().startswith("["):
        yield from _lines(io.StringIO(text), name, is_json=True)
        return
    try:
        values = json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: not JSON ({_reason(error)})") from error
    for number, value in enumerate(values, 1):
        yield _checked(value, f"{name}: record {number}")


def _parsed(text: str, location: str) -> Row:
    try:
        return _checked(json.loads(text, parse_constant=_no_json), location)
    except (ValueError, RecursionError) as error:
        return Row({}, f"{location}: not JSON ({_reason(error)})")


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _checked(value: Any, location: str) -> Row:
    """A row with a text or with words, and not with both; a null is neither, and a string is a text. Words may stand
    beside a text as character ranges, as our own files have them; the text is read then."""
    entry = {"text": value} if isinstance(value, str) else value
    if not isinstance(entry, dict):
        return Row({}, f'{location}: expected an object with a "text" string, or a list of "words"')
    has_text, words = isinstance(entry.get("text"), str), words_of(entry)
    if has_text and words:
        return Row(entry, f'{location}: has a "text" and a list of "words"; leave out one of the two')
    if has_text or words is not None:
        return Row(entry)
    return Row(entry, f'{location}: expected an object with a "text" string, or a list of "words"')
