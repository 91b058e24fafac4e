"""What a stage may read of the configuration: it says so beside its code, and gets a view that refuses the rest.

The fingerprint that decides whether a stage runs again is made from the same list. So a key that is read and not
declared, which would leave a stale result in place when it changes, fails at the first run that reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ml_collections import ConfigDict


def covers(declared: Iterable[str], key: str) -> bool:
    """Whether a key, or its section, is among dotted keys and sections."""
    return any(f"{key}.".startswith(f"{one}.") for one in declared)


class Settings(Protocol):
    """A configuration, or a view of one, read as `settings.generator.batch_size`."""

    def __getattr__(self, name: str, /) -> Any: ...


@dataclass(frozen=True)
class Reads:
    """The keys that a stage reads, dotted; a section stands for all keys in it.

    Attributes:
      result: what its result depends on: its own fingerprint holds them.
      earlier: what its result depends on, too, through an earlier stage: that stage's fingerprint holds them, and this
        stage's fingerprint holds that.
      manner: how it runs. Its result does not depend on them, so no fingerprint holds them, also where `result` has
        their section.
      selection: what chooses among the steps that it trains, also where `result` has their section. A finished stage
        keeps its choice, and its marker says what it was made under.
    """

    result: tuple[str, ...]
    earlier: tuple[str, ...] = ()
    manner: tuple[str, ...] = ()
    selection: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[str]:
        yield from self.result + self.earlier + self.manner + self.selection


class UndeclaredKeyError(Exception):
    """A stage reads a key that it does not declare: a defect of the stage, not of anyone's settings."""


class View:
    """A read-only view of a configuration that answers for the keys a stage declares, and for no other.

    Values are read as `view.generator.batch_size`, and a section that is declared whole as
    `view.generator.model.to_dict()`.

    Raises:
      UndeclaredKeyError: on reading a value of any other key.
      TypeError: on writing one.
    """

    __slots__ = ("_config", "_reads", "_section", "_stage")

    def __init__(self, config: ConfigDict, stage: str, reads: Reads, section: str = ""):
        """Args:
        config: of `section`, "" for the whole.
        """
        for name, value in (("_config", config), ("_stage", stage), ("_reads", reads), ("_section", section)):
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own protocols (copying, pickling) ask for what we do not have
            raise AttributeError(name)
        key = f"{self._section}.{name}" if self._section else name
        value = getattr(self._config, name)
        if isinstance(value, ConfigDict):
            return View(value, self._stage, self._reads, key)
        if not self._covers(key):
            raise self._undeclared(key)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        raise TypeError(f"stage {self._stage} may not change the configuration ({name})")

    def to_dict(self) -> dict[str, Any]:
        """A section as a dict; it must be declared whole."""
        if not self._covers(self._section):
            raise self._undeclared(f"{self._section}.*")
        values: dict[str, Any] = self._config.to_dict()
        return values

    def _covers(self, key: str) -> bool:
        return covers(self._reads, key)

    def _undeclared(self, key: str) -> UndeclaredKeyError:
        return UndeclaredKeyError(
            f"stage {self._stage} reads {key}, which its READS do not declare; add it there: to `result` if the "
            "stage's result depends on it"
        )
