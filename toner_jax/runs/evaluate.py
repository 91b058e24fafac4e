"""The evaluation stage: predictions and reports of dev and test with the chosen weights."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax.common.console import say
from toner_jax.common.files import write_atomically
from toner_jax.evaluation import baselines, calibration, html_report, scoring
from toner_jax.evaluation.ceiling import alignment_ceiling
from toner_jax.evaluation.temperature import Fitted, fit_temperature
from toner_jax.inference.recognize import Recognizer
from toner_jax.pipeline.features import GeneratorFeatures
from toner_jax.runs import setup
from toner_jax.runs.generator import FOLDER as GENERATOR
from toner_jax.runs.generator import dev_sample, read_types_if_enabled
from toner_jax.runs.matcher import read_similarities, read_threshold
from toner_jax.runs.recognizers import make_recognizer, make_type_recognizer
from toner_jax.schema import Schema, Sentence
from toner_jax.tasks.recognized import Recognized
from toner_jax.training.metrics import MetricsWriter, read_metrics

Splits = Mapping[str, Sequence[Sentence]]


def evaluate_run(
    config: ConfigDict, workdir: Path, splits: Splits, schema: Schema, mesh: Mesh, step: int
) -> dict[str, Any]:
    """Evaluates dev and test with the generator's weights of `step`.

    Returns:
      Per split, the strict span scores (the whole reports stand in `report/{split}.json`); `temperature`, the
      one that the scores were computed at; and `fitted`, how it was found, where `decode.temperature` is 0.
    """
    model = setup.build_generator(config, workdir, schema)
    features = setup.generator_features(config, workdir / setup.TOKENIZERS, schema)
    params = setup.restore_params(workdir / GENERATOR, step, model, mesh, config.sharding)
    recognizer = make_recognizer(config, model, features, mesh)
    type_recognizer = None
    if config.generator.type_recognition:
        type_recognizer = make_type_recognizer(config, model, features, mesh)
    metrics = MetricsWriter(workdir)
    metrics.resume("evaluate", -1)  # an interrupted evaluation starts over
    fitted = None
    if not config.decode.temperature:
        fitted = _fit_on_dev(config, workdir, recognizer, params, splits["dev"])
    temperature = fitted.temperature if fitted else config.decode.temperature
    result: dict[str, Any] = {"temperature": temperature, "fitted": fitted and fitted.to_json()}
    for name in ("dev", "test"):
        sentences = splits[name]
        matched = read_types_if_enabled(config, workdir, name, sentences)
        found = recognizer(params, sentences, matched, temperature)
        kept = [r.above(config.decode.threshold) for r in found]
        write_predictions(workdir / "predictions" / f"{name}.jsonl", sentences, kept, matched)
        named = type_recognizer(params, sentences) if type_recognizer else None
        report = make_report(
            config, splits, name, found, matched, schema, features, temperature, fitted, named
        )
        write_atomically(workdir / "report" / f"{name}.json", json.dumps(report, indent=2) + "\n")
        page = _render_page(config, workdir, name, sentences, kept, matched, report, schema)
        write_atomically(workdir / "report" / f"{name}.html", page)
        strict = report["strict"]
        metrics.write("evaluate", step, {f"{name}_{k}": v for k, v in strict.items()})
        say(f"evaluate: {name}: strict span F1 {strict['f1']:.4f} on {len(sentences):,} sentences")
        result[name] = strict
    return result


def _fit_on_dev(
    config: ConfigDict, workdir: Path, recognizer: Recognizer, params: Any, dev: Sequence[Sentence]
) -> Fitted:
    """The temperature that suits at most `eval.dev_max_sentences` of dev."""
    matched = read_types_if_enabled(config, workdir, "dev", dev)
    chosen = dev_sample(config, len(dev))
    sentences = [dev[i] for i in chosen]
    types = None if matched is None else [matched[i] for i in chosen]
    fitted = fit_temperature(lambda t: _judge(sentences, recognizer(params, sentences, types, t)))
    found = f"evaluate: temperature {fitted.temperature:.3f}, fitted on {len(chosen):,} dev sentences"
    if fitted.ece_before is None:
        say(f"{found}: they have no predictions to fit it on")
    else:
        say(f"{found}: calibration error of the scores {fitted.ece_before:.4f} → {fitted.ece_after:.4f}")
    return fitted


def _judge(sentences: Sequence[Sentence], found: Sequence[Recognized]) -> calibration.Judged:
    scored = [[(e, s.type, s.span) for e, s in zip(r.entities, r.scores, strict=True)] for r in found]
    return calibration.judge(sentences, scored)


def _render_page(
    config: ConfigDict,
    workdir: Path,
    name: str,
    sentences: Sequence[Sentence],
    found: Sequence[Recognized],
    matched: Sequence[Sequence[str]] | None,
    report: dict[str, Any],
    schema: Schema,
) -> str:
    log = workdir / "metrics.jsonl"
    return html_report.render(
        report,
        schema,
        sentences,
        [[(e, s.joint) for e, s in zip(r.entities, r.scores, strict=True)] for r in found],
        matched,
        title=f"ToNER on {config.data.name}",
        metrics=read_metrics(log.read_text(encoding="utf-8")) if log.exists() else [],
        similarities=None if matched is None else read_similarities(workdir, name, sentences, schema),
        threshold=None if matched is None else read_threshold(workdir),
    )


def make_report(
    config: ConfigDict,
    splits: Splits,
    name: str,
    found: Sequence[Recognized],
    matched: Sequence[Sequence[str]] | None,
    schema: Schema,
    features: GeneratorFeatures,
    temperature: float,
    fitted: Fitted | None = None,
    named: Sequence[Iterable[str]] | None = None,
) -> dict[str, Any]:
    """All figures of one split, as JSON.

    Args:
      found: what was recognized at `temperature`, of whatever score. `scores` is of all that; everything
        else is of the entities that `decode.threshold` keeps.
      fitted: how the temperature was found, if it was.
      named: the types that the generator named for each sentence (§3.4), if it learned to.
    """
    sentences, train = splits[name], splits["train"]
    kept = [r.above(config.decode.threshold) for r in found]
    predicted = [r.entities for r in kept]
    strings = {s.surface(e) for s in train for e in s.entities}
    memorised = scoring.strict_counts(sentences, baselines.memorised_mentions(train, sentences))
    parts = scoring.seen_unseen(sentences, predicted, strings)
    report: dict[str, Any] = {
        "split": name,
        **scoring.evaluate(sentences, predicted, [r.items for r in kept], schema),
        "seen_in_training": parts["seen"].to_json(),
        "unseen_in_training": parts["unseen"].to_json(),
        "dropped": dict(sum((r.dropped for r in kept), Counter())),
        "scores": {
            "temperature": temperature,
            "fitted": fitted and fitted.to_json(),
            "threshold": config.decode.threshold,
            **calibration.describe_scores(_judge(sentences, found)),
        },
        "alignment_ceiling": alignment_ceiling(sentences, schema, features.word_ids),
        "baselines": {"memorised_mentions": memorised.to_json()},
    }
    if named is not None:
        report["type_recognition"] = scoring.type_counts(sentences, named).to_json()
    if matched is not None:
        prior = baselines.type_prior(
            train, splits["dev"], sentences, schema, beta=config.matcher.threshold_beta
        )
        report["types"] = {
            **scoring.type_counts(sentences, matched).to_json(),
            "on_empty_sentences": scoring.false_types_on_empty(sentences, matched),
        }
        report["baselines"]["type_prior"] = scoring.type_counts(sentences, prior).to_json()
    return report


def write_predictions(
    path: Path,
    sentences: Sequence[Sentence],
    found: Sequence[Recognized],
    matched: Sequence[Sequence[str]] | None,
) -> None:
    """One JSON object per sentence; spans are half-open character ranges of its text."""
    lines = []
    for i, (sentence, result) in enumerate(zip(sentences, found, strict=True)):
        entry: dict[str, Any] = {
            "id": sentence.id,
            "text": sentence.text,
            "gold": [sentence.span_json(e) for e in sentence.entities],
            "predicted": [
                {**sentence.span_json(e), **score.to_json()}
                for e, score in zip(result.entities, result.scores, strict=True)
            ],
            "types": None if matched is None else list(matched[i]),
            "output": result.output,
            "dropped": dict(result.dropped),
        }
        lines.append(json.dumps(entry, ensure_ascii=False) + "\n")
    write_atomically(path, "".join(lines))
