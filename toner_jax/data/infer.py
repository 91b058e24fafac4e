"""A schema from the labels that data use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.errors import UserError
from toner_jax.schema import EntityType, Schema

# Where a lower-case letter or a digit meets a capital, as in CellType.
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_IN_NAMES = re.compile(r"[\s,\[\](){}_-]+")


def infer_schema(labels: Iterable[str], name: str) -> Schema:
    """A schema for labels: one type for each, in the order of the types' names.

    A label that the built-in schemas know (`PER`, `GPE`, …) takes its name and description from the one of
    them that knows the most of these labels. Others are spelled in lower case (`CellType`: `cell_type`) and
    have no description. Labels that come to the same name are one type, and all are its tags.

    Args:
      name: the schema's.

    Raises:
      UserError: there is no label, or one of nothing but brackets, commas and space.
    """
    labels = sorted(set(labels))
    if not labels:
        raise UserError(
            f"{name}: a schema cannot be inferred from data without entities; give one in data.schema"
        )
    known = sorted(BUILTIN.values(), key=lambda s: -sum(s.resolve(label) is not None for label in labels))
    descriptions: dict[str, str] = {}
    tags: dict[str, tuple[str, ...]] = {}
    for label in labels:
        type_name, description = _spelled(label), ""
        for schema in known:
            if found := schema.resolve(label) or schema.resolve(type_name):
                type_name, description = found, schema.types[schema.index[found]].description
                break
        descriptions[type_name] = descriptions.get(type_name) or description
        tags[type_name] = (*tags.get(type_name, ()), label)
    return Schema(name, tuple(EntityType(t, descriptions[t], tags[t]) for t in sorted(tags)))


def write_schema_file(schema: Schema, path: Path) -> None:
    """Writes a schema as JSON that `data.schema` reads, each type with its description to fill in."""
    path.write_text(json.dumps(schema.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _spelled(label: str) -> str:
    name = _NOT_IN_NAMES.sub("_", _CAMEL.sub("_", label.strip()).lower()).strip("_")
    if not name:
        raise UserError(f"label {label!r} cannot name a type; give a schema with data.schema and this tag")
    return name
