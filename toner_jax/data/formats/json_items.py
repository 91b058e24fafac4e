"""The values of JSON files with their places, and annotated spans in the spellings that tools use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toner_jax.data.reading import check_characters, read_lines, read_text, shown
from toner_jax.errors import UserError

_SPACE = re.compile(r"[ \t\r\n]*")
_START = ("start", "start_offset")
_END = ("end", "end_offset")
_LABEL = ("label", "type")


def read_items(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects of JSON lines, or of one JSON array, each with its place, `file:line`.

    Blank lines hold nothing.

    Raises:
      UserError: the file cannot be read, or a line is not JSON or no object.
    """
    text = read_text(path)
    items = _array(text, path) if text.lstrip(" \t\r\n").startswith("[") else _lines(path)
    for value, place in items:
        if not isinstance(value, dict):
            raise UserError(f'{place}: expected an object {{"…": …}}, not {shown(value)}')
        yield value, place


def _lines(path: Path) -> Iterator[tuple[Any, str]]:
    for number, line in enumerate(read_lines(path), 1):
        if line.strip():
            try:
                yield json.loads(line), f"{path}:{number}"
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path}:{number}: not JSON ({_reason(error)})") from error


def _array(text: str, path: Path) -> Iterator[tuple[Any, str]]:
    """Element by element, so that each is known by the line on which it begins."""
    decoder = json.JSONDecoder()

    def skip(at: int) -> int:
        return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty string

    counted, line = 0, 1
    at = skip(text.index("[") + 1)
    expected = "]" if text[at : at + 1] == "]" else ","
    while expected == ",":
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}:{error.lineno}: not JSON ({_reason(error)})") from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}:{line}: not JSON ({_reason(error)})") from error
        yield value, f"{path}:{line}"
        at = skip(at)
        expected = text[at : at + 1]
        if expected not in (",", "]") or not expected:
            line += text.count("\n", counted, at)
            raise UserError(f"{path}:{line}: not JSON (expected ',' or ']' after an element of the array)")
        at = skip(at + 1)
    if at < len(text) and text[at:].strip("] \t\r\n"):
        raise UserError(f"{path}:{line}: not JSON (text after the end of the array)")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error).split(";")[0]


def one_of(item: Mapping[str, Any], keys: Sequence[str], place: str) -> str | None:
    """The one of several spellings of a key that the item uses; None where it uses none.

    Raises:
      UserError: it uses two.
    """
    used = [key for key in keys if key in item]
    if len(used) > 1:
        raise UserError(f'{place}: has both "{used[0]}" and "{used[1]}"; keep one of them')
    return used[0] if used else None


def get_text(item: Mapping[str, Any], key: str, place: str) -> str:
    """A string of the item.

    Raises:
      UserError: it is missing, or no string.
    """
    if key not in item:
        raise UserError(f'{place}: has no "{key}"; its keys are {", ".join(map(shown, list(item)[:10]))}')
    if not isinstance(item[key], str):
        raise UserError(f'{place}: "{key}" is {shown(item[key])}; expected a string')
    return item[key]


def get_list(item: Mapping[str, Any], key: str, place: str) -> list[Any]:
    """A list of the item.

    Raises:
      UserError: it is missing, or no list.
    """
    if key not in item:
        raise UserError(
            f'{place}: has no "{key}" (an empty list where there is nothing); '
            f"its keys are {', '.join(map(shown, list(item)[:10]))}"
        )
    if not isinstance(item[key], list):
        raise UserError(f'{place}: "{key}" is {shown(item[key])}; expected a list')
    return item[key]


def get_id(item: Mapping[str, Any], key: str, place: str) -> str | None:
    """A string or a whole number of the item, as a string; None where it is missing or null.

    Raises:
      UserError: it is something else, or empty.
    """
    value = item.get(key)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise UserError(f'{place}: "{key}" is {shown(value)}; expected a string or a whole number')
    check_characters(value, f'{place}: "{key}"')
    return value


def get_spans(item: Mapping[str, Any], key: str, place: str) -> list[tuple[int, int, str]]:
    """Annotated spans (start, end, label): `[start, end, label]`, or objects with `start` and `end` (or
    `start_offset`, `end_offset`) and `label` (or `type`), whose other keys do not matter.

    Raises:
      UserError: the list or one of its spans is malformed.
    """
    spans = []
    for number, span in enumerate(get_list(item, key, place)):
        where = f'{place}: "{key}"[{number}]'
        if isinstance(span, dict):
            found = [one_of(span, names, where) for names in (_START, _END, _LABEL)]
            missing = [
                names[0] for names, name in zip((_START, _END, _LABEL), found, strict=True) if not name
            ]
            if missing:
                raise UserError(f'{where} has no "{missing[0]}": {shown(span)}')
            span = [span[name] for name in found if name]
        if not isinstance(span, list) or len(span) != 3:
            raise UserError(f"{where} is {shown(span)}; expected a start, an end and a label")
        spans.append(check_span(span[0], span[1], span[2], where))
    return spans


def check_span(start: Any, end: Any, label: Any, place: str) -> tuple[int, int, str]:
    """A span with two whole numbers and a name.

    Raises:
      UserError: they are something else.
    """
    for value in (start, end):
        if not isinstance(value, int) or isinstance(value, bool):
            raise UserError(f"{place}: {shown(value)} is not a whole number")
    if not isinstance(label, str) or not label.strip():
        raise UserError(f"{place}: label {shown(label)} is not a name")
    return start, end, label
