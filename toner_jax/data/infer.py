"""A schema from the labels that data use."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path

from toner_jax.common.files import write_atomically
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.errors import UserError
from toner_jax.schema import EntityType, Schema, fold_label

# Where a lower-case letter or a digit meets a capital, as in CellType.
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[\s_-]+")
# What delimits types in prompts, and what T5's vocabulary lacks of ASCII.
_NOT_IN_NAMES = re.compile(r"[\s,\[\](){}<>\\^`~_-]+")


def infer_schema(labels: Iterable[str], name: str) -> Schema:
    """A schema for labels: one type for each, in the order of the types' names.

    A label that the built-in schemas know (`PER`, `GPE`, …) takes its name and description from the one of
    them that knows the most of these labels. Others have no description, and are spelled as tokenizers read them: in
    lower case (`CellType`: `cell_type`), in plain characters (`m³`: `m3`), without unseen ones.
    Labels that differ in case, separators and unseen characters alone are one type, and so are those that a built-in
    schema takes for one; all are its tags. Others that come to the same name are told apart by a number: `m3`, `m3_2`.

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
    taken = {fold_label(label) for label in labels}
    # Those whose name is what the label says come first, so that others make room for them.
    for group in sorted(_alike(labels), key=lambda g: fold_label(g[0]) != fold_label(_spelled(g[0]))):
        type_name, description = _spelled(group[0]), ""
        for schema in known:
            if found := next(filter(None, map(schema.resolve, (*group, type_name))), None):
                type_name, description = found, schema.types[schema.index[found]].description
                break
        else:
            type_name = _free_name(type_name, taken - set(map(fold_label, group)))
        taken.add(fold_label(type_name))
        descriptions[type_name] = descriptions.get(type_name) or description
        tags[type_name] = (*tags.get(type_name, ()), *group)
    return Schema(name, tuple(EntityType(t, descriptions[t], tuple(sorted(tags[t]))) for t in sorted(tags)))


def _alike(labels: Sequence[str]) -> list[list[str]]:
    """The labels, those together that a reader or a schema takes for one."""
    groups: list[tuple[set[str], list[str]]] = []
    for label in labels:
        seen = _SEPARATORS.sub("_", _CAMEL.sub("_", _visible(label).strip()).lower()).strip("_")
        # A schema, which knows no camels, takes `cellType` for `celltype` too.
        spellings = {f"seen {seen}", f"folded {fold_label(label)}"}
        same = [group for group in groups if group[0] & spellings]
        groups = [group for group in groups if group not in same]
        groups.append((spellings.union(*(s for s, _ in same)), [*(x for _, its in same for x in its), label]))
    return [its for _, its in groups]


def _free_name(name: str, taken: set[str]) -> str:
    """The name, or with a number behind it the first that is not taken."""
    if fold_label(name) not in taken:
        return name
    return next(f"{name}_{i}" for i in count(2) if fold_label(f"{name}_{i}") not in taken)


def write_schema_file(schema: Schema, path: Path) -> None:
    """Writes a schema as JSON that `data.schema` reads, each type with its description to fill in."""
    write_atomically(path, json.dumps(schema.to_json(), indent=2, ensure_ascii=False) + "\n")


def _spelled(label: str) -> str:
    plain = unicodedata.normalize("NFKC", _visible(label).strip())
    name = unicodedata.normalize("NFKC", _CAMEL.sub("_", plain).lower())
    name = _NOT_IN_NAMES.sub("_", name).strip("_")
    if not name:
        raise UserError(f"label {label!r} cannot name a type; give a schema with data.schema and this tag")
    return name


def _visible(label: str) -> str:
    """Without characters that nobody sees: controls, and those of no width."""
    return "".join(c for c in label if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cn"))
