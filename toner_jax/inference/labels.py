"""The types that a user asks for by name, as a schema, and back."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from toner_jax.errors import UserError
from toner_jax.schema import RESERVED, EntityType, Schema

Labels = Schema | Mapping[str, str | None] | Iterable[str | EntityType]


@dataclass(frozen=True)
class Asked:
    """Types to look for.

    Attributes:
      schema: as the models read them.
      written: each type's name → the label as the user wrote it.
    """

    schema: Schema
    written: Mapping[str, str]


def read_labels(labels: Labels, trained: Schema) -> Asked:
    """The labels in any spelling: of capitals, of whatever a prompt has no room for (commas, brackets), and by the
    names and tags of the trained types (`PER` for `person`), which bring their descriptions.

    Raises:
      TypeError: a single string, or an item that is no name.
      UserError: none at all, one without a character that can be read, or two that are the same type.
    """
    if isinstance(labels, Schema):
        return Asked(labels, {name: name for name in labels.names})
    if isinstance(labels, str | bytes):
        raise TypeError(f"labels is the string {labels!r}; expected a list of names, [{labels!r}]")
    items = list(labels.items() if isinstance(labels, Mapping) else labels)
    if not items:
        raise UserError(
            "labels is empty; give a name for each type to look for, or leave it out for those of training"
        )
    types: dict[str, EntityType] = {}
    written: dict[str, str] = {}
    for i, item in enumerate(items):
        label, type_ = _read(item, i, trained)
        if type_.name in types:
            raise UserError(
                f"labels: {written[type_.name]!r} and {label!r} are the same type, {type_.name!r}"
            )
        types[type_.name], written[type_.name] = type_, label
    return Asked(Schema("labels", tuple(types.values())), written)


def _read(item: object, number: int, trained: Schema) -> tuple[str, EntityType]:
    """A label as it is written, and its type."""
    if isinstance(item, EntityType):
        return item.name, replace(item, tags=())
    label, description = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
    if not isinstance(label, str) or not isinstance(description, str | None):
        raise TypeError(
            f"labels: item {number} is {item!r}; expected a name, or a mapping of names to descriptions"
        )
    known = trained.resolve(label)
    if known is not None:
        type_ = trained.types[trained.index[known]]
        return label, EntityType(known, type_.description if description is None else description)
    name = " ".join(RESERVED.sub(" ", unicodedata.normalize("NFKC", label).lower()).split())
    if not name:
        raise UserError(f"labels: {label!r} has no character that a prompt can hold")
    return label, EntityType(name, " ".join((description or "").split()))
