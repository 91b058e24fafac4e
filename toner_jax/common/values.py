"""Values of configuration keys, as they are typed on a command line."""

from __future__ import annotations

import ast
import math
from typing import Any

from toner_jax.errors import ParameterError

_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def parse_value(key: str, text: str, like: Any) -> Any:
    """What `--config.KEY=TEXT` says, as a value of the type of `like`, the key's present value.

    Raises:
      UserError: it is none, or the key is a section.
    """
    if isinstance(like, str):
        return text
    if isinstance(like, bool):
        if text.lower() in _BOOLEANS:
            return _BOOLEANS[text.lower()]
        raise ParameterError(key, text, "expected true or false")
    if isinstance(like, int | float):
        return _parse_number(key, text, type(like))
    if isinstance(like, tuple):
        return _parse_tuple(key, text, like)
    raise ParameterError(
        key, text, f"a section; set one of its keys: {', '.join(f'{key}.{k}' for k in like)}"
    )


def _parse_number(key: str, text: str, kind: type[int] | type[float]) -> int | float:
    try:
        value: int | float = kind(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise ParameterError(key, text, f"expected a {'whole number' if kind is int else 'number'}")
    return value


def _parse_tuple(key: str, text: str, like: tuple[Any, ...]) -> tuple[Any, ...]:
    """A tuple as Python writes it, or plain words with commas between."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = text.split(",")
        if not text or any(c in text for c in "()[]{}'\""):
            value = None
    value = tuple(value) if isinstance(value, list) else value
    value = value if isinstance(value, tuple) or value is None else (value,)
    kind = type(like[0]) if like else object
    if value is None or not all(isinstance(v, kind) for v in value):
        example = {int: "(-1,)", str: "('a', 'b')"}.get(kind, "('a', 'b')")
        raise ParameterError(key, text, f'expected a tuple, as --config.{key}="{example}"')
    return value
