"""What entity tasks make of an output: items written under the grammar, or parsed from free text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toner_jax.atoms import join
from toner_jax.schema import Entity
from toner_jax.tasks.output import Output, WrittenSpan, probability
from toner_jax.tasks.recognized import Score, best_items
from toner_jax.text.align import SourceIndex, align
from toner_jax.text.ids import WordIds
from toner_jax.text.linearize import Item, parse


@dataclass(frozen=True)
class Spelled:
    """An output as a string.

    Attributes:
      begins, ends: int [tokens], the characters that each token spells, half-open.
      scores: fp32 [tokens], log-probabilities.
    """

    text: str
    begins: np.ndarray
    ends: np.ndarray
    scores: np.ndarray

    def probability(self, begin: int, end: int) -> float:
        """Of the tokens that spell these characters."""
        return probability(float(self.scores[(self.begins < end) & (self.ends > begin)].sum()))


def spell(word_ids: WordIds, output: Output) -> Spelled:
    """The string of an output's tokens."""
    text, starts = word_ids.spell(output.tokens)
    return Spelled(text, np.array(starts), np.array([*starts[1:], len(text)]), output.scores)


@dataclass(frozen=True)
class Found:
    """The entities of an output, its items, aligned or not, those of unknown types too, and how many were dropped, by
    reason."""

    scores: dict[Entity, Score]
    items: dict[Item, Score]
    dropped: Counter[str]


def with_truncated(dropped: Counter[str], output: Output) -> Counter[str]:
    """What was dropped of an output, with `truncated` counted once where there was no room for all of it."""
    return dropped | Counter(truncated=1) if output.truncated else dropped


def place_spans(word_ids: WordIds, words: Sequence[str], spans: Sequence[WrittenSpan]) -> Found:
    """The entities of items written under the grammar. Their strings are runs of the words; where one occurs more
    than once, `align` says which is meant."""
    scored = [Score(s.type_score, s.span_score) for s in spans]
    items = best_items(zip(((s.type, join(words[s.start : s.end])) for s in spans), scored, strict=True))
    own = [Entity(s.start, s.end, s.type) for s in spans]
    entities: Sequence[Entity | None] = own
    if spans:
        surfaces = [word_ids.surface(w) for w in words]
        strings = [(s.type, join(surfaces[s.start : s.end])) for s in spans]
        aligned, _ = align(strings, SourceIndex(surfaces))
        # Words that differ can read alike; then the spans that the grammar itself found stand.
        entities = own if None in aligned or len(set(aligned)) < len(own) else aligned
    scores = {e: s for e, s in zip(entities, scored, strict=True) if e is not None}
    return Found(scores, items, Counter())


def parse_items(
    word_ids: WordIds,
    words: Sequence[str],
    types: Sequence[str],
    spelled: Spelled,
    text: str,
    truncated: bool = False,
) -> Found:
    """The entities of a freely written list.

    Args:
      types: the names that may be used.
      text: the list, at the same characters as in `spelled.text`.
      truncated: whether it was cut at its end.
    """
    source = SourceIndex([word_ids.surface(w) for w in words])
    parsed = parse(text, types, source, truncated)
    aligned, dropped = align(parsed.items, source)
    scores: dict[Entity, Score] = {}
    items: list[tuple[Item, Score]] = []
    written = [*parsed.items, *parsed.unknown]
    places = [*aligned, *[None] * len(parsed.unknown)]
    for item, entity, (begin, end) in zip(
        written, places, parsed.ranges + parsed.unknown_ranges, strict=True
    ):
        comma = text.index(",", begin) + 1
        score = Score(spelled.probability(begin, comma), spelled.probability(comma, end))
        if entity is not None:
            scores[entity] = score
            # The tokenizer may have respelled the words (NFKC, ⁇): the source's own spelling counts.
            item = entity.type, join(words[entity.start : entity.end])
        items.append((item, score))
    return Found(scores, best_items(items), parsed.dropped + dropped)
