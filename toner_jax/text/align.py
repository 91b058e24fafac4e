"""From generated strings back to spans of the source's words.

The format names strings, not places, so where a string occurs more than once the order decides: items
are written in order of appearance, so the next item's occurrence is the first unused one that does not
start before the previous item's. Even gold targets lose a little this way: the alignment ceiling.
"""

from __future__ import annotations

import bisect
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

    def find(self, string: str) -> list[Span]:
        """All word spans that spell `string`, left to right. Spans that agree in white space are
        preferred; without any, those that agree but for white space (`U.S.` for `U.S .`) count."""
        spelled = " ".join(string.split())
        packed = spelled.replace(" ", "")
        spans: list[Span] = []
        at = self._text.find(packed) if packed else -1
        while at >= 0:
            first, last = bisect.bisect_left(self._starts, at), bisect.bisect_left(self._ends, at + len(packed))
            if (
                first < len(self._starts)
                and self._starts[first] == at
                and last < len(self._ends)
                and self._ends[last] == at + len(packed)
            ):
                spans.append((self._visible[first], self._visible[last] + 1))
            at = self._text.find(packed, at + 1)
        exact = [s for s in spans if self._spelling(s) == spelled]
        return exact or spans

    def _spelling(self, span: Span) -> str:
        return " ".join(w for w in self._words[span[0] : span[1]] if w)


def align(items: Sequence[tuple[str, str]], source: SourceIndex) -> tuple[list[Entity | None], Counter[str]]:
    """One span per item, or None where the item was dropped, and the reasons.

    Returns:
      For each item its Entity; `not_in_text` counts items whose string is no run of the source's
      words, `duplicate` those that repeat a (type, string) more often than it occurs.
    """
    entities: list[Entity | None] = []
    dropped: Counter[str] = Counter()
    used: set[Entity] = set()
    cursor = 0
    for name, string in items:
        spans = source.find(string)
        free = [s for s in spans if Entity(*s, name) not in used]
        if not free:
            dropped["duplicate" if spans else "not_in_text"] += 1
            entities.append(None)
            continue
        start, end = next((s for s in free if s[0] >= cursor), free[0])
        entity = Entity(start, end, name)
        used.add(entity)
        cursor = max(cursor, start)
        entities.append(entity)
    return entities, dropped
