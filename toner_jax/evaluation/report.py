"""All figures of one evaluated split: what `report/{split}.json` holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toner_jax.data.overlap import repeated_sentences
from toner_jax.evaluation import baselines, calibration, mistakes, paper, scoring
from toner_jax.evaluation.calibration_temperature import Fitted
from toner_jax.evaluation.ceiling import alignment_ceiling
from toner_jax.evaluation.detokenized import Detokenized
from toner_jax.evaluation.evaluated import Evaluated
from toner_jax.evaluation.scoring import Counts, Scores
from toner_jax.schema import Schema, Sentence
from toner_jax.tasks.recognized import Coverage
from toner_jax.text.ids import WordIds

# What T′ of an evaluation was, by `made_by.types_from` and in `attribution`.
SOURCES = {
    "matcher": "of the type matcher",
    "gold": "from the gold annotation, an oracle",
    "none": "left out",
    "random": "drawn at random, with the matcher's error rates",
}


@dataclass(frozen=True)
class Reference:
    """What a split is evaluated against, besides its own annotation.

    Attributes:
      train, dev: what baselines learn from, and what they are tuned on.
      word_ids, unique_pairs: how targets are written, for the alignment ceiling.
      type_beta: the β of the F-β that T′ was tuned for, and its baseline is.
      dataset: its name, as the configuration has it.
    """

    train: Sequence[Sentence]
    dev: Sequence[Sentence]
    schema: Schema
    word_ids: WordIds
    type_beta: float
    dataset: str = ""
    unique_pairs: bool = False


@dataclass(frozen=True)
class EntityScores:
    """What the scores of all predicted entities are worth, those below the threshold too.

    Attributes:
      calibration_temperature: that they were computed at; `fitted` is how it was found, if it was.
      threshold: the least score of the entities that all other figures count.
      figures: `calibration.describe_scores`.
    """

    calibration_temperature: float
    fitted: Fitted | None
    threshold: float
    figures: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {
            "calibration_temperature": self.calibration_temperature,
            "fitted": self.fitted and self.fitted.to_json(),
            "threshold": self.threshold,
            **self.figures,
        }


@dataclass(frozen=True)
class MatchedTypes:
    """How good T′ is.

    Attributes:
      counts: over (sentence, type).
      on_empty_sentences: `scoring.false_types_on_empty`.
      type_prior: `counts` of the baseline that names the same types for every sentence.
    """

    counts: Counts
    on_empty_sentences: Mapping[str, int | float]
    type_prior: Counts


@dataclass(frozen=True)
class Report:
    """The figures of one split.

    Attributes:
      seen, unseen: strict scores of the strings that training mentions contain, and of all others.
      dropped: how much of what was written could not be used, by reason.
      alignment_ceiling: the recall of a generator that writes every target exactly.
      memorised: strict scores of the baseline that tags what training mentions contain.
      named: the types that the generator itself named (§3.4); None where it did not learn to.
      types: T′; None without type matching.
      coverage: how much of the sentences was read.
      detokenized: the same sentences written as running text and read as `predict` reads it; None where they came so.
      mistakes: `mistakes.overview`.
      also_in: by name of another split, how many of the sentences stand there word for word.
      paper: the paper's results on this test set (`paper.beside`); None where it has none.
      made_by: what stands behind the figures: the steps that were chosen, with what each was selected under, δ, and
        stages that do not belong together, where these were accepted.
    """

    split: str
    scores: Scores
    seen: Counts
    unseen: Counts
    dropped: Mapping[str, int]
    entity_scores: EntityScores
    alignment_ceiling: float
    memorised: Counts
    named: Counts | None = None
    types: MatchedTypes | None = None
    coverage: Coverage = field(default_factory=Coverage)
    detokenized: Detokenized | None = None
    mistakes: Mapping[str, Any] = field(default_factory=dict)
    also_in: Mapping[str, int] = field(default_factory=dict)
    paper: Mapping[str, Any] | None = None
    made_by: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What the file holds, in its order."""
        baseline = {"memorised_mentions": self.memorised.to_json()}
        report: dict[str, Any] = {
            "split": self.split,
            **self.scores.to_json(),
            "seen_in_training": self.seen.to_json(),
            "unseen_in_training": self.unseen.to_json(),
            "dropped": dict(self.dropped),
            "coverage": self.coverage.to_json(),
            "also_in": dict(self.also_in),
            "scores": self.entity_scores.to_json(),
            "alignment_ceiling": self.alignment_ceiling,
            "baselines": baseline,
            **self.mistakes,
        }
        if self.detokenized is not None:
            report["detokenized"] = {
                "by": "sacremoses",
                **self.detokenized.counts.to_json(),
                "coverage": self.detokenized.coverage.to_json(),
            }
        if self.named is not None:
            report["type_recognition"] = self.named.to_json()
        if self.types is not None:
            report["types"] = {
                **self.types.counts.to_json(),
                "on_empty_sentences": dict(self.types.on_empty_sentences),
            }
            baseline["type_prior"] = self.types.type_prior.to_json()
        if self.paper is not None:
            report["paper"] = dict(self.paper)
        if self.made_by:
            report["made_by"] = dict(self.made_by)
        return report


def make_report(
    evaluated: Evaluated,
    reference: Reference,
    detokenized: Detokenized | None = None,
    made_by: Mapping[str, Any] | None = None,
) -> Report:
    """The figures of a split; `detokenized` and `made_by` as a `Report` has them."""
    e, sentences = evaluated, evaluated.sentences
    predicted = [r.entities for r in e.counted]
    strings = {s.surface(entity) for s in reference.train for entity in s.entities}
    parts = scoring.seen_unseen(sentences, predicted, strings)
    memorised = baselines.memorised_mentions(reference.train, sentences)
    figures = calibration.describe_scores(e.judged())
    scores = scoring.evaluate(sentences, predicted, [r.items for r in e.counted], reference.schema)
    size = len(sentences), sum(len(s.gold) for s in sentences)
    ceiling = alignment_ceiling(
        sentences, reference.schema, reference.word_ids, unique_pairs=reference.unique_pairs
    )
    return Report(
        split=e.split,
        scores=scores,
        seen=parts["seen"],
        unseen=parts["unseen"],
        dropped=sum((r.dropped for r in e.counted), Counter()),
        entity_scores=EntityScores(e.calibration_temperature, e.fitted, e.threshold, figures),
        alignment_ceiling=ceiling,
        memorised=scoring.strict_counts(sentences, memorised),
        named=None if e.named is None else scoring.type_counts(sentences, e.named),
        types=None if e.matched is None else _matched_types(sentences, e.matched, reference),
        coverage=sum((r.coverage for r in e.found), Coverage()),
        detokenized=detokenized,
        mistakes=mistakes.overview(evaluated),
        also_in=_also_in(e, reference),
        paper=paper.beside(reference.dataset, e.split, scores.toner_compatible, size),
        made_by=made_by or {},
    )


def _also_in(evaluated: Evaluated, reference: Reference) -> dict[str, int]:
    others = {"train": reference.train, "dev": reference.dev}
    others.pop(evaluated.split, None)
    repeated = repeated_sentences({**others, evaluated.split: evaluated.sentences})[evaluated.split]
    return {name: repeated[name] for name in others}


def notes(report: Mapping[str, Any]) -> list[str]:
    """What is to be known of a report's figures before they are believed, a line each.

    Args:
      report: as `Report.to_json` has it.
    """
    made_by, sentences = report.get("made_by", {}), report["sentences"]
    found = [
        f"{count:,} of the {sentences:,} sentences also stand in {name}, word for word"
        for name, count in report.get("also_in", {}).items()
        if count
    ]
    if report["unreachable"]:
        found.append(f"{report['unreachable']:,} gold entities out of reach: they begin or end inside words")
    if unread := report["coverage"]["unread"]:
        found.append(f"not all was read: {unread}")
    found += made_by.get("mixed", ())
    if source := made_by.get("types_from"):
        found.append(f"T′ {SOURCES.get(source, f'from {source}')}")
    delta = made_by.get("type_threshold")
    if delta and delta["here"] != delta["training"]:
        found.append(f"T′ at δ {delta['here']:.4f}, {delta['training']:.4f} in training")
    return found


def _matched_types(
    sentences: Sequence[Sentence], matched: Sequence[Sequence[str]], reference: Reference
) -> MatchedTypes:
    r = reference
    prior = baselines.type_prior(r.train, r.dev, sentences, r.schema, beta=r.type_beta)
    return MatchedTypes(
        scoring.type_counts(sentences, matched),
        scoring.false_types_on_empty(sentences, matched),
        scoring.type_counts(sentences, prior),
    )
