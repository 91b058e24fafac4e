"""The names of tags that a data set writes as numbers: in the options, or in a file beside the data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toner_jax.common import reads
from toner_jax.common.files import expanded
from toner_jax.data.reading import read_lines, read_text, shown
from toner_jax.errors import ParameterError, UserError

_KEY = "data.tag_names"
_USUAL = ("label.json", "labels.json", "label2id.json", "id2label.json", "labels.txt")
_SUFFIXES = (".json", ".txt")
_TABLES = ("label2id", "id2label", "names")  # in the files of models and data sets
_NUMBER = re.compile(r"-?\d+")


@dataclass(frozen=True)
class Tagging:
    """How the tags of a data set are written.

    Attributes:
      prefix: where the prefix of a tag stands, of `toner_jax.data.notation.TAG_PREFIXES`.
      names: of numbered tags, in the order of the numbers from 0; or a file of them alone.
      folder: where that file lies, or one of a usual name; None where there is no folder.
    """

    prefix: str = "auto"
    names: tuple[str, ...] = ()
    folder: Path | None = None

    def __post_init__(self) -> None:
        if not all(isinstance(name, str) for name in self.names):
            raise ParameterError(
                _KEY, repr(self.names), "expected names, as ('O', 'B-TYPE'), or a file of them"
            )


def is_number(tag: str) -> bool:
    """Whether a tag is a number, whose name stands elsewhere."""
    return _NUMBER.fullmatch(tag) is not None


def find_names(tagging: Tagging) -> tuple[Mapping[int, str], str] | None:
    """The names of numbered tags, and what holds them; None where nothing does.

    Raises:
      UserError: the file cannot be read, names no tags by number, or lies beside one of other names.
    """
    if len(tagging.names) == 1 and Path(tagging.names[0]).suffix in _SUFFIXES:
        given = expanded(tagging.names[0])
        beside = tagging.folder / given if tagging.folder else given
        path = beside if reads.is_file(beside) else given
        if not reads.is_file(path):
            raise ParameterError(
                _KEY, tagging.names[0], f"no such file, nor one in {tagging.folder or 'data.dir'}"
            )
        return read_names(path), str(path)
    if tagging.names:
        return _numbered(enumerate(tagging.names), _KEY), _KEY
    beside_data = [tagging.folder / name for name in _USUAL] if tagging.folder else []
    found = {path: read_names(path) for path in beside_data if reads.is_file(path)}
    for path, names in found.items():
        if names != (first := next(iter(found.values()))):
            number = next(n for n in sorted({*first, *names}) if first.get(n) != names.get(n))
            raise UserError(
                f"{path}: tag {number} is {_called(names, number)}, but {_called(first, number)} in "
                f"{next(iter(found))}; remove one of the files, or name the right one in {_KEY}"
            )
    return next(((names, str(path)) for path, names in found.items()), None)


def _called(names: Mapping[int, str], number: int) -> str:
    return shown(names[number]) if number in names else "without a name"


def read_names(path: Path) -> Mapping[int, str]:
    """Number → name, of a file: JSON that maps names to numbers or numbers to names, such a table under `label2id` or
    `id2label`, or a list; or a text with a name a line.

    Raises:
      UserError: the file cannot be read, holds something else, or gives a number two names.
    """
    if path.suffix == ".txt":
        lines = [line.strip() for line in read_lines(path)]
        while lines and not lines[-1]:
            lines.pop()
        return _numbered(enumerate(lines), str(path))
    try:
        value = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    if isinstance(value, dict):
        value = next((value[key] for key in _TABLES if isinstance(value.get(key), dict | list)), value)
    return _numbered(_pairs(value, str(path)), str(path))


def _pairs(value: Any, source: str) -> Iterable[tuple[int, str]]:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return list(enumerate(value))
    if isinstance(value, dict):
        if all(isinstance(n, int) and not isinstance(n, bool) for n in value.values()):
            return [(number, name) for name, number in value.items()]
        if all(is_number(number) and isinstance(name, str) for number, name in value.items()):
            return [(int(number), name) for number, name in value.items()]
    raise UserError(
        f'{source}: no names of tags; expected {{"O": 0, "B-TYPE": 1}}, {{"0": "O"}} or ["O", "B-TYPE"]'
    )


def _numbered(pairs: Iterable[tuple[int, str]], source: str) -> Mapping[int, str]:
    names: dict[int, str] = {}
    for number, name in pairs:
        if not name.strip():
            raise UserError(f"{source}: the name of tag {number} is empty")
        if number in names:
            raise UserError(
                f"{source}: tag {number} has two names, {shown(names[number])} and {shown(name)}; keep one"
            )
        names[number] = name
    if twice := [name for name in names.values() if list(names.values()).count(name) > 1]:
        raise UserError(f"{source}: two numbers have the name {shown(twice[0])}; give each tag its own")
    return names
