"""Precision, recall and F1 of predicted entities and types.

All scores are micro averages: true positives, false positives and false negatives are summed over
the sentences before any division (§4.3: "entity-level micro Precision, Recall and F1"). Two figures
go by that name and must not be mixed: `strict_counts` compares spans and is the headline;
`toner_compatible_counts` compares unique strings, as the authors' code does for the paper's tables.

Gold and predictions are given per sentence, in the same order; a ValueError says when their
lengths differ. Within a sentence both are sets: repeating a prediction changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeVar

from toner_jax.evaluation.errors import aligned, error_classes
from toner_jax.schema import Entity, Gold, Schema, Sentence

T = TypeVar("T")


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives; they add up over sentences."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """tp / (tp + fp); 0 when nothing was predicted."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """tp / (tp + fn); 0 when there was nothing to find."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 0 where undefined."""
        return self.f_beta(1.0)

    def f_beta(self, beta: float) -> float:
        """(1 + β²)·P·R / (β²·P + R), which weighs recall β times as much as precision; 0 where undefined."""
        weight = beta * beta
        hits = (1 + weight) * self.tp
        return _ratio(hits, hits + weight * self.fn + self.fp)

    def to_json(self) -> dict[str, float]:
        return {
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
        }


def strict_counts(gold: Sequence[Sentence], predicted: Sequence[Sequence[Entity]]) -> Counts:
    """Strict span scores: a prediction is right when its start, end and type are all a gold entity's."""
    return _total((set[Gold](s.gold), set[Gold](p)) for s, p in aligned(gold, predicted))


def per_type_counts(
    gold: Sequence[Sentence], predicted: Sequence[Sequence[Entity]], schema: Schema
) -> dict[str, Counts]:
    """Strict span scores of each type, in the schema's order; they sum to `strict_counts`.

    Raises:
      ValueError: an entity has a type that the schema lacks, so that the sum would not hold.
    """
    counts = _counts_by(gold, predicted, lambda sentence, entity: entity.type)
    if unknown := sorted(counts.keys() - schema.index.keys()):
        raise ValueError(f"types {unknown} are not in schema {schema.name!r}")
    return {name: counts.get(name, Counts()) for name in schema.names}


def toner_compatible_counts(
    gold: Sequence[Sentence], predicted_pairs: Sequence[Iterable[tuple[str, str]]]
) -> Counts:
    """Scores over the unique (type, string) pairs of each sentence: the paper's figures.

    The authors' code parses the generated pairs and compares them as sets, so a string that is
    mentioned twice counts once and its position does not matter. Runs of white space in a string
    count as one space.

    Args:
      gold: the sentences; the string of an entity is its `Sentence.surface`.
      predicted_pairs: per sentence, the (type, string) pairs that were generated.
    """

    def meant(s: Sentence) -> set[object]:
        # What is out of reach is missed, whatever string of it is found.
        return {*((e.type, _single_spaced(s.surface(e))) for e in s.entities), *s.unreachable}

    return _total(
        (meant(s), set[object]((type_name, _single_spaced(string)) for type_name, string in pairs))
        for s, pairs in aligned(gold, predicted_pairs)
    )


def type_counts(gold: Sequence[Sentence], predicted_types: Sequence[Iterable[str]]) -> Counts:
    """Scores of T′ (§3.2) over (sentence, type): a type is right when the sentence has an entity of it."""
    return _total((set(s.types()), set(types)) for s, types in aligned(gold, predicted_types))


def false_types_on_empty(
    gold: Sequence[Sentence], predicted_types: Sequence[Iterable[str]]
) -> dict[str, int | float]:
    """How often T′ names types where there are none, which invites the generator to invent entities.

    Returns:
      `sentences`, the number of sentences without entities; `with_false_types`, those of them whose T′
      is not empty; `mean_false_types`, the size of T′ averaged over all of them (0 when there are none).
    """
    sizes = [len(set(types)) for s, types in aligned(gold, predicted_types) if not s.gold]
    return {
        "sentences": len(sizes),
        "with_false_types": sum(size > 0 for size in sizes),
        "mean_false_types": _ratio(sum(sizes), len(sizes)),
    }


def seen_unseen(
    gold: Sequence[Sentence], predicted: Sequence[Sequence[Entity]], training_strings: Set[str]
) -> dict[str, Counts]:
    """Strict span scores of the strings that training mentions contain, and of all other strings.

    What is scored on unseen strings cannot have been memorised (Augenstein et al., 2017,
    "Generalisation in Named Entity Recognition"). A gold or predicted span belongs to the part that
    its own surface string belongs to, whatever its type, so the two parts sum to `strict_counts`.

    Args:
      gold: the sentences.
      predicted: their predicted entities.
      training_strings: the `Sentence.surface` of every entity of the training set.
    """

    def part(sentence: Sentence, entity: Gold) -> str:
        return "seen" if sentence.surface(entity) in training_strings else "unseen"

    counts = _counts_by(gold, predicted, part)
    return {name: counts.get(name, Counts()) for name in ("seen", "unseen")}


@dataclass(frozen=True)
class Scores:
    """The scores of N sentences with M gold entities.

    Attributes:
      strict: of spans, the headline; `per_type` of each type, in schema order.
      toner_compatible: over unique (type, string) pairs, the paper's.
      errors: their number by kind.
      unreachable: the gold entities, all of them missed, that no words of a sentence make up.
    """

    sentences: int
    entities: int
    unreachable: int
    strict: Counts
    toner_compatible: Counts
    per_type: Mapping[str, Counts]
    errors: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """As a report has them; each type with its `support`, its number of gold entities."""
        return {
            "sentences": self.sentences,
            "entities": self.entities,
            "unreachable": self.unreachable,
            "strict": self.strict.to_json(),
            "toner_compatible": self.toner_compatible.to_json(),
            "per_type": {name: {**c.to_json(), "support": c.tp + c.fn} for name, c in self.per_type.items()},
            "errors": dict(self.errors),
        }


def evaluate(
    gold: Sequence[Sentence],
    predicted: Sequence[Sequence[Entity]],
    predicted_pairs: Sequence[Iterable[tuple[str, str]]],
    schema: Schema,
) -> Scores:
    """The scores of one split.

    Args:
      gold: the sentences.
      predicted: their predicted entities, aligned to words.
      predicted_pairs: their generated (type, string) pairs.
      schema: gives the order of `per_type`.

    Raises:
      ValueError: the inputs differ in length, or an entity has a type that the schema lacks.
    """
    strict = strict_counts(gold, predicted)
    per_type = per_type_counts(gold, predicted, schema)
    return Scores(
        sentences=len(gold),
        entities=strict.tp + strict.fn,
        unreachable=sum(len(s.unreachable) for s in gold),
        strict=strict,
        toner_compatible=toner_compatible_counts(gold, predicted_pairs),
        per_type=per_type,
        errors=error_classes(gold, predicted),
    )


def _total(pairs: Iterable[tuple[set[T], set[T]]]) -> Counts:
    """Sums the counts of (gold, predicted) sets."""
    return sum((Counts(len(g & p), len(p - g), len(g - p)) for g, p in pairs), Counts())


def _counts_by(
    gold: Sequence[Sentence],
    predicted: Sequence[Sequence[Entity]],
    part: Callable[[Sentence, Gold], str],
) -> dict[str, Counts]:
    """Strict counts of each part; `part` says where an entity, gold or predicted, belongs."""
    tp, fp, fn = Counter[str](), Counter[str](), Counter[str]()
    for sentence, entities in aligned(gold, predicted):
        g, p = set[Gold](sentence.gold), set[Gold](entities)
        for counter, members in ((tp, g & p), (fp, p - g), (fn, g - p)):
            counter.update(part(sentence, e) for e in members)
    return {name: Counts(tp[name], fp[name], fn[name]) for name in tp | fp | fn}


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0


def _single_spaced(string: str) -> str:
    return " ".join(string.split())
