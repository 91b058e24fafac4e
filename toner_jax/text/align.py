"""From generated strings back to spans of the source's words.

The format names strings, not word spans, so where a string occurs more than once the order decides: items
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

from toner_jax.atoms import bare, join
from toner_jax.schema import Entity

WordRange = tuple[int, int]  # half-open


class SourceIndex:
    """Finds strings among words, on word boundaries.

    The words are given as a target would spell them (`WordIds.surface`), so that what the tokenizer
    normalises or cannot spell compares equal on both sides.
    """

    def __init__(self, surfaces: Sequence[str]):
        self._words = [" ".join(s.split()) for s in surfaces]
        packed = [bare(w).replace(" ", "") for w in self._words]
        self._text = "".join(packed)
        # Character offset → word, over the words that have characters at all.
        self._visible = [i for i, w in enumerate(packed) if w]
        self._starts, offset = [], 0
        for i in self._visible:
            self._starts.append(offset)
            offset += len(packed[i])
        self._ends = [*self._starts[1:], offset]
        self._found: dict[str, tuple[list[WordRange], bool]] = {}

    def find(self, string: str) -> list[WordRange]:
        """All word spans that spell `string`, left to right. Spans that agree in white space are
        preferred; without any, those that agree but for white space (`U.S.` for `U.S .`) count."""
        return self.match(string)[0]

    def match(self, string: str) -> tuple[list[WordRange], bool]:
        """What `find` returns, and whether these spans agree with `string` in white space."""
        spelled = " ".join(string.split())
        if spelled not in self._found:
            spans = self._spans(spelled.replace(" ", ""))
            exact = [s for s in spans if self._spelling(s) == spelled]
            self._found[spelled] = exact or spans, bool(exact)
        return self._found[spelled]

    def _spans(self, packed: str) -> list[WordRange]:
        spans: list[WordRange] = []
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

    def _spelling(self, span: WordRange) -> str:
        return join([w for w in self._words[span[0] : span[1]] if bare(w)])


# The order of appearance: by start, longer spans first.
_SortKey = tuple[int, int]
_START: _SortKey = (-1, 0)
_END: _SortKey = (2**31, 0)


def _sort_key(span: WordRange) -> _SortKey:
    return span[0], -span[1]


def align(items: Sequence[tuple[str, str]], source: SourceIndex) -> tuple[list[Entity | None], Counter[str]]:
    """One span per item, or None where the item was dropped, and the reasons.

    Returns:
      For each item its Entity; `not_in_text` counts items whose string is no run of the source's
      words, `duplicate` those that repeat a (type, string) more often than it occurs.
    """
    occurrences = [source.find(string) for _, string in items]
    latest = _latest_keys(items, occurrences)
    entities: list[Entity | None] = []
    dropped: Counter[str] = Counter()
    used: set[Entity] = set()
    covered: set[int] = set()  # the words of the items so far
    reached = _START
    for (name, _), spans, limit in zip(items, occurrences, latest, strict=True):
        best: tuple[tuple[int, bool, WordRange], Entity] | None = None
        ahead = bisect.bisect_left(spans, reached[0], key=lambda s: s[0])
        for span in itertools.chain(spans[ahead:], spans[:ahead]):
            entity = Entity(*span, name)
            if entity not in used:
                out_of_order = (_sort_key(span) < reached) + (_sort_key(span) > limit)
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
            reached = max(reached, _sort_key((entity.start, entity.end)))
            entities.append(entity)
    return entities, dropped


def _latest_keys(
    items: Sequence[tuple[str, str]], occurrences: Sequence[Sequence[WordRange]]
) -> list[_SortKey]:
    """For each item, the last sort key that lets the items after it follow in order. An item that cannot
    itself be in order, or repeats another more often than it occurs, limits none."""
    seen: Counter[tuple[str, str]] = Counter()
    surplus: list[bool] = []
    for item, spans in zip(items, occurrences, strict=True):
        seen[item] += 1
        surplus.append(seen[item] > len(spans))
    latest: list[_SortKey] = []
    limit, types_there = _END, set[str]()
    for i in reversed(range(len(items))):
        name, keys = items[i][0], [] if surplus[i] else [_sort_key(s) for s in occurrences[i]]
        allowed = [key for key in keys if key < limit or (key == limit and name not in types_there)]
        if allowed:
            if max(allowed) < limit:
                limit, types_there = max(allowed), set()
            types_there.add(name)
        latest.append(limit)
    return latest[::-1]
