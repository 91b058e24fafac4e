"""What the readers of every format share: text from files, labels to types, and errors with their location."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from toner_jax.atoms import GLUE
from toner_jax.common import reads
from toner_jax.common.console import warn
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError
from toner_jax.schema import Schema, Sentence

_RUNNING = re.compile(r"(?:train|dev|test)-doc-\d+")


class Read(NamedTuple):
    """What a reader made of its files.

    Attributes:
      sentences: in the files' order.
      repairs: of everything that was mended or left out; empty where nothing was.
    """

    sentences: tuple[Sentence, ...]
    repairs: Repairs


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without its byte order mark; line ends as they are.

    Raises:
      UserError: the file cannot be read, is not UTF-8 or holds a NUL character, with the line.
    """
    try:
        data = reads.read(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    data = data.removeprefix(codecs.BOM_UTF8)

    def line_at(offset: int) -> int:
        return data.count(b"\n", 0, offset) + 1

    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}:{line_at(error.start)}: byte 0x{data[error.start]:02x} is not UTF-8; convert the file"
        ) from error
    if (offset := data.find(b"\0")) >= 0:
        raise UserError(f"{path}:{line_at(offset)}: NUL character; the file is not plain UTF-8 text")
    return text


def first_line(path: Path) -> str:
    """The first line that is not blank, as far as its first kilobyte goes; "" in a file that has none or
    cannot be read, about which its reader has more to say."""
    try:
        start = reads.read_head(path, 1024).decode("utf-8-sig", errors="replace")
    except OSError:
        return ""
    return next((line.strip() for line in start.split("\n") if line.strip()), "")


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file without their ends. Only LF and CRLF end a line: `str.splitlines` would
    also break tokens at U+0085, U+2028 and others.

    Raises:
      UserError: as `read_text`, or a carriage return inside a line.
    """
    text = read_text(path)
    lines = [line.rstrip("\r") for line in text.split("\n")]
    if "\r" in text:
        for number, line in enumerate(lines, 1):
            if "\r" in line:
                raise UserError(
                    f"{path}:{number}: carriage return inside the line; end lines with LF or CRLF"
                )
    return lines


def shown(value: object) -> str:
    """A value of the user's for an error message: its `repr`, cut where it is long, on one line."""
    text = repr(value[:60] + "…" if isinstance(value, str) and len(value) > 60 else value)
    return text if len(text) <= 80 else text[:80] + "…"


def check_characters(text: str, location: str) -> None:
    """Refuses text that no UTF-8 file could hold, which JSON's escapes can.

    Raises:
      UserError: an unpaired surrogate or a NUL character, naming the location.
    """
    if "\0" in text:
        raise UserError(f"{location}: NUL character at {text.index(chr(0))} of the text; remove it")
    if GLUE in text:
        raise UserError(
            f"{location}: U+E000 at {text.index(GLUE)} of the text, a private-use character; remove it"
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{location}: unpaired surrogate at {error.start} of the text; write the character whole"
        ) from error


def resolve_label(schema: Schema | None, label: str, location: str) -> str:
    """The type that a file's label stands for.

    Args:
      schema: None leaves the label as it is, for reading files whose types are still to be found.
      location: `file:line` or whatever names the annotation, for the error.

    Raises:
      UserError: the schema lacks it; the message lists the schema's types.
    """
    if schema is None:
        check_characters(label, location)
        return label
    name = schema.resolve(label)
    if name is None:
        raise UserError(
            f"{location}: label {shown(label)} is not in schema {schema.name!r} (types: {', '.join(schema.names)}); "
            "use this data's schema, or add the label to the tags of a type"
        )
    return name


def running_document(split: str, number: int) -> str:
    """The id of a document that has none of its own, by its number in the file."""
    return f"{split}-doc-{number}" if split else f"doc-{number}"


def is_running_document(id: str) -> bool:
    """Whether `running_document` made the id for a split: it says nothing about which document it is."""
    return _RUNNING.fullmatch(id) is not None


def check_not_empty(sentences: Iterable[object], location: str | Path) -> None:
    """Refuses what holds no sentence.

    Raises:
      UserError: naming the location.
    """
    if not any(True for _ in sentences):
        raise UserError(f"{location}: empty: it holds no sentence; check that this is the right file")


def warn_of_unreachable(sentences: Iterable[Sentence], path: Path) -> None:
    """Says how many entities a format has no room for, which has words alone."""
    if lost := sum(len(s.unreachable) for s in sentences):
        warn(f"{path}: {lost:,} entities that begin or end inside words are left out")
