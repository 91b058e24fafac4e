"""The target format `[(type, entity), …]`: writing it, and reading whatever a model wrote.

Reading never raises. It relies on the closed set of type names, and on the source's words when given,
so that brackets, commas and quotes inside entities survive; what it cannot use is dropped and counted
by reason: `malformed` (not of the form), `unknown_type`, `truncated` (the output ended inside an item).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from toner_jax.schema import Sentence
from toner_jax.text.align import SourceIndex

Item = tuple[str, str]  # (type name, the entity's string)

_ITEM_START = re.compile(r"\(\s*([^,()\[\]]*?)\s*,\s*")
_ITEM_END = re.compile(r"\)\s*,\s*(?=\()|\)\s*\]")


@dataclass(frozen=True)
class Parsed:
    """The usable items in the order written, where each stands in the text (characters, brackets
    included), and how many others were dropped, by reason."""

    items: tuple[Item, ...]
    ranges: tuple[tuple[int, int], ...] = ()
    dropped: Counter[str] = field(default_factory=Counter)


def linearize(items: Iterable[Item]) -> str:
    """`[(type, entity), …]`, or `[]`."""
    return "[" + ", ".join(f"({type}, {text})" for type, text in items) + "]"


def sentence_items(sentence: Sentence) -> tuple[Item, ...]:
    """One item per mention, in order of appearance."""
    return tuple((e.type, sentence.surface(e)) for e in sentence.entities)


def parse(text: str, types: Sequence[str], source: SourceIndex | None = None) -> Parsed:
    """Reads a target.

    Args:
      text: what the model wrote.
      types: the schema's type names.
      source: the words that entities were to be copied from. With it, an entity ends at the first
        place that makes it a run of those words; without it, at the first that the format allows.
    """
    items: list[Item] = []
    ranges: list[tuple[int, int]] = []
    dropped: Counter[str] = Counter()
    known = frozenset(types)
    cursor = len(text) - len(text.lstrip())
    if not text.startswith("[", cursor):
        return Parsed((), (), Counter(malformed=1) if text.strip() else Counter())
    cursor += 1
    while cursor < len(text):
        start = _ITEM_START.match(text, cursor)
        if start is None:
            cursor = _skip_malformed(text, cursor, dropped)
            continue
        end = _find_end(text, start.end(), source)
        if end is None:
            dropped["truncated"] += 1
            break
        name, entity = start.group(1), text[start.end() : end.start()].strip()
        if name not in known:
            dropped["unknown_type"] += 1
        elif not entity:
            dropped["malformed"] += 1
        else:
            items.append((name, entity))
            ranges.append((start.start(), end.start() + 1))
        if "]" in end.group():
            break
        cursor = end.end()
    return Parsed(tuple(items), tuple(ranges), dropped)


def _skip_malformed(text: str, cursor: int, dropped: Counter[str]) -> int:
    """The place of the next item after something that is none; counts what it passes."""
    rest = text[cursor:].strip()
    if not rest or rest == "]":
        return len(text)
    next_item = _ITEM_END.search(text, cursor)
    dropped["malformed" if next_item or ")" in rest or "]" in rest else "truncated"] += 1
    return next_item.end() if next_item and "]" not in next_item.group() else len(text)


def _find_end(text: str, begin: int, source: SourceIndex | None) -> re.Match[str] | None:
    """The end of the entity that begins at `begin`: the first candidate whose entity the source has,
    else the first candidate of the plain format."""
    first: re.Match[str] | None = None
    position = begin
    while end := _ITEM_END.search(text, position):
        # An entity never ends in white space, so a bracket after white space is the entity's own.
        if end.start() == begin or not text[end.start() - 1].isspace():
            if source is not None and source.find(text[begin : end.start()]):
                return end
            if first is None:
                first = end
                if source is None:
                    break
        position = end.start() + 1
    return first


def parse_types(text: str, types: Sequence[str]) -> Parsed:
    """Reads a type-recognition target `[type, …]`; the items are (type, "")."""
    body = text.strip()
    if not body.startswith("["):
        return Parsed((), (), Counter(malformed=1) if body else Counter())
    dropped: Counter[str] = Counter()
    if not body.endswith("]"):
        dropped["truncated"] += 1
    names = [n.strip() for n in body.strip("[]").split(",") if n.strip()]
    dropped["unknown_type"] += sum(n not in types for n in names)
    return Parsed(tuple((n, "") for n in dict.fromkeys(names) if n in types), (), +dropped)
