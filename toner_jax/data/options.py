"""What a config's `data` section says, as typed values: all that reading data depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from toner_jax.common import reads
from toner_jax.common.files import expanded
from toner_jax.data.tag_names import Tagging
from toner_jax.errors import UserError
from toner_jax.text.words import Reading


def _values(cls: type, section: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The section's values for the fields of a dataclass; lists as tuples.

    Raises:
      UserError: a key that the dataclass lacks, or a field without a value.
    """
    known = {field.name for field in fields(cls)}
    given = dict(section.items())
    for key in given:
        if key not in known:
            raise UserError(f"{name}.{key}: no such key; {name} has {', '.join(sorted(known))}")
    if absent := sorted(known - given.keys()):
        raise UserError(f"{name}.{absent[0]}: missing")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}


@dataclass(frozen=True)
class GeneratedOptions:
    """The generated data set: its seed, how many sentences each split has, and whether its types are the finer ones."""

    seed: int
    train: int
    dev: int
    test: int
    fine: bool


@dataclass(frozen=True)
class DataOptions:
    """The `data` section of a config; `toner_jax.config` holds the defaults and what each key means."""

    name: str
    schema: str
    format: str
    dir: str
    train: str
    dev: str
    test: str
    token_column: int
    tag_columns: tuple[int, ...]
    tag_prefix: str
    tag_names: tuple[str, ...]
    columns: tuple[str, ...]
    pretokenized: bool
    edges: str
    language: str
    split_sentences: bool
    discontinuous: str
    span_group: str
    subset: str
    revision: str
    genres: tuple[str, ...]
    exclude_genres: tuple[str, ...]
    carve_dev: int
    carve_shares: tuple[float, ...]
    carve_seed: int
    train_sentences: int
    cache: bool
    source: str
    generated: GeneratedOptions

    @property
    def reading(self) -> Reading:
        """How raw text is read."""
        return Reading(self.edges, self.language, self.split_sentences)

    @property
    def tagging(self) -> Tagging:
        """How tags are written."""
        folder = expanded(self.dir)
        return Tagging(
            self.tag_prefix, self.tag_names, folder if self.dir and reads.is_folder(folder) else None
        )

    @classmethod
    def from_section(cls, section: Mapping[str, Any]) -> Self:
        """The options of a config's section, or of any mapping with the same keys.

        Raises:
          UserError: an unknown or a missing key.
        """
        values = _values(cls, section, "data")
        generated = _values(GeneratedOptions, values["generated"], "data.generated")
        return cls(**{**values, "generated": GeneratedOptions(**generated)})
