"""The target format `[(type, entity), …]`: writing it, and reading whatever a model wrote.

Reading never raises. It relies on the closed set of type names, and on the source's words when given,
so that brackets, commas and quotes inside entities survive; what it cannot use is dropped and counted
by reason: `malformed` (not of the form), `unknown_type`, `truncated` (the output ended inside an item).

Of all ways to read a text the one that loses least is taken: first, fewest items of no use (an unknown
type, an entity that is no run of the source's words, other text), then fewest departures from the exact
format, then the shortest entities. With the source, what `linearize` wrote reads back as it was, unless
other items would be written exactly so, too. That takes a word with the boundary between two items glued
on, and both its parts among the source's words: with `Al Al), (person, Bo` as the source, the text
`[(person, Al), (person, Bo)]` may name two persons or one, and reads as two.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from toner_jax.schema import Sentence
from toner_jax.text.align import SourceIndex

Item = tuple[str, str]  # (type name, the entity's string)
UNKNOWN_TYPE = "unknown_type"  # a reason to drop an item

# What may begin and end an item. White space is the model's to get wrong; in the exact format there is
# some after each comma and none elsewhere.
_ITEM_START = re.compile(r"\((\s*)([^,()\[\]]*?)(\s*),(\s*)")
_ITEM_END = re.compile(r"\)(?:\s*,\s*(?=\()|\s*,?\s*(?P<close>\]))")
# An entity with more strings like an item's end than this is not looked for, which bounds the time.
_MAX_ENDS = 50
_CUT_END = re.compile(r"\)\s*,?\s*$")
_EXACT_END = re.compile(r"\)(?:,\s+|\])")


@dataclass(frozen=True)
class Parsed:
    """A target that was read.

    Attributes:
      items: the usable ones, in the order written, and where each stands in the text (characters, brackets included).
      dropped: how many others there were, by reason.
      unknown: those of `dropped` whose type is unknown, as written, and where they stand.
    """

    items: tuple[Item, ...]
    ranges: tuple[tuple[int, int], ...] = ()
    dropped: Counter[str] = field(default_factory=Counter)
    unknown: tuple[Item, ...] = ()
    unknown_ranges: tuple[tuple[int, int], ...] = ()


def linearize(items: Iterable[Item]) -> str:
    """`[(type, entity), …]`, or `[]`."""
    return "[" + ", ".join(f"({type}, {text})" for type, text in items) + "]"


def sentence_items(sentence: Sentence) -> tuple[Item, ...]:
    """One item per mention, in order of appearance."""
    return tuple((e.type, sentence.surface(e)) for e in sentence.entities)


def parse(
    text: str, types: Sequence[str], source: SourceIndex | None = None, truncated: bool = False
) -> Parsed:
    """Reads a target.

    Args:
      text: what the model wrote.
      types: the schema's type names.
      source: the words that entities were to be copied from. With it, an entity ends where that makes
        it a run of those words, if anywhere; without it, at the first place that the format allows.
      truncated: whether the text was cut at its end. What may be the beginning of one longer item is dropped then:
        with `Al), (Bo` in the source, of `[(person, Al), (` nothing is sure.

    Returns:
      The items whose type is known; that an entity is among the source's words is for `align` to say.
      Their strings have single spaces.
    """
    begin = len(text) - len(text.lstrip()) + 1
    if not text.startswith("[", begin - 1):
        return Parsed((), (), Counter(malformed=1) if text.strip() else Counter())
    if text[begin:].strip() in ("", "]"):
        return Parsed(())
    parts = list(_Reader(text, begin, frozenset(types), source, truncated).read())
    usable = [p for p in parts if not p.dropped]
    unknown = [p for p in parts if p.dropped == UNKNOWN_TYPE]
    return Parsed(
        tuple(p.item for p in usable),
        tuple(p.range for p in usable),
        Counter(p.dropped for p in parts if p.dropped),
        tuple(p.item for p in unknown),
        tuple(p.range for p in unknown),
    )


class _Part(NamedTuple):
    """One step of a reading: an item, or text to drop."""

    next: int  # the state in which reading goes on
    cost: tuple[int, int]  # 1 if it is of no use, and its departures from the exact format
    dropped: str = ""
    item: Item = ("", "")
    range: tuple[int, int] = (0, 0)


class _Reader:
    """Finds the best way to read one text, from its end to its beginning.

    There are few states: 0 is after the opening bracket, i is after the i-th string that looks like an item's
    end, and one more, the last, means that all is read.
    """

    def __init__(
        self, text: str, begin: int, types: frozenset[str], source: SourceIndex | None, truncated: bool
    ):
        self._text, self._types, self._source, self._truncated = text, types, source, truncated
        self._begin = begin
        self._ends = list(_ITEM_END.finditer(text, begin))
        self._done = len(self._ends) + 1
        # An entity does not end in white space, so an end after white space is rather the entity's own.
        self._tight = [not text[end.start() - 1].isspace() for end in self._ends]

    def read(self) -> Iterator[_Part]:
        """The parts of the best reading, in order."""
        best: list[_Part | None] = [None] * (self._done + 1)
        costs = [(0, 0)] * (self._done + 1)
        for state in reversed(range(self._done)):
            for part in self._options(state):
                useless, departures = costs[part.next]
                cost = part.cost[0] + useless, part.cost[1] + departures
                if best[state] is None or cost < costs[state]:
                    best[state], costs[state] = part, cost
                if cost == (0, 0):
                    break
        chosen = best[0]
        while chosen is not None:
            yield chosen
            chosen = best[chosen.next]

    def _options(self, state: int) -> Iterator[_Part]:
        """What may come next; nothing at the end of the text."""
        text, at = self._text, self._ends[state - 1].end() if state else self._begin
        if state and self._ends[state - 1]["close"]:
            if text[at:].strip():
                yield _Part(self._done, (1, 0), "malformed")
            return
        start = _ITEM_START.match(text, at)
        if start and self._may_be_cut(start):
            yield _Part(self._done, (0, 0), "truncated")
        if start and state < len(self._ends):
            yield from self._items(state, start)
        elif state < len(self._ends):
            yield _Part(state + 1, (1, 0), "malformed")
        else:
            cut = bool(start or not re.search(r"[)\]]", text[at:]))
            useless = not (cut and self._truncated)
            yield _Part(self._done, (int(useless), 0), "truncated" if cut else "malformed")

    def _may_be_cut(self, start: re.Match[str]) -> bool:
        """Whether all that follows `start` may be the beginning of one entity of the source, in a text that was cut."""
        if not self._truncated or self._source is None:
            return False
        rest = self._text[start.end() :]
        return self._source.holds(rest) or self._source.holds(_CUT_END.sub("", rest))

    def _items(self, state: int, start: re.Match[str]) -> Iterator[_Part]:
        """The items that begin with `start`: up to each end that makes the entity a run of the source's
        words, and up to the first end of all, shortest first."""
        name = " ".join(start[2].split())
        loose = bool(start[1] or start[3] or not start[4])
        plain = self._plain_end(state)
        count = min(len(self._ends), max(state + _MAX_ENDS, plain + 1))
        for i in range(state, count) if self._source else (plain,):
            end = self._ends[i]
            entity = " ".join(self._text[start.end() : end.start()].split())
            spans, exact = self._source.match(entity) if self._source else ((), True)
            if spans or i == plain:
                reason = UNKNOWN_TYPE if name not in self._types else "" if entity else "malformed"
                departures = loose + (not exact) + (not self._tight[i] or not _EXACT_END.match(end[0]))
                yield _Part(
                    i + 1,
                    ((name not in self._types) + (not spans), departures),
                    reason,
                    (name, entity),
                    (start.start(), end.start() + 1),
                )
            if i >= plain and self._source and not self._source.holds(entity):
                break

    def _plain_end(self, state: int) -> int:
        """The next end by the format alone."""
        try:
            return self._tight.index(True, state)
        except ValueError:
            return state
