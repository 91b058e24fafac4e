"""`report/{split}.html`: one self-contained page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from toner_jax.common.console import warn
from toner_jax.evaluation import pages
from toner_jax.evaluation.charts import (
    reliability_diagram,
    score_curve,
    similarity_histogram,
    training_curves,
)
from toner_jax.evaluation.errors import ERROR_KINDS, confused, sentence_errors
from toner_jax.evaluation.evaluated import Evaluated
from toner_jax.evaluation.report import SOURCES, notes
from toner_jax.schema import Entity, Schema, Sentence

_STARTS = 5  # of a run, the last ones, are shown
_SUSPECTS = 20  # the clearest ones


@dataclass(frozen=True)
class Page:
    """What a page shows besides its report and its sentences.

    Attributes:
      metrics: the entries of metrics.jsonl.
      similarities: [N][K], the cosines behind T′, in schema order; None without type matching.
      type_threshold: δ; None without type matching.
      starts: the record of the run's starts, the first one first.
      suspects: annotations of train that may be wrong, as `Suspect.to_json` has them, the clearest first.
      others: the names of pages beside this one, to which it links.
    """

    title: str
    metrics: Sequence[dict[str, Any]]
    similarities: Sequence[Sequence[float]] | None = None
    type_threshold: float | None = None
    starts: Sequence[Mapping[str, Any]] = ()
    suspects: Sequence[Mapping[str, Any]] = ()
    others: Sequence[str] = ()


def render(figures: dict[str, Any], evaluated: Evaluated, schema: Schema, page: Page) -> str:
    """The page as a string.

    Args:
      figures: a report, as its file has it.
    """
    return pages.page("report.html.j2").render(
        title=page.title,
        report=figures,
        charts=_charts(figures, evaluated.sentences, schema, page),
        rows=_rows(evaluated),
        types=schema.names,
        error_kinds=ERROR_KINDS,
        starts=_starts(page.starts),
        suspects=page.suspects[:_SUSPECTS],
        suspect_count=len(page.suspects),
        others=page.others,
        notes=notes(figures),
        sources=SOURCES,
    )


def _starts(starts: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The rows of the table of starts, each a column of the record with a cell for each of the last starts."""
    shown = starts[-_STARTS:]
    names = dict.fromkeys(name for start in shown for name in start)

    def cell(value: Any) -> str:
        return (
            shlex.join(map(str, value)) if isinstance(value, list) else "–" if value is None else str(value)
        )

    return {name: [cell(start.get(name)) for start in shown] for name in names}


def _charts(
    report: dict[str, Any], sentences: Sequence[Sentence], schema: Schema, page: Page
) -> dict[str, str | None]:
    """The page's charts by name, as SVG; None where there is nothing to draw."""
    if find_spec("matplotlib") is None:
        warn("matplotlib is not installed: the report is without pictures")
        return {}
    charts: dict[str, str | None] = {
        "generator": training_curves(page.metrics, "generator", "dev_f1", "dev span F1"),
        "matcher": training_curves(page.metrics, "matcher", "dev_type_f1", "dev type F1"),
        "curve": score_curve(report["scores"]),
        "reliability": reliability_diagram(report["scores"]["bins"]),
    }
    if page.similarities is not None and page.type_threshold is not None:
        present: list[float] = []
        absent: list[float] = []
        for sentence, row in zip(sentences, page.similarities, strict=True):
            occurring = set(sentence.types())
            for name, value in zip(schema.names, row, strict=True):
                (present if name in occurring else absent).append(value)
        charts["similarity"] = similarity_histogram(present, absent, page.type_threshold)
    return charts


def _rows(evaluated: Evaluated) -> list[dict[str, Any]]:
    """The sentences as the page's script reads them."""
    rows = []
    for i, (sentence, result) in enumerate(zip(evaluated.sentences, evaluated.counted, strict=True)):
        predicted = [(e, s.joint) for e, s in zip(result.entities, result.scores, strict=True)]
        matched = None if evaluated.matched is None else list(evaluated.matched[i])
        row = _sentence_row(sentence, predicted, matched)
        rows.append({**row, "explanation": result.explanation} if result.explanation else row)
    return rows


def _sentence_row(
    sentence: Sentence, predicted: Sequence[tuple[Entity, float]], matched: list[str] | None
) -> dict[str, Any]:
    """One sentence: spans are [start, end, type, status, score]."""
    errors = sentence_errors(sentence, [e for e, _ in predicted])
    kind_of_prediction = {e.predicted: e.kind for e in errors if e.predicted}
    kind_of_gold = {e.gold: e.kind for e in errors if e.gold}
    return {
        "id": sentence.id,
        "text": sentence.text,
        "gold": [[*sentence.char_span(e), e.type, kind_of_gold.get(e, "correct")] for e in sentence.gold],
        "predicted": [
            [*sentence.char_span(e), e.type, kind_of_prediction.get(e, "correct"), round(score, 3)]
            for e, score in predicted
        ],
        "types": matched,
        "errors": sorted({e.kind for e in errors} | {"unreachable" for _ in sentence.unreachable}),
        "confusions": sorted({f"{g} → {p}" for g, p in confused(errors)}),
    }
