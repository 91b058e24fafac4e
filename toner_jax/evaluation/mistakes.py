"""Which mistakes were made: types taken for each other, and the wrong entities that the model was surest of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from toner_jax.evaluation.errors import Error, confused, sentence_errors
from toner_jax.evaluation.evaluated import Evaluated
from toner_jax.schema import Entity, Sentence

MOST_SHOWN = 30  # of the surest mistakes


def type_confusions(evaluated: Evaluated) -> list[dict[str, Any]]:
    """How often an entity of one type was taken for one of another, with the same words or with some in common, as
    `sentence_errors` pairs them: {"gold", "predicted", "count"}, the most frequent first."""
    counts = Counter(confused(error for _, error in _errors(evaluated)))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"gold": gold, "predicted": predicted, "count": n} for (gold, predicted), n in ordered]


def surest_mistakes(evaluated: Evaluated, most: int = MOST_SHOWN) -> list[dict[str, Any]]:
    """The wrong entities of the highest scores, these first: some are mistakes of the annotation.

    Returns:
      {"id", "text", "score", "kind", "predicted", "gold"} of each: the sentence, the joint score, the kind of
      `sentence_errors`, and both entities as users see them; `gold` None where it overlaps none.
    """
    scores = [dict(zip(r.entities, r.scores, strict=True)) for r in evaluated.counted]
    found: list[tuple[float, int, Error, Entity]] = []
    for i, error in _errors(evaluated):
        if error.predicted is not None:
            found.append((scores[i][error.predicted].joint, i, error, error.predicted))
    found.sort(key=lambda item: (-item[0], item[1], item[3].start, item[3].end))
    return [
        _row(evaluated.sentences[i], score, error, predicted) for score, i, error, predicted in found[:most]
    ]


def _errors(evaluated: Evaluated) -> list[tuple[int, Error]]:
    """Of each sentence, by its number."""
    pairs = zip(evaluated.sentences, evaluated.counted, strict=True)
    return [(i, error) for i, (s, r) in enumerate(pairs) for error in sentence_errors(s, r.entities)]


def _row(sentence: Sentence, score: float, error: Error, predicted: Entity) -> dict[str, Any]:
    return {
        "id": sentence.id,
        "text": sentence.text,
        "score": round(score, 4),
        "kind": error.kind,
        "predicted": sentence.span_json(predicted),
        "gold": None if error.gold is None else sentence.span_json(error.gold),
    }


def overview(evaluated: Evaluated) -> dict[str, Sequence[dict[str, Any]]]:
    """Both, as a report has them."""
    return {"confusions": type_confusions(evaluated), "surest_mistakes": surest_mistakes(evaluated)}
