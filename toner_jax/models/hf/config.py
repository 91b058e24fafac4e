"""The `config.json` of Hugging Face folders, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toner_jax.errors import UserError
from toner_jax.models.hf.files import CONFIG_FILE, read_json

# (our name, theirs, value where it is absent; its type is the type wanted).
Options = tuple[tuple[str, str, Any], ...]


@dataclass(frozen=True)
class ConfigFile:
    """A folder's config.json. What an architecture cannot use is a UserError that names file and key."""

    path: Path
    values: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> ConfigFile:
        """Raises a UserError where there is none, or one that is no JSON object."""
        path = folder / CONFIG_FILE
        return cls(path, read_json(path))

    @property
    def folder(self) -> Path:
        return self.path.parent

    def require(self, fixed: Mapping[str, Any]) -> None:
        """Refuses other values than these; a key may be absent."""
        for key, value in fixed.items():
            if self.values.get(key, value) != value:
                raise UserError(f"{self.path}: {key} {self.values[key]!r} is not supported, only {value!r}")

    def sizes(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Positive integers that must be given."""
        return {name: self._size(name) for name in names}

    def size(self, name: str, default: int) -> int:
        """A positive integer that may be absent."""
        return self._size(name) if name in self.values else default

    def options(self, rows: Options) -> dict[str, Any]:
        """Numbers that may be absent, under our names."""
        values = {}
        for ours, theirs, default in rows:
            value = self.values.get(theirs, default)
            if type(value) not in (int, type(default)):
                raise UserError(f"{self.path}: {theirs} must be a number like {default}, not {value!r}")
            values[ours] = value
        return values

    def _size(self, name: str) -> int:
        if name not in self.values:
            raise UserError(f"{self.path}: lacks {name}")
        value = self.values[name]
        if type(value) is not int or value < 1:
            raise UserError(f"{self.path}: {name} must be a positive integer, not {value!r}")
        return value
