"""What was found in a text."""

from __future__ import annotations

import numbers
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from toner_jax.atoms import has_alphanumeric
from toner_jax.errors import ParameterError
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
      TypeError: it is not a number.
    """
    check_number("threshold", threshold)
    if not 0 <= threshold <= 1:
        raise ParameterError("threshold", threshold, "a score lies between 0 and 1")
    return threshold


def check_number(name: str, value: object) -> None:
    """Raises TypeError if a parameter's value is not a number: a string that looks like one, say."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {value!r}; expected a number")


MOST_UNKNOWN = 0.2  # of a text's pieces; with more, the model hardly sees what it reads


@dataclass(frozen=True)
class Coverage:
    """How much of a text was read, or of several: they add up.

    Attributes:
      sentences, windows: what was read at a time: a sentence that an input cannot hold is several windows.
      words_too_long: words that no input can hold.
      truncated: outputs that were cut: of these windows, entities may be missing.
      pieces, unknown: the pieces of its words, and those of them that the vocabulary lacks.
      matching_shortened: sentences of which the type matcher saw the beginning alone.
    """

    sentences: int = 0
    windows: int = 0
    words_too_long: int = 0
    truncated: int = 0
    pieces: int = 0
    unknown: int = 0
    matching_shortened: int = 0

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(*map(operator.add, _counts(self), _counts(other)))

    @property
    def unknown_share(self) -> float:
        """The share of unknown pieces."""
        return self.unknown / self.pieces if self.pieces else 0.0

    @property
    def mostly_unknown(self) -> bool:
        """Whether the vocabulary lacks more than a fifth of it."""
        return self.unknown_share > MOST_UNKNOWN

    @property
    def whole(self) -> bool:
        """Whether all was read, and nearly all of it known."""
        lost = self.words_too_long or self.truncated or self.matching_shortened
        return not lost and not self.mostly_unknown

    def to_json(self) -> dict[str, Any]:
        """As results, rows and reports have it."""
        return {
            "sentences": self.sentences,
            "windows": self.windows,
            "words_too_long": self.words_too_long,
            "truncated_outputs": self.truncated,
            "unknown_pieces": round(self.unknown_share, 4),
            "matching_shortened": self.matching_shortened,
            "unread": self.describe(),
        }

    def describe(self, texts_mostly_unknown: int = 0) -> str:
        """What was not read or not known, for people; "" where all was.

        Args:
          texts_mostly_unknown: of several texts, how many are so, to be said instead of their share.
        """
        counts = (
            (self.words_too_long, "word{} longer than an input"),
            (self.truncated, "output{} cut at the longest"),
            (self.matching_shortened, "sentence{} longer than the type matcher reads"),
        )
        found = [f"{count:,} {what.format('s' * (count > 1))}" for count, what in counts if count]
        if texts_mostly_unknown:
            found.append(f"{texts_mostly_unknown:,} with more than {MOST_UNKNOWN:.0%} of unknown pieces")
        elif self.mostly_unknown:
            found.append(f"{self.unknown_share:.0%} of the pieces unknown to the vocabulary")
        return ", ".join(found)


_counts = operator.attrgetter(*(f.name for f in fields(Coverage)))


@dataclass(frozen=True)
class Recognized:
    """What was found in one sentence.

    Attributes:
      entities: spans in order of appearance, and `scores` of each.
      items: what the paper's metric counts, each with its best score: the items that were written, aligned or not, and
        those of unknown types too, which are wrong.
      output: the string the model wrote; of a windowed text, the windows' strings joined by lines.
      dropped: how much of it could not be used, by reason: items, and as `truncated` outputs, of which what stands
        after the last whole item is lost.
      explanation: the model's own, where it was asked for one; of a windowed text a line for each.
      types: where types alone were asked for, those that occur, in schema order, each with the probability of its
        being named after those before it; of a windowed text, the largest.
      coverage: how much of the sentence was read.
    """

    entities: tuple[Entity, ...]
    scores: tuple[Score, ...]
    items: Mapping[Item, Score]
    output: str
    dropped: Counter[str] = field(default_factory=Counter)
    explanation: str = ""
    types: Mapping[str, float] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=Coverage, compare=False)

    def moved(self, words: int) -> Recognized:
        """The same in a text with so many words more before it."""
        moved = (Entity(e.start + words, e.end + words, e.type) for e in self.entities)
        return replace(self, entities=tuple(moved))

    def without_symbols(self, words: Sequence[str]) -> Recognized:
        """Without what is of punctuation and symbols alone; entities left out are counted in `dropped`.

        Args:
          words: those that the entities count.
        """
        items = {item: s for item, s in self.items.items() if has_alphanumeric(item[1])}
        return replace(self, items=items)._only(
            lambda e, _: any(map(has_alphanumeric, words[e.start : e.end])), "symbols"
        )

    def flat(self) -> Recognized:
        """Without what overlaps something likelier; entities left out are counted in `dropped`."""
        kept = likeliest_apart(dict(zip(self.entities, self.scores, strict=True)))
        return self._only(lambda e, _: e in kept, "overlap")

    def above(self, threshold: float) -> Recognized:
        """Without what has a joint score below `threshold`; entities left out are counted in `dropped`."""
        items = {item: s for item, s in self.items.items() if s.joint >= threshold}
        return replace(self, items=items)._only(lambda _, s: s.joint >= threshold, "below_threshold")

    def _only(self, keep: Callable[[Entity, Score], bool], reason: str) -> Recognized:
        """With some of the entities; the others are counted as dropped for this reason."""
        kept = [(e, s) for e, s in zip(self.entities, self.scores, strict=True) if keep(e, s)]
        return replace(
            self,
            entities=tuple(e for e, _ in kept),
            scores=tuple(s for _, s in kept),
            # Adding counters drops what is zero.
            dropped=self.dropped + Counter({reason: len(self.entities) - len(kept)}),
        )


def likeliest_apart(scores: Mapping[Entity, Score]) -> dict[Entity, Score]:
    """Those of the entities that are likelier than every other they overlap: no two share a word."""
    kept: dict[Entity, Score] = {}
    for entity, score in sorted(scores.items(), key=lambda item: (-item[1].joint, item[0].start)):
        if all(entity.end <= other.start or other.end <= entity.start for other in kept):
            kept[entity] = score
    return kept


def best_items(items: Iterable[tuple[Item, Score]]) -> dict[Item, Score]:
    """Each item once, with the best of its scores."""
    best: dict[Item, Score] = {}
    for item, score in items:
        if item not in best or score.joint > best[item].joint:
            best[item] = score
    return best
