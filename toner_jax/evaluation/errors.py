"""What kind of errors were made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

from toner_jax.schema import Entity, Gold, Sentence

T = TypeVar("T")

# Pairs of a prediction and a gold entity are made in this order; `sentence_errors` defines the kinds.
_PAIRED_ERRORS = ("boundary", "type", "boundary_and_type")
ERROR_KINDS = (*_PAIRED_ERRORS, "spurious", "missed")


@dataclass(frozen=True)
class Error:
    """One error: its kind, and the prediction and the gold entity it concerns (either may be missing)."""

    kind: str
    predicted: Entity | None
    gold: Gold | None


def sentence_errors(sentence: Sentence, predicted: Iterable[Entity]) -> list[Error]:
    """The errors of what was predicted for one sentence.

    Exact matches are set aside first, nested ones included. Each remaining prediction is then paired
    with at most one remaining gold entity that it overlaps, and each gold entity with at most one
    prediction: in the order of the kinds below, within a kind the larger overlap first. A pair is one error:

      boundary: the same type, another start or end;
      type: the same words with another type;
      boundary_and_type: some common words, another start or end, and another type.

    What is left without a partner is an error by itself:

      spurious: a prediction that overlaps no gold entity, or only ones that are already accounted for;
      missed: a gold entity that no prediction overlaps, or only ones that are already accounted for.

    A gold entity that is unreachable overlaps as the words do that it touches; its words are never the same.
    """
    right, found = set[Gold](sentence.gold), set(predicted)
    missed, spurious = right - found, found - right
    errors: list[Error] = []
    for kind, wrong, meant in _candidate_errors(sentence, spurious, missed):
        if wrong in spurious and meant in missed:
            errors.append(Error(kind, wrong, meant))
            spurious.remove(wrong)
            missed.remove(meant)
    errors += [Error("spurious", e, None) for e in sorted(spurious, key=_place)]
    return errors + [Error("missed", None, e) for e in sorted(missed, key=_place)]


def error_classes(gold: Sequence[Sentence], predicted: Sequence[Sequence[Entity]]) -> dict[str, int]:
    """Counts `sentence_errors` by kind.

    Each prediction and each gold entity counts once: the three paired kinds and `spurious` sum to the
    strict false positives, the three paired kinds and `missed` to the strict false negatives. There is
    no class for duplicates, since predictions are sets.
    """
    counts = dict.fromkeys(ERROR_KINDS, 0)
    for sentence, entities in aligned(gold, predicted):
        for error in sentence_errors(sentence, entities):
            counts[error.kind] += 1
    return counts


def confused(errors: Iterable[Error]) -> Iterator[tuple[str, str]]:
    """The (annotated, found) types of errors that took one for another."""
    for error in errors:
        if error.gold and error.predicted and error.gold.type != error.predicted.type:
            yield error.gold.type, error.predicted.type


def aligned(gold: Sequence[Sentence], predicted: Sequence[T]) -> Iterator[tuple[Sentence, T]]:
    """Each sentence with what was predicted for it.

    Raises:
      ValueError: there are more of the one than of the other.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold sentences, but predictions for {len(predicted)}")
    return zip(gold, predicted, strict=True)


def _candidate_errors(
    sentence: Sentence, spurious: Set[Entity], missed: Set[Gold]
) -> list[tuple[str, Entity, Gold]]:
    """All overlapping (kind, prediction, gold) triples in the order in which they are to be paired."""
    touched = {g: _touched_words(sentence, g) for g in sorted(missed, key=_place)}
    candidates = []
    for p in sorted(spurious, key=_place):
        for g, (start, end) in touched.items():
            overlap = min(p.end, end) - max(p.start, start)
            if overlap > 0:
                candidates.append((_paired_error(p, g), overlap, p, g))
    candidates.sort(key=lambda c: (_PAIRED_ERRORS.index(c[0]), -c[1]))
    return [(kind, p, g) for kind, _, p, g in candidates]


def _touched_words(sentence: Sentence, gold: Gold) -> tuple[int, int]:
    """The range of the words that it has a part of."""
    if isinstance(gold, Entity):
        return gold.start, gold.end
    touched = [i for i, (a, b) in enumerate(sentence.offsets) if a < gold.end and gold.start < b]
    return (touched[0], touched[-1] + 1) if touched else (0, 0)


def _place(entity: Gold) -> tuple[int, int, str]:
    return entity.start, entity.end, entity.type


def _paired_error(predicted: Entity, gold: Gold) -> str:
    """The kind of error that an overlapping, not identical, pair makes."""
    if predicted.type == gold.type:
        return "boundary"
    same_words = isinstance(gold, Entity) and (predicted.start, predicted.end) == (gold.start, gold.end)
    return "type" if same_words else "boundary_and_type"
