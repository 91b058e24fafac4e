"""Entities as users get them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from toner_jax.inference.labels import Asked
from toner_jax.inference.texts import Numbered
from toner_jax.schema import Sentence
from toner_jax.tasks.recognized import Coverage, Recognized


class PredictedEntity(dict[str, Any]):
    """An entity as users get it: a dict, which is also JSON, whose values can be read as attributes.

    Attributes:
      start, end: a half-open character range of the text; of a sentence that came as words, a range of them.
      text: what stands there.
      label: its type, as it was asked for.
      score: the probability of the entity; `type_score`: of its type; `span_score`: of its span, given the type.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"an entity has no {name!r}; it has {', '.join(self)}") from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self})


class Part(NamedTuple):
    """What `Ner.stream` found in a sentence.

    Attributes:
      text: the number of its text.
      entities: as `Ner.predict` gives them.
      is_last: whether it is the text's last.
      coverage: how much of it was read.
      explanation: of the entities; "" where none was asked for.
    """

    text: int
    entities: list[PredictedEntity]
    is_last: bool
    coverage: Coverage
    explanation: str = ""


def predicted_entities(sentence: Sentence, result: Recognized, asked: Asked) -> list[PredictedEntity]:
    """The entities as users get them: in characters, or of a sentence that came as words, in words."""
    spans = []
    for entity, score in zip(result.entities, result.scores, strict=True):
        start, end = sentence.char_span(entity) if sentence.raw else (entity.start, entity.end)
        text = sentence.text[start:end] if sentence.raw else sentence.surface(entity)
        label = asked.written[entity.type]
        spans.append(PredictedEntity(start=start, end=end, text=text, label=label, **score.to_json()))
    return spans


def part_of(numbered: Numbered, result: Recognized, asked: Asked, flat: bool = False) -> Part:
    """What was found in a sentence; `flat`: of entities that overlap, only the likeliest."""
    i, sentence, is_last = numbered
    entities = predicted_entities(sentence, result.flat() if flat else result, asked)
    return Part(i, entities, is_last, result.coverage, result.explanation)


def labelled_cosines(row: np.ndarray, asked: Asked) -> dict[str, float]:
    """The cosines of a text and a schema's types, [K], by label and descending value; ties in schema order."""
    names = asked.schema.names
    return {asked.written[names[k]]: float(row[k]) for k in np.argsort(-row, kind="stable")}
