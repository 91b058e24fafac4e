"""What a format is recognized by: a path, the beginning of a file, its first records if it is JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from toner_jax.common import reads
from toner_jax.data.formats.json_values import read_values
from toner_jax.errors import UserError

_HEAD = 1 << 16  # bytes
_RECORDS = 100
_LINES = 50  # enough to tell a list from prose
_JSON_SUFFIXES = (".json", ".jsonl", ".jsonlines")
# Of the first line; a token may be a bracket.
_JSON = re.compile(r'(\[\s*)?\{\s*(["}]|$)|\[\s*(\]|$)|\[\s*\[\s*"|\[\s*"([^"\\]|\\.)*"\s*,\s*\{')
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x7f]")


class Sample:
    """A file or a folder, looked at as far as telling its format needs.

    Attributes:
      path: it exists.
      root: where the documents lie that a list of documents names; None where that is not known, and then nothing
        is taken for a list: a search from the folder of just any file may not end.
    """

    def __init__(self, path: Path, root: Path | None = None):
        self.path, self.root = path, root
        self.is_folder = reads.is_folder(path)

    @cached_property
    def head(self) -> bytes:
        """How a file begins; of a folder nothing.

        Raises:
          UserError: the file cannot be read.
        """
        if self.is_folder:
            return b""
        try:
            return reads.read_head(self.path, _HEAD)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror})") from error

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The first lines that are not blank, without white space around them; none of a folder.

        Raises:
          UserError: the file cannot be read.
        """
        head = self.head.decode("utf-8-sig", errors="replace")
        return tuple(line.strip() for line in head.split("\n") if line.strip())

    @property
    def first(self) -> str:
        """The first line that is not blank; "" where there is none."""
        return self.lines[0] if self.lines else ""

    @property
    def is_binary(self) -> bool:
        """Whether it holds characters that no text has."""
        return _CONTROLS.search(self.head) is not None

    @property
    def listed_root(self) -> Path | None:
        """Where the documents lie if the file may be a list of them: a text whose first line and most of whose
        first lines are single words; None for any other."""
        if self.root is None or self.is_folder or self.is_json or self.is_binary:
            return None
        single = [len(line.split()) == 1 for line in self.lines[:_LINES]]
        return self.root if single and single[0] and sum(single) > len(single) / 2 else None

    @property
    def is_json(self) -> bool:
        """Whether it is named like JSON or begins so."""
        named = self.path.suffix.lower() in _JSON_SUFFIXES and not self.is_folder
        return named or _JSON.match(self.first) is not None

    @cached_property
    def values(self) -> tuple[Any, ...]:
        """The first lines or elements of a JSON file, objects and others; none of other files.

        Raises:
          UserError: it is not JSON, with the line.
        """
        if not self.is_json:
            return ()
        return tuple(value for value, _ in islice(read_values(self.path), _RECORDS))

    @property
    def records(self) -> tuple[Mapping[str, Any], ...]:
        """The objects among `values`; raises as it."""
        return tuple(value for value in self.values if isinstance(value, dict))

    def holds(self, suffix: str) -> bool:
        """Whether a file below the folder has a name that ends so."""
        return self.is_folder and reads.holds(self.path, suffix)
