"""The evaluation stage: predictions and reports of dev and test with the chosen weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from toner_jax.common.console import counted, say, warn
from toner_jax.common.files import write_atomically
from toner_jax.common.memory import told_of_memory
from toner_jax.config import DEV
from toner_jax.evaluation import html_report
from toner_jax.evaluation.calibration_temperature import Fitted, fit_calibration_temperature
from toner_jax.evaluation.detokenized import Detokenized, evaluate_detokenized
from toner_jax.evaluation.evaluated import Evaluated, judge_found, write_predictions
from toner_jax.evaluation.report import Reference, Report, make_report
from toner_jax.inference.matching import TypeMatcher
from toner_jax.inference.recognize import Recognizer, mark_shortened
from toner_jax.runs import setup
from toner_jax.runs.generator import FOLDER as GENERATOR
from toner_jax.runs.generator import chosen_dev, read_types_if_enabled
from toner_jax.runs.matcher import FOLDER as MATCHER
from toner_jax.runs.matcher import read_similarities, read_type_threshold
from toner_jax.runs.options import SMALLER_DECODING
from toner_jax.runs.recognizers import decode_options, make_programs, make_recognizer, reading_of
from toner_jax.runs.restore import stage_result
from toner_jax.runs.stage import Run
from toner_jax.runs.view import Reads, Settings
from toner_jax.schema import Schema, Sentence
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.recognized import Recognized
from toner_jax.tasks.type_recognition import TypeRecognition
from toner_jax.text.ids import WordIds
from toner_jax.training.metrics import MetricsWriter, read_metrics

FOLDER = "evaluate"

READS = Reads(
    result=("dtype", "text", "decode", "data.edges", "data.language", "data.split_sentences"),
    earlier=(
        "tokenizer.ids", "matcher.enabled", "matcher.type_threshold_beta",
        "generator.dropout", "generator.remat",  # of the models, which are only run forward here
        "matcher.dropout", "matcher.remat",
        "seed", "eval.dev_max_sentences",  # which sentences a calibration temperature is fitted on
    ),
    manner=(
        "tokenizer.backend",  # the ids are the same
        "decode.batch_size",  # sentences decoded at a time: their scores are the same up to rounding
        "sharding",  # where the parameters live: the same sums, up to rounding
        "data.name",  # the title of the pages, and no figure
    ),
)  # fmt: skip


class _Matcher(NamedTuple):
    """The type matching model of the run, for sentences that no stage has seen."""

    matcher: TypeMatcher
    params: Any
    type_threshold: float

    def __call__(self, sentences: Sequence[Sentence], schema: Schema) -> list[tuple[str, ...]]:
        """T′ of each."""
        with told_of_memory(f"{FOLDER}: type matching", SMALLER_DECODING):
            return self.matcher.types(self.params, sentences, schema, self.type_threshold)


@dataclass(frozen=True)
class _Trained:
    """The generator with the weights of one step."""

    params: Any
    recognizer: Recognizer
    type_recognizer: Recognizer | None
    types: _Matcher | None

    def recognize(
        self,
        sentences: Sequence[Sentence],
        matched: Sequence[Sequence[str]] | None,
        calibration_temperature: float,
    ) -> list[Recognized]:
        with told_of_memory(f"{FOLDER}: decoding", SMALLER_DECODING):
            found = self.recognizer(self.params, sentences, matched, calibration_temperature)
        if self.types is not None:
            found = mark_shortened(found, self.types.matcher.shortened(sentences))
        return found

    def name_types(self, split: str, sentences: Sequence[Sentence]) -> Sequence[Iterable[str]] | None:
        """The types it names for each sentence (§3.4); None where it did not learn to."""
        if self.type_recognizer is None:
            return None
        what = f"{FOLDER}: types of {split}"
        with told_of_memory(what, SMALLER_DECODING), counted(what, len(sentences)):
            return [r.types for r in self.type_recognizer(self.params, sentences, None)]


def evaluate_run(config: Settings, run: Run, generator: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluates dev and test with the generator's weights of the step that its stage recorded in `generator`, on
    the tasks that it was trained on.

    Returns:
      Per split, the strict span scores (the whole reports stand in `report/{split}.json`);
      `calibration_temperature`, the one that the scores were computed at; and `fitted`, how it was found, where
      `decode.calibration_temperature` is "dev".
    """
    word_ids = setup.generator_word_ids(config, run.workdir / setup.TOKENIZERS)
    step, trained = generator["step"], _load(config, run, word_ids, generator)
    metrics = MetricsWriter(run.workdir)
    metrics.resume(FOLDER, -1)  # an interrupted evaluation starts over
    wanted = config.decode.calibration_temperature
    fitted = _fit_on_dev(config, run, trained) if wanted == DEV else None
    calibration_temperature = fitted.calibration_temperature if fitted else float(wanted)
    reference = make_reference(config, run.splits["train"], run.splits["dev"], run.schema, word_ids)
    result: dict[str, Any] = {
        "calibration_temperature": calibration_temperature,
        "fitted": fitted and fitted.to_json(),
    }
    for name in ("dev", "test"):
        sentences = run.splits[name]
        matched = read_types_if_enabled(config, run.workdir, name, sentences)
        with counted(f"{FOLDER}: {name}", len(sentences)):
            found = trained.recognize(sentences, matched, calibration_temperature)
        evaluated = Evaluated(
            split=name,
            sentences=sentences,
            found=found,
            matched=matched,
            named=trained.name_types(name, sentences),
            threshold=config.decode.threshold,
            calibration_temperature=calibration_temperature,
            fitted=fitted,
        )
        report = make_report(evaluated, reference, _detokenized(config, run, trained, evaluated))
        _write(config, run, evaluated, report)
        strict = report.scores.strict.to_json()
        metrics.write(FOLDER, step, {f"{name}_{k}": v for k, v in strict.items()})
        say(f"evaluate: {name}: strict span F1 {strict['f1']:.4f} on {len(sentences):,} sentences")
        if unread := report.coverage.describe():
            warn(f"evaluate: {name}: not all was read: {unread}")
        result[name] = strict
    return result


def make_reference(
    config: Settings, train: Sequence[Sentence], dev: Sequence[Sentence], schema: Schema, word_ids: WordIds
) -> Reference:
    """What the reports of a run compare with."""
    return Reference(train, dev, schema, word_ids, config.matcher.type_threshold_beta)


def _load(config: Settings, run: Run, word_ids: WordIds, generator: Mapping[str, Any]) -> _Trained:
    model = setup.build_generator(config, run.workdir, run.schema)
    params = setup.restore_params(
        run.workdir / GENERATOR, generator["step"], model, run.mesh, config.sharding
    )
    options, programs = decode_options(config), make_programs(model)
    recognizer = make_recognizer(Entities(word_ids, run.schema), programs, run.mesh, options)
    type_recognizer = None
    if TypeRecognition.name in generator["tasks"]:
        type_recognizer = make_recognizer(TypeRecognition(word_ids, run.schema), programs, run.mesh, options)
    return _Trained(params, recognizer, type_recognizer, _load_types(config, run))


def _load_types(config: Settings, run: Run) -> _Matcher | None:
    if not config.matcher.enabled:
        return None
    encoder, result = setup.build_matcher(config, run.workdir), stage_result(run.workdir, MATCHER)
    stage = run.workdir / MATCHER
    params = setup.restore_params(stage, result["step"], encoder, run.mesh, config.sharding)
    features = setup.matcher_features(config, run.workdir / setup.TOKENIZERS, encoder)
    matcher = TypeMatcher(encoder, features, run.mesh, config.decode.batch_size)
    return _Matcher(matcher, params, result["type_threshold"])


def _detokenized(config: Settings, run: Run, trained: _Trained, evaluated: Evaluated) -> Detokenized | None:
    """What the split's sentences give as running text."""

    def recognize(sentences: Sequence[Sentence]) -> list[Recognized]:
        matched = None if trained.types is None else trained.types(sentences, run.schema)
        with counted(f"{FOLDER}: {evaluated.split} as running text", len(sentences)):
            found = trained.recognize(sentences, matched, evaluated.calibration_temperature)
        return [r.above(evaluated.threshold) for r in found]

    return evaluate_detokenized(evaluated.sentences, recognize, reading_of(config))


def _fit_on_dev(config: Settings, run: Run, trained: _Trained) -> Fitted:
    """The calibration temperature that suits at most `eval.dev_max_sentences` of dev."""
    sentences, types = chosen_dev(config, run)
    with told_of_memory(f"{FOLDER}: decoding dev", SMALLER_DECODING):
        fitted = fit_calibration_temperature(
            # Without a look at coverage, which no temperature changes.
            lambda t: judge_found(sentences, trained.recognizer(trained.params, sentences, types, t))
        )
    found = (
        f"evaluate: calibration temperature {fitted.calibration_temperature:.3f}, "
        f"fitted on {len(sentences):,} dev sentences"
    )
    if fitted.ece_before is None:
        say(f"{found}: they have no predictions to fit it on")
    else:
        say(f"{found}: calibration error of the scores {fitted.ece_before:.4f} → {fitted.ece_after:.4f}")
    return fitted


def _write(config: Settings, run: Run, evaluated: Evaluated, report: Report) -> None:
    """A split's predictions, its report and its page."""
    name = evaluated.split
    write_predictions(run.workdir / "predictions" / f"{name}.jsonl", evaluated)
    write_atomically(run.workdir / "report" / f"{name}.json", json.dumps(report.to_json(), indent=2) + "\n")
    log = run.workdir / "metrics.jsonl"
    matching: dict[str, Any] = {}
    if evaluated.matched is not None:
        matching = {
            "similarities": read_similarities(run.workdir, name, evaluated.sentences, run.schema),
            "type_threshold": read_type_threshold(run.workdir),
        }
    page = html_report.Page(
        title=f"ToNER on {config.data.name}",
        metrics=read_metrics(log.read_text(encoding="utf-8")) if log.exists() else [],
        **matching,
    )
    html = html_report.render(report, evaluated, run.schema, page)
    write_atomically(run.workdir / "report" / f"{name}.html", html)
