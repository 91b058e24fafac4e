"""One evaluated split: its sentences, and what was found in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from toner_jax.common.files import write_atomically
from toner_jax.evaluation.calibration import Judged, judge
from toner_jax.evaluation.calibration_temperature import Fitted
from toner_jax.schema import Sentence
from toner_jax.tasks.recognized import Recognized


@dataclass(frozen=True)
class Evaluated:
    """What was found in the N sentences of one split.

    Attributes:
      split: its name.
      found: what was recognized in each sentence at `calibration_temperature`, of whatever score.
      matched: T′ of each sentence; None without type matching.
      named: the types that the generator named for each sentence (§3.4); None where it did not learn to.
      threshold: the least score of the entities that count.
      fitted: how the calibration temperature was found, if it was.
    """

    split: str
    sentences: Sequence[Sentence]
    found: Sequence[Recognized]
    matched: Sequence[Sequence[str]] | None = None
    named: Sequence[Iterable[str]] | None = None
    threshold: float = 0.0
    calibration_temperature: float = 1.0
    fitted: Fitted | None = None

    @cached_property
    def counted(self) -> list[Recognized]:
        """What was found, without entities below the threshold."""
        return [r.above(self.threshold) for r in self.found]

    def judged(self) -> Judged:
        """All predicted entities, of whatever score, and which of them are right."""
        return judge_found(self.sentences, self.found)


def judge_found(sentences: Sequence[Sentence], found: Sequence[Recognized]) -> Judged:
    """The entities that were predicted, with their scores, and which of them are right."""
    scored = [[(e, s.type, s.span) for e, s in zip(r.entities, r.scores, strict=True)] for r in found]
    return judge(sentences, scored)


def write_predictions(path: Path, evaluated: Evaluated) -> None:
    """One JSON object per sentence; spans are half-open character ranges of its text."""
    lines = []
    for i, (sentence, result) in enumerate(zip(evaluated.sentences, evaluated.counted, strict=True)):
        entry: dict[str, Any] = {
            "id": sentence.id,
            "text": sentence.text,
            "gold": [
                *map(sentence.span_json, sentence.entities),
                *({**sentence.span_json(e), "unreachable": True} for e in sentence.unreachable),
            ],
            "predicted": [
                {**sentence.span_json(e), **score.to_json()}
                for e, score in zip(result.entities, result.scores, strict=True)
            ],
            "types": None if evaluated.matched is None else list(evaluated.matched[i]),
            "output": result.output,
            "dropped": dict(result.dropped),
            **({"explanation": result.explanation} if result.explanation else {}),
        }
        lines.append(json.dumps(entry, ensure_ascii=False) + "\n")
    write_atomically(path, "".join(lines))
