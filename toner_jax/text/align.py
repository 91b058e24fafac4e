"""From generated strings back to spans of the source's words.

The format names strings, not places, so where a string occurs more than once the order decides: items
are written in order of appearance. An item takes the first of its string's unused occurrences that
neither goes back behind the items before it nor leaves too little room for those after it, and one
that overlaps no earlier item's, if there is any: in `IL-2 gene … IL-2`, `IL-2` after `IL-2 gene` is the
second. Even gold targets lose a little this way: the alignment ceiling.
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Sequence

from toner_jax.schema import Entity

Span = tuple[int, int]


class SourceIndex:
    """Finds strings among words, on word boundaries.

    The words are given as a target would spell them (`WordIds.surface`), so that what the tokenizer
    normalises or cannot spell compares equal on both sides.
    """

    def __init__(self, surfaces: Sequence[str]):
        self._words = [" ".join(s.split()) for s in surfaces]
        packed = [w.replace(" ", "") for w in self._words]
        self._text = "".join(packed)
        # Character offset → word, over the words that have characters at all.
        self._visible = [i for i, w in enumerate(packed) if w]
        self._starts, offset = [], 0
        for i in self._visible:
            self._starts.append(offset)
            offset += len(packed[i])
        self._ends = [*self._starts[1:], offset]
        self._found: dict[str, tuple[list[Span], bool]] = {}

    def find(self, string: str) -> list[Span]:
        """All word spans that spell `string`, left to right. Spans that agree in white space are
        preferred; without any, those that agree but for white space (`U.S.` for `U.S .`) count."""
        return self.match(string)[0]

    def match(self, string: str) -> tuple[list[Span], bool]:
        """What `find` returns, and whether these spans agree with `string` in white space."""
        spelled = " ".join(string.split())
        if spelled not in self._found:
            spans = self._spans(spelled.replace(" ", ""))
            exact = [s for s in spans if self._spelling(s) == spelled]
            self._found[spelled] = exact or spans, bool(exact)
        return self._found[spelled]

    def _spans(self, packed: str) -> list[Span]:
        spans: list[Span] = []
        at = self._text.find(packed) if packed else -1
        while at >= 0:
            first = bisect.bisect_left(self._starts, at)
            last = bisect.bisect_left(self._ends, at + len(packed))
            if (
                first < len(self._starts)
                and self._starts[first] == at
                and last < len(self._ends)
                and self._ends[last] == at + len(packed)
            ):
                spans.append((self._visible[first], self._visible[last] + 1))
            at = self._text.find(packed, at + 1)
        return spans

    def holds(self, string: str) -> bool:
        """Whether the words contain these characters in a row, white space and word boundaries aside:
        what they do not hold begins no string that `find` finds."""
        return "".join(string.split()) in self._text

    def _spelling(self, span: Span) -> str:
        return " ".join(w for w in self._words[span[0] : span[1]] if w)


# Where a span stands in the order of appearance: by its start, longer spans first.
_Place = tuple[int, int]
_START: _Place = (-1, 0)
_END: _Place = (2**31, 0)


def _place(span: Span) -> _Place:
    return span[0], -span[1]


def align(items: Sequence[tuple[str, str]], source: SourceIndex) -> tuple[list[Entity | None], Counter[str]]:
    """One span per item, or None where the item was dropped, and the reasons.

    Returns:
      For each item its Entity; `not_in_text` counts items whose string is no run of the source's
      words, `duplicate` those that repeat a (type, string) more often than it occurs.
    """
    occurrences = [source.find(string) for _, string in items]
    latest = _latest_places(items, occurrences)
    entities: list[Entity | None] = []
    dropped: Counter[str] = Counter()
    used: set[Entity] = set()
    covered: set[int] = set()  # the words of the items so far
    reached = _START
    for (name, _), spans, limit in zip(items, occurrences, latest, strict=True):
        best: tuple[tuple[int, bool, Span], Entity] | None = None
        ahead = bisect.bisect_left(spans, reached[0], key=lambda s: s[0])
        for span in itertools.chain(spans[ahead:], spans[:ahead]):
            entity = Entity(*span, name)
            if entity not in used:
                out_of_order = (_place(span) < reached) + (_place(span) > limit)
                overlaps = not covered.isdisjoint(range(*span))
                if best is None or (out_of_order, overlaps, span) < best[0]:
                    best = (out_of_order, overlaps, span), entity
                if not out_of_order and not overlaps:
                    break
        if best is None:
            dropped["duplicate" if spans else "not_in_text"] += 1
            entities.append(None)
        else:
            entity = best[1]
            used.add(entity)
            covered.update(range(entity.start, entity.end))
            reached = max(reached, _place((entity.start, entity.end)))
            entities.append(entity)
    return entities, dropped


def _latest_places(items: Sequence[tuple[str, str]], occurrences: Sequence[Sequence[Span]]) -> list[_Place]:
    """For each item, the last place that lets the items after it follow in order. An item that cannot
    itself be in order, or repeats another more often than it occurs, limits none."""
    seen: Counter[tuple[str, str]] = Counter()
    surplus: list[bool] = []
    for item, spans in zip(items, occurrences, strict=True):
        seen[item] += 1
        surplus.append(seen[item] > len(spans))
    latest: list[_Place] = []
    limit, types_there = _END, set[str]()
    for i in reversed(range(len(items))):
        name, places = items[i][0], [] if surplus[i] else [_place(s) for s in occurrences[i]]
        allowed = [p for p in places if p < limit or (p == limit and name not in types_there)]
        if allowed:
            if max(allowed) < limit:
                limit, types_there = max(allowed), set()
            types_there.add(name)
        latest.append(limit)
    return latest[::-1]
