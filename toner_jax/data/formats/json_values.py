"""The records of JSON files with their locations, and their values, each checked for its kind.

A value is called by its key in errors, behind the location of its record: `train.json:7: "text" is 3; expected
a string`. In an array, which may stand on a single line, the record's number follows: `train.json:1: record 7`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toner_jax.data.formats.offsets import Annotation
from toner_jax.data.reading import check_characters, read_lines, read_text, shown
from toner_jax.errors import UserError

Record = dict[str, Any]

_SPACE = re.compile(r"[ \t\r\n]*")
_START = ("start", "start_offset")
_END = ("end", "end_offset")
_LABEL = ("label", "type")
_SURFACE = ("text", "surface", "value", "name", "word")
# A line that is a text and its annotations: JSON lines, though they begin as an array does.
_PAIR = re.compile(r'\s*\[\s*"(?:[^"\\\n]|\\.)*"\s*,\s*\{.*\}\s*\]\s*(\n|$)')


def read_records(path: Path) -> Iterator[tuple[Record, str]]:
    """The objects of JSON lines, or of one JSON array, each with its location. Blank lines hold nothing.

    Raises:
      UserError: the file cannot be read, or a line is not JSON or no object.
    """
    for value, location in read_values(path):
        if not isinstance(value, dict):
            hint = "; pairs of texts and annotations are read by data.format=json" if is_pair(value) else ""
            raise UserError(f'{location}: expected an object {{"…": …}}, not {shown(value)}{hint}')
        yield value, location


def read_values(path: Path) -> Iterator[tuple[Any, str]]:
    """As `read_records`, whatever the lines or the elements of the array are. A file that is one object, over several
    lines, is one value.

    Raises:
      UserError: the file cannot be read, or a line is not JSON.
    """
    text = read_text(path)
    if text.lstrip(" \t\r\n").startswith("[") and not _PAIR.match(text):
        yield from _array(text, path)
    elif text.rstrip().endswith("}") and re.match(r"\s*\{\s*\n", text) and (whole := _whole(text)):
        yield whole, f"{path}:1"
    else:
        yield from _lines(path)


def is_pair(value: object) -> bool:
    """Whether it is a text with its annotations, as spaCy's training data have them."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], dict)
    )


def _whole(text: str) -> Any:
    """The one object that the text is; None where it is not."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None


def _lines(path: Path) -> Iterator[tuple[Any, str]]:
    for number, line in enumerate(read_lines(path), 1):
        if line.strip():
            try:
                yield json.loads(line, object_pairs_hook=_object), f"{path}:{number}"
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path}:{number}: not JSON ({_reason(error)})") from error


def _array(text: str, path: Path) -> Iterator[tuple[Any, str]]:
    """Element by element, so that each is known by its number and the line on which it begins."""
    decoder = json.JSONDecoder(object_pairs_hook=_object)

    def skip(at: int) -> int:
        return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty string

    counted, line, number = 0, 1, 0
    at = skip(text.index("[") + 1)
    expected = "]" if text[at : at + 1] == "]" else ","
    at += expected == "]"
    while expected == ",":
        line, counted, number = line + text.count("\n", counted, at), at, number + 1
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}:{error.lineno}: not JSON ({_reason(error)})") from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}:{line}: not JSON ({_reason(error)})") from error
        yield value, f"{path}:{line}: record {number}"
        at = skip(at)
        expected = text[at : at + 1]
        if expected not in (",", "]") or not expected:
            line += text.count("\n", counted, at)
            raise UserError(f"{path}:{line}: not JSON (expected ',' or ']' after an element of the array)")
        at = skip(at + 1)
    if at < len(text) and text[at:].strip(" \t\r\n"):
        raise UserError(f"{path}:{line}: not JSON (text after the end of the array)")


def _object(pairs: list[tuple[str, Any]]) -> Record:
    """An object, of which JSON would keep the last of two values of a key without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise ValueError(f"an object has the key {shown(twice)} twice")
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at column {error.colno}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error).split(";")[0]


def one_of(item: Mapping[str, Any], keys: Sequence[str], location: str) -> str | None:
    """The one of several spellings of a key that the item uses; None where it uses none.

    Raises:
      UserError: it uses two.
    """
    used = [key for key in keys if key in item]
    if len(used) > 1:
        raise UserError(f'{location}: has both "{used[0]}" and "{used[1]}"; keep one of them')
    return used[0] if used else None


def as_text(value: Any, what: str, location: str) -> str:
    """The value, which must be a string of Unicode text; `what` names it in the error.

    Raises:
      UserError: it is no string, or holds half a surrogate pair or a NUL.
    """
    if not isinstance(value, str):
        raise UserError(f"{location}: {what} is {shown(value)}; expected a string")
    check_characters(value, f"{location}: {what}")
    return value


def as_list(value: Any, what: str, location: str) -> list[Any]:
    """The value, which must be a list; `what` names it in the error.

    Raises:
      UserError: it is something else.
    """
    if not isinstance(value, list):
        raise UserError(f"{location}: {what} is {shown(value)}; expected a list")
    return value


def as_int(value: Any, location: str) -> int:
    """The value, which must be a whole number.

    Raises:
      UserError: it is something else; a fraction and true are, too.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{location}: {shown(value)} is not a whole number")
    return value


def get_value(item: Mapping[str, Any], key: str, location: str, hint: str = "") -> Any:
    """The value of a key, whatever it is.

    Raises:
      UserError: the item lacks it.
    """
    if key not in item:
        raise UserError(
            f'{location}: has no "{key}"{hint}; its keys are {", ".join(map(shown, list(item)[:10]))}'
        )
    return item[key]


def get_text(item: Mapping[str, Any], key: str, location: str) -> str:
    """A string of the item; raises as `as_text`, or where it is missing."""
    return as_text(get_value(item, key, location), f'"{key}"', location)


def get_int(item: Mapping[str, Any], key: str, location: str) -> int:
    """A whole number of the item; raises as `as_int`, or where it is missing."""
    return as_int(get_value(item, key, location), f'{location}: "{key}"')


def get_list(item: Mapping[str, Any], key: str, location: str) -> list[Any]:
    """A list of the item; raises as `as_list`, or where it is missing."""
    hint = " (an empty list where there is nothing)"
    return as_list(get_value(item, key, location, hint), f'"{key}"', location)


def get_objects(item: Mapping[str, Any], key: str, location: str) -> Iterator[tuple[Record, str]]:
    """The objects of a list of the item, each with its location in it.

    Raises:
      UserError: as `get_list`, or an element is no object.
    """
    for number, value in enumerate(get_list(item, key, location)):
        where = f'{location}: "{key}"[{number}]'
        if not isinstance(value, dict):
            raise UserError(f"{where} is {shown(value)}; expected an object")
        yield value, where


def get_explanation(item: Mapping[str, Any], location: str) -> str:
    """The optional `explanation` of a record's entities, in one line; "" where there is none, or no string.

    Raises:
      UserError: it holds what is no text.
    """
    value = item.get("explanation")
    return " ".join(as_text(value, '"explanation"', location).split()) if isinstance(value, str) else ""


def get_id(item: Mapping[str, Any], key: str, location: str) -> str | None:
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
        raise UserError(f'{location}: "{key}" is {shown(value)}; expected a string or a whole number')
    return as_text(value, f'"{key}"', location)


def get_spans(item: Mapping[str, Any], key: str, location: str) -> list[Annotation]:
    """Annotated spans: `[start, end, label]`, or objects with `start` and `end` (or `start_offset`, `end_offset`) and
    `label` (or `type`), which may repeat their text; other keys do not matter.

    Raises:
      UserError: the list or one of its spans is malformed.
    """
    spans = []
    for number, span in enumerate(get_list(item, key, location)):
        where = f'{location}: "{key}"[{number}]'
        surfaces: tuple[str, ...] = ()
        if isinstance(span, dict):
            found = [one_of(span, names, where) for names in (_START, _END, _LABEL)]
            missing = [
                names[0] for names, name in zip((_START, _END, _LABEL), found, strict=True) if not name
            ]
            if missing:
                raise UserError(f'{where} has no "{missing[0]}": {shown(span)}')
            surfaces = get_surfaces(span)
            span = [span[name] for name in found if name]
        if not isinstance(span, list) or len(span) != 3:
            raise UserError(f"{where} is {shown(span)}; expected a start, an end and a label")
        start, end, label = check_span(span[0], span[1], span[2], where)
        spans.append(Annotation(((start, end),), label, where, surfaces))
    return spans


def get_surfaces(span: Mapping[str, Any]) -> tuple[str, ...]:
    """What a span says stands at its range, under each of the keys that tools use."""
    return tuple(value for key in _SURFACE if isinstance(value := span.get(key), str))


def check_span(start: Any, end: Any, label: Any, location: str) -> tuple[int, int, str]:
    """A span with two whole numbers and a name.

    Raises:
      UserError: they are something else.
    """
    start, end = as_int(start, location), as_int(end, location)
    if not isinstance(label, str) or not label.strip():
        raise UserError(f"{location}: label {shown(label)} is not a name")
    return start, end, label
