"""Records of JSON files and their values, each checked for its kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toner_jax.data.reading import read_text
from toner_jax.errors import UserError


def read_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of an array, or of a file with one a line, each with the place that names it in errors.

    Raises:
      UserError: not JSON, or a record that is no object.
    """
    text = read_text(path)

    def parse(text: str, line: int) -> Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}:{line + error.lineno - 1}: not JSON ({error.msg})") from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}:{line}: not JSON that can be read ({error})") from error

    if text.lstrip().startswith("["):
        values = [(f"{path}: record {i}", value) for i, value in enumerate(parse(text, 1), 1)]
    else:
        lines = enumerate(text.split("\n"), 1)
        values = [(f"{path}:{number}", parse(line, number)) for number, line in lines if line.strip()]
    for place, value in values:
        if not isinstance(value, dict):
            raise UserError(f"{place}: expected an object, not {kind_of(value)}")
        yield place, value


def get_key(item: Any, key: str, place: str) -> Any:
    """The value of an entity's key."""
    if not isinstance(item, dict) or key not in item:
        raise UserError(f"{place}: an entity without {key!r}")
    return item[key]


def as_list(value: Any, key: str, place: str) -> list[Any]:
    """The value, which must be a list; `key` names it in the error."""
    if not isinstance(value, list):
        raise UserError(f"{place}: {key!r} is {kind_of(value)}, not a list")
    return value


def as_int(value: Any, key: str, place: str) -> int:
    """The value, which must be a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{place}: {key!r} holds {kind_of(value)} where a whole number is expected")
    return value


def as_text(value: Any, key: str, place: str) -> str:
    """The value, which must be a string of Unicode text."""
    if not isinstance(value, str):
        raise UserError(f"{place}: {key!r} holds {kind_of(value)} where text is expected")
    if any("\ud800" <= c <= "\udfff" for c in value) or "\0" in value:
        raise UserError(f"{place}: {key!r} holds half a surrogate pair or a NUL; it is not Unicode text")
    return value


def kind_of(value: Any) -> str:
    """What a value is, for errors."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "a number"}
    return "null" if value is None else names.get(type(value), "a number")
