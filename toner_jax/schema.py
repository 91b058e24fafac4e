"""Entity types, schemas and annotated sentences: the vocabulary every other module speaks.

Spans are half-open ranges of words. Nested and overlapping spans are legal. Discontinuous entities
(one mention made of several separated runs) are not supported anywhere in this package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from toner_jax.atoms import bare, glue_words, join
from toner_jax.common import reads
from toner_jax.common.cli import did_you_mean
from toner_jax.errors import UserError

_LONGEST_FILE = 1 << 24  # characters of a schema's file
_MOST_NODES = 1_000_000  # values in one, those that aliases of YAML stand for each time

# The characters that delimit types in prompts and targets, so no type name may hold them.
RESERVED = re.compile(r"[,\[\](){}\n\r\t]")


@dataclass(frozen=True)
class EntityType:
    """One entity type.

    Attributes:
      name: lower case, spelled as a reader would (`person`, `cell_type`); it is what prompts and
        targets contain.
      description: what the type covers, without repeating the name (the paper's Table 1).
      tags: the labels that data files use for it (`PER`, `B-PER` without the prefix).
    """

    name: str
    description: str = ""
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or self.name != " ".join(self.name.split()):
            raise UserError(f"entity type {self.name!r}: the name is empty or has stray white space")
        if self.name != self.name.lower():
            raise UserError(f"entity type {self.name!r}: names are lower case; put {self.name!r} in its tags")
        if RESERVED.search(self.name):
            raise UserError(f"entity type {self.name!r}: names may not contain commas or brackets")

    @property
    def text(self) -> str:
        """D_t, the text that the type matching model reads (§3.2)."""
        return f"{self.name}: {self.description}" if self.description else self.name


@dataclass(frozen=True)
class Schema:
    """An ordered set of entity types; the order is that of the prompt and of the classifier."""

    name: str
    types: tuple[EntityType, ...]

    def __post_init__(self) -> None:
        if not self.types:
            raise UserError(f"schema {self.name!r} has no entity types")
        owners: dict[str, str] = {}
        for t in self.types:
            for label in dict.fromkeys(fold_label(s) for s in (t.name, *t.tags)):
                if label in owners:
                    raise UserError(
                        f"schema {self.name!r}: label {label!r} belongs to both {owners[label]!r} and {t.name!r}"
                    )
                owners[label] = t.name

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(t.name for t in self.types)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Type name → its column."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def _by_label(self) -> Mapping[str, str]:
        return {fold_label(label): t.name for t in self.types for label in (t.name, *t.tags)}

    def resolve(self, label: str) -> str | None:
        """The type name that a data file's label stands for, or None; case, `-`, `_` and spaces
        do not matter."""
        return self._by_label.get(fold_label(label))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], source: str = "schema") -> Schema:
        """Reads `{"name", "types": [{"name", "description", "tags"}]}` or `{type: description}`."""
        try:
            if "types" not in value:
                types = tuple(EntityType(name, str(text or "")) for name, text in value.items())
                return cls("custom", types)
            items = value["types"]
            if isinstance(items, Mapping):
                items = [{"name": n, "description": d or ""} for n, d in items.items()]
            for item in items:
                _check_keys(item, ("name", "description", "tags"), source)
            types = tuple(
                EntityType(str(t["name"]), str(t.get("description", "")), tuple(map(str, t.get("tags", ()))))
                for t in items
            )
            return cls(str(value.get("name", "custom")), types)
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{source}: a schema is {{name: description}} or "
                f'{{"name", "types": [{{"name", "description", "tags"}}]}} ({error!r})'
            ) from error


def _check_keys(value: Mapping[str, Any], known: Sequence[str], source: str) -> None:
    """Raises UserError for a key of a type that would not be read."""
    if unknown := [str(key) for key in value if key not in known]:
        raise UserError(
            f"{source}: unknown key {unknown[0]!r}{did_you_mean(unknown[0], known)}; there are {', '.join(known)}"
        )


def fold_label(label: str) -> str:
    """What two spellings of a label have in common that a schema takes for one."""
    return re.sub(r"[-\s]+", "_", label.strip().lower())


@dataclass(frozen=True)
class Entity:
    """A mention: words `start` (inclusive) to `end` (exclusive) of a sentence, and its type's name."""

    start: int
    end: int
    type: str


@dataclass(frozen=True)
class Unreachable:
    """An annotated entity that no words of its sentence make up: characters `start` … `end` of the sentence's text,
    beyond its end where the entity goes on in the next sentence, and its type's name. Nobody can find it; a score
    counts it as missed."""

    start: int
    end: int
    type: str


Gold = Entity | Unreachable  # what is to be found


@dataclass(frozen=True)
class Sentence:
    """Words with their offsets in the user's text, and the annotated entities.

    Attributes:
      id: unique within its split.
      words: what the model reads, joined as `join` does.
      offsets: per word, its (start, end) character range in `text`.
      text: the user's own text.
      entities: sorted by (start, −end, type order), without duplicates.
      doc_id: the document it comes from, or None.
      unreachable: the annotated entities that begin or end inside a word, or lie in several sentences.
      raw: whether it came as text, without its words.
      explanation: of its entities, where the data bring one.
    """

    id: str
    words: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    text: str
    entities: tuple[Entity, ...] = ()
    doc_id: str | None = None
    unreachable: tuple[Unreachable, ...] = ()
    raw: bool = field(default=False, compare=False)
    explanation: str = ""

    @property
    def gold(self) -> tuple[Gold, ...]:
        """All annotated entities: what is to be found."""
        return (*self.entities, *self.unreachable)

    def surface(self, entity: Gold) -> str:
        """The entity's words as `join` joins them: its string in targets and metrics."""
        if isinstance(entity, Unreachable):
            return self.text[entity.start : entity.end]
        return join(self.words[entity.start : entity.end])

    def char_span(self, entity: Gold) -> tuple[int, int]:
        """The entity's half-open character range in `text`, as far as it lies in it."""
        if isinstance(entity, Unreachable):
            return entity.start, min(entity.end, len(self.text))
        return self.offsets[entity.start][0], self.offsets[entity.end - 1][1]

    def span_json(self, entity: Gold) -> dict[str, Any]:
        """The entity as users see it: a half-open character range of `text`, its slice, and the type."""
        start, end = self.char_span(entity)
        return {"start": start, "end": end, "text": self.text[start:end], "label": entity.type}

    def types(self) -> tuple[str, ...]:
        """The names of the types that occur (P_x of §3.2), sorted by first appearance."""
        return tuple(dict.fromkeys(e.type for e in self.gold))


def sort_entities(entities: Iterable[Entity], schema: Schema | None) -> tuple[Entity, ...]:
    """Order of appearance: by start, longer first, then the schema's order (without one, the alphabet's);
    duplicates removed."""

    def sort_key(e: Entity) -> tuple[int, int, int | str]:
        return e.start, -e.end, schema.index[e.type] if schema else e.type

    return tuple(sorted(set(entities), key=sort_key))


def make_sentence(
    id: str,
    words: Sequence[str],
    entities: Iterable[Entity],
    schema: Schema | None,
    *,
    doc_id: str | None = None,
) -> Sentence:
    """A sentence from words alone: its text is what `join` makes of them, glued where `glue_words` says so.

    Raises:
      UserError: an entity lies outside the words or has a type that the schema lacks.
    """
    words = glue_words(words)
    offsets, cursor = [], -1
    for word in words:
        own = bare(word)
        start = max(cursor, 0) if own != word else cursor + 1
        offsets.append((start, start + len(own)))
        cursor = start + len(own)
    entities = list(entities)
    for e in entities:
        if not 0 <= e.start < e.end <= len(words):
            raise UserError(f"sentence {id}: span [{e.start}, {e.end}) lies outside its {len(words)} words")
        if schema and e.type not in schema.index:
            raise UserError(f"sentence {id}: type {e.type!r} is not in schema {schema.name!r}")
    return Sentence(id, words, tuple(offsets), join(words), sort_entities(entities, schema), doc_id)


def read_schema(path: str | Path) -> Schema:
    """Reads a schema from a JSON or YAML file.

    Raises:
      UserError: the file is missing, not JSON/YAML, or not a schema.
    """
    path = Path(path)
    try:
        text = reads.read_head(path, _LONGEST_FILE + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path}: cannot read the schema ({reason})") from error
    if len(text) > _LONGEST_FILE:
        raise UserError(f"{path}: a schema has at most {_LONGEST_FILE:,} characters; is this the right file?")
    try:
        value = _read_yaml(text) if path.suffix in (".yaml", ".yml") else json.loads(text)
    except MemoryError:
        raise
    except Exception as error:  # the two parsers share no error class; both mean "not well formed"
        reason = str(error).replace("\n", " ")
        raise UserError(f"{path}: not well-formed: {reason}") from error
    if not isinstance(value, Mapping):
        raise UserError(f"{path}: a schema file holds a mapping, not a {type(value).__name__}")
    return Schema.from_json(value, str(path))


def _read_yaml(text: str) -> Any:
    """The value of a YAML document, whose aliases are counted before any is followed.

    Raises:
      ValueError: they stand for more than a schema holds, or one stands for what it is part of.
      yaml.YAMLError: it is none.
    """
    import yaml

    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        _check_aliases(root)
        return None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _check_aliases(root: Any) -> None:
    sizes: dict[int, int] = {}  # of the nodes that have been counted; 0 of those that are being counted

    def size(node: Any) -> int:
        if id(node) in sizes:
            if not sizes[id(node)]:
                raise ValueError("an alias stands for what it is part of")
            return sizes[id(node)]
        sizes[id(node)] = 0
        inside = node.value if isinstance(node.value, list) else ()
        parts = (part for item in inside for part in (item if isinstance(item, tuple) else (item,)))
        sizes[id(node)] = total = 1 + sum(map(size, parts))
        if total > _MOST_NODES:
            raise ValueError(f"its aliases stand for more than {_MOST_NODES:,} values; write them out")
        return total

    if root is not None:
        size(root)
