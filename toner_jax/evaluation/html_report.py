"""`report/{split}.html`: one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2

from toner_jax.evaluation.charts import (
    reliability_diagram,
    score_curve,
    similarity_histogram,
    training_curves,
)
from toner_jax.evaluation.scoring import ERROR_KINDS, sentence_errors
from toner_jax.schema import Entity, Schema, Sentence


def render(
    report: dict[str, Any],
    schema: Schema,
    sentences: Sequence[Sentence],
    predicted: Sequence[Sequence[tuple[Entity, float]]],
    matched: Sequence[Sequence[str]] | None,
    *,
    title: str,
    metrics: Sequence[dict[str, Any]],
    similarities: Sequence[Sequence[float]] | None = None,
    threshold: float | None = None,
) -> str:
    """The page as a string.

    Args:
      report: what `report/{split}.json` holds.
      predicted: per sentence, the predicted entities and their scores.
      matched: T′ per sentence; `similarities` [N][K] are the cosines behind it, `threshold` is δ.
      metrics: the entries of metrics.jsonl.
    """
    charts = {
        "generator": training_curves(metrics, "generator", "dev_f1", "dev span F1"),
        "matcher": training_curves(metrics, "matcher", "dev_type_f1", "dev type F1"),
        "curve": score_curve(report["scores"]),
        "reliability": reliability_diagram(report["scores"]["bins"]),
    }
    if similarities is not None and threshold is not None:
        present: list[float] = []
        absent: list[float] = []
        for sentence, row in zip(sentences, similarities, strict=True):
            occurring = set(sentence.types())
            for name, value in zip(schema.names, row, strict=True):
                (present if name in occurring else absent).append(value)
        charts["similarity"] = similarity_histogram(present, absent, threshold)
    rows = [
        _sentence_row(s, p, None if matched is None else list(matched[i]))
        for i, (s, p) in enumerate(zip(sentences, predicted, strict=True))
    ]
    source = resources.files("toner_jax.evaluation").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": True}
    return environment.from_string(source).render(
        title=title, report=report, charts=charts, rows=rows, types=schema.names, error_kinds=ERROR_KINDS
    )


def _sentence_row(
    sentence: Sentence, predicted: Sequence[tuple[Entity, float]], matched: list[str] | None
) -> dict[str, Any]:
    """One sentence as the page's script reads it: spans are [start, end, type, status, score]."""
    errors = sentence_errors(sentence.entities, [e for e, _ in predicted])
    kind_of_prediction = {e.predicted: e.kind for e in errors if e.predicted}
    kind_of_gold = {e.gold: e.kind for e in errors if e.gold}
    return {
        "id": sentence.id,
        "text": sentence.text,
        "gold": [[*sentence.char_span(e), e.type, kind_of_gold.get(e, "correct")] for e in sentence.entities],
        "predicted": [
            [*sentence.char_span(e), e.type, kind_of_prediction.get(e, "correct"), round(score, 3)]
            for e, score in predicted
        ],
        "types": matched,
        "errors": sorted({e.kind for e in errors}),
    }
