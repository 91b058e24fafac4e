"""What was found in a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from toner_jax.errors import UserError
from toner_jax.schema import Entity
from toner_jax.text.linearize import Item


@dataclass(frozen=True)
class Score:
    """The confidence in an entity: the probability of what the model wrote.

    Attributes:
      type: that an entity of this type comes next. Under the grammar, among the schema's types that could
        stand there, and the end of the output.
      span: of the span, given that; under the grammar, among the spans of the text. What the format forces
        costs nothing, so long entities compare with short ones.
    """

    type: float
    span: float

    @property
    def joint(self) -> float:
        return self.type * self.span

    def to_json(self) -> dict[str, float]:
        return {
            "score": round(self.joint, 6),
            "type_score": round(self.type, 6),
            "span_score": round(self.span, 6),
        }


def checked_score(threshold: float) -> float:
    """`threshold`, the least score of an entity.

    Raises:
      UserError: it is no probability.
    """
    if not 0 <= threshold <= 1:
        raise UserError(f"threshold={threshold}: a score lies between 0 and 1")
    return threshold


@dataclass(frozen=True)
class Recognized:
    """What was found in one sentence.

    Attributes:
      entities: spans in order of appearance, and `scores` of each.
      items: the usable items, aligned or not (what the paper's metric counts), each with its best score.
      output: the string the model wrote; of a windowed text, the windows' strings joined by lines.
      dropped: how much of it could not be used, by reason: items, and as `truncated` outputs, of which what stands
        after the last whole item is lost.
      explanation: the model's own, where it was asked for one; of a windowed text a line for each.
      types: where types alone were asked for, those that occur, in schema order, each with the probability of its
        being named after those before it; of a windowed text, the largest.
    """

    entities: tuple[Entity, ...]
    scores: tuple[Score, ...]
    items: Mapping[Item, Score]
    output: str
    dropped: Counter[str] = field(default_factory=Counter)
    explanation: str = ""
    types: Mapping[str, float] = field(default_factory=dict)

    def moved(self, words: int) -> Recognized:
        """The same in a text with so many words more before it."""
        moved = (Entity(e.start + words, e.end + words, e.type) for e in self.entities)
        return replace(self, entities=tuple(moved))

    def above(self, threshold: float) -> Recognized:
        """Without what has a joint score below `threshold`; entities left out are counted in `dropped`."""
        kept = [(e, s) for e, s in zip(self.entities, self.scores, strict=True) if s.joint >= threshold]
        return replace(
            self,
            entities=tuple(e for e, _ in kept),
            scores=tuple(s for _, s in kept),
            items={item: s for item, s in self.items.items() if s.joint >= threshold},
            # Adding counters drops what is zero.
            dropped=self.dropped + Counter(below_threshold=len(self.entities) - len(kept)),
        )


def best_items(items: Iterable[tuple[Item, Score]]) -> dict[Item, Score]:
    """Each item once, with the best of its scores."""
    best: dict[Item, Score] = {}
    for item, score in items:
        if item not in best or score.joint > best[item].joint:
            best[item] = score
    return best
