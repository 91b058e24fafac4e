"""The keys of a configuration by their dotted names, and their values as a command line spells them."""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from toner_jax.common.values import parse_value
from toner_jax.config import NUMBERS_OR
from toner_jax.errors import UserError


def short(message: str) -> str:
    """An error's message without the quotes of a KeyError, and the listing of all keys in one of ConfigDict's."""
    return message.strip("'\"").split("\n")[0].split(". Other fields present")[0]


def get(config: ConfigDict, key: str) -> Any:
    """The value of a dotted key.

    Raises:
      UserError: there is no such key.
    """
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, ConfigDict) or part not in value:
            raise UserError(f"{key}: no such configuration key")
        value = value[part]
    return value


def flat(values: Any, before: str = "") -> dict[str, Any]:
    """A configuration's values, or those of a mapping like one, by dotted key."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if hasattr(value, "items"):
            found |= flat(value, f"{before}{name}.")
        else:
            found[before + name] = value
    return found


def override(config: ConfigDict, key: str, text: str) -> None:
    """Sets a key that a finished run's evaluation reads, from its command-line spelling.

    Raises:
      UserError: another or unknown key, or a value of another type.
    """
    get(config, key)  # an unknown key is told as such
    if not key.startswith(("decode.", "text.", "mesh.", "sharding", "tokenizer.backend", "dtype")):
        raise UserError(
            f"{key}: fixed by training; decode.*, text.*, mesh.*, sharding and dtype can be changed"
        )
    set_key(config, key, text)


def set_key(config: ConfigDict, key: str, text: str) -> None:
    """Sets a key from its command-line spelling.

    Raises:
      UserError: an unknown key, or a value of another type.
    """
    section, _, name = key.rpartition(".")
    (get(config, section) if section else config)[name] = _parsed(key, text, get(config, key))


def _parsed(key: str, text: str, like: Any) -> Any:
    if key not in NUMBERS_OR:
        return parse_value(key, text, like)
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text  # the word, or what `validate` refuses
