"""The evaluation stage: predictions and reports of dev and test with the chosen weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from toner_jax.common.console import counted, say, warn
from toner_jax.common.files import write_atomically
from toner_jax.common.memory import told_of_memory
from toner_jax.config import DEV
from toner_jax.config_keys import flat
from toner_jax.evaluation.calibration_temperature import Fitted, fit_calibration_temperature
from toner_jax.evaluation.detokenized import Detokenized, evaluate_detokenized
from toner_jax.evaluation.evaluated import Evaluated, judge_found, write_predictions
from toner_jax.evaluation.report import Reference, Report, make_report
from toner_jax.inference.recognize import Recognizer, mark_shortened
from toner_jax.parallel.processes import is_first
from toner_jax.runs import config_files, setup
from toner_jax.runs.cross_fitting import FOLDER as FOLDS
from toner_jax.runs.cross_fitting import read_suspects
from toner_jax.runs.environment import read_starts
from toner_jax.runs.generator import FOLDER as GENERATOR
from toner_jax.runs.generator import chosen_dev
from toner_jax.runs.marker import MARKER, read_marker, stage_result
from toner_jax.runs.matcher import FOLDER as MATCHER
from toner_jax.runs.matcher import RestoredMatcher, restore_matcher
from toner_jax.runs.options import SMALLER_DECODING, writing
from toner_jax.runs.recognizers import decode_options, make_programs, make_recognizer, reading_of
from toner_jax.runs.stage import Run, has
from toner_jax.runs.type_sources import MATCHER as MATCHER_SOURCE
from toner_jax.runs.type_sources import from_source
from toner_jax.runs.types_files import FOLDER as TYPES
from toner_jax.runs.types_files import Matched, evaluation_path, write_types
from toner_jax.runs.view import Reads, Settings
from toner_jax.schema import Schema, Sentence
from toner_jax.tasks.recognized import Recognized
from toner_jax.tasks.registry import make_task
from toner_jax.tasks.type_recognition import TypeRecognition
from toner_jax.text.ids import WordIds
from toner_jax.training.metrics import LOG, MetricsWriter, logged_digest, read_metrics

if TYPE_CHECKING:
    from toner_jax.evaluation import html_report

FOLDER = "evaluate"
SPLITS = ("dev", "test")  # those that it evaluates

READS = Reads(
    result=(
        "dtype", "text", "decode", "data.edges", "data.language", "data.split_sentences",
        "types.evaluation", "types.top_k",
        "eval.dev_max_sentences",  # on how many a calibration temperature is fitted
    ),
    earlier=(
        "tokenizer.ids", "matcher.enabled", "matcher.type_threshold_beta", "types.training",
        "generator.prompts", "generator.unique_pairs",  # how prompts and targets are written
        "generator.dropout", "matcher.dropout",  # of the models, which are only run forward here
        "seed",  # which sentences a calibration temperature is fitted on; T′ at random
    ),
    manner=(
        "tokenizer.backend",  # the ids are the same
        "decode.batch_size",  # sentences decoded at a time: their scores are the same up to rounding
        "decode.weights",  # where they live while sentences are decoded: the same
        "sharding",  # where the parameters live: the same sums, up to rounding
        "data.name",  # the title of the pages, and which table of the paper stands beside the figures
    ),
)  # fmt: skip


class _Types(NamedTuple):
    """Where T′ comes from: the type matching model, and δ and the most types of evaluation."""

    restored: RestoredMatcher
    type_threshold: float
    top_k: int

    def __call__(self, sentences: Sequence[Sentence], schema: Schema) -> Matched:
        with told_of_memory(f"{FOLDER}: type matching", SMALLER_DECODING):
            return self.restored.match(sentences, schema, self.type_threshold, self.top_k)


@dataclass(frozen=True)
class _Trained:
    """The generator with the weights of one step."""

    params: Any
    recognizer: Recognizer
    type_recognizer: Recognizer | None
    types: _Types | None

    def match(self, sentences: Sequence[Sentence], schema: Schema) -> Matched | None:
        """T′ of each; None without type matching."""
        return None if self.types is None else self.types(sentences, schema)

    def recognize(
        self,
        sentences: Sequence[Sentence],
        matched: Sequence[Sequence[str]] | None,
        calibration_temperature: float,
    ) -> list[Recognized]:
        with told_of_memory(f"{FOLDER}: decoding", SMALLER_DECODING):
            found = self.recognizer(self.params, sentences, matched, calibration_temperature)
        if self.types is not None:
            found = mark_shortened(found, self.types.restored.matcher.shortened(sentences))
        return found

    def name_types(self, split: str, sentences: Sequence[Sentence]) -> Sequence[Iterable[str]] | None:
        """The types it names for each sentence (§3.4); None where it did not learn to."""
        if self.type_recognizer is None:
            return None
        what = f"{FOLDER}: types of {split}"
        with told_of_memory(what, SMALLER_DECODING), counted(what, len(sentences)):
            return [r.types for r in self.type_recognizer(self.params, sentences, None)]

    def evaluate(
        self,
        split: str,
        sentences: Sequence[Sentence],
        matched: Matched | None,
        calibration_temperature: float,
    ) -> Evaluated:
        """What is found in a split's sentences, of whatever score."""
        types = _types_of(matched)
        with counted(f"{FOLDER}: {split}", len(sentences)):
            found = self.recognize(sentences, types, calibration_temperature)
        return Evaluated(
            split=split,
            sentences=sentences,
            found=found,
            matched=types,
            named=self.name_types(split, sentences),
            calibration_temperature=calibration_temperature,
        )


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
    own = flat(config_files.load(run.workdir / config_files.CONFIG))
    metrics.write_hyperparameters(FOLDER, own, [f"{name}_f1" for name in SPLITS])
    wanted = config.decode.calibration_temperature
    _check_log(run.workdir)
    matched = {name: _match(config, run, trained, name) for name in SPLITS}
    fitted = _fit_on_dev(config, run, trained, matched["dev"]) if wanted == DEV else None
    calibration_temperature = fitted.calibration_temperature if fitted else float(wanted)
    reference = make_reference(config, run.splits["train"], run.splits["dev"], run.schema, word_ids)
    result: dict[str, Any] = {
        "calibration_temperature": calibration_temperature,
        "fitted": fitted and fitted.to_json(),
    }
    made_by = made_by_run(config, run.workdir)
    for name in SPLITS:
        evaluated = replace(
            trained.evaluate(name, run.splits[name], matched[name], calibration_temperature),
            threshold=config.decode.threshold,
            fitted=fitted,
        )
        detokenized = _detokenized(config, run, trained, evaluated)
        if not is_first():
            continue  # it has helped to decode
        report = make_report(evaluated, reference, detokenized, made_by)
        _write(config, run, evaluated, report, matched[name])
        strict = report.scores.strict.to_json()
        metrics.write(FOLDER, step, {f"{name}_{k}": v for k, v in strict.items()})
        say(f"evaluate: {name}: strict span F1 {strict['f1']:.4f} on {len(run.splits[name]):,} sentences")
        if unread := report.coverage.describe():
            warn(f"evaluate: {name}: not all was read: {unread}")
        result[name] = strict
    return result


def make_reference(
    config: Settings, train: Sequence[Sentence], dev: Sequence[Sentence], schema: Schema, word_ids: WordIds
) -> Reference:
    """What the reports of a run compare with."""
    beta, unique = config.matcher.type_threshold_beta, config.generator.unique_pairs
    return Reference(train, dev, schema, word_ids, beta, config.data.name, unique)


def _load(config: Settings, run: Run, word_ids: WordIds, generator: Mapping[str, Any]) -> _Trained:
    model = setup.build_generator(config, run.workdir, run.schema, run.mesh)
    params = setup.restore_params(
        run.workdir / GENERATOR, generator["step"], model, run.mesh, config.sharding
    )
    options, programs = decode_options(config), make_programs(model, run.mesh)
    tasks = {name: make_task(name, word_ids, run.schema, writing(config)) for name in generator["tasks"]}
    main = tasks[generator["tasks"][0]]
    recognizer = make_recognizer(main, programs, run.mesh, options, explain=config.decode.explain)
    type_recognizer = None
    if TypeRecognition.name in tasks:
        type_recognizer = make_recognizer(tasks[TypeRecognition.name], programs, run.mesh, options)
    return _Trained(params, recognizer, type_recognizer, _load_types(config, run))


def _load_types(config: Settings, run: Run) -> _Types | None:
    if not config.matcher.enabled:
        return None
    delta = type_threshold(config, run.workdir)
    return _Types(restore_matcher(config, run, config.decode.batch_size), delta, config.types.top_k)


def type_threshold(config: Settings, workdir: Path) -> float:
    """δ of evaluation: `decode.type_threshold`, or that of training."""
    own = config.decode.type_threshold
    return float(stage_result(workdir, TYPES)["type_threshold"] if own == "" else own)


def _match(config: Settings, run: Run, trained: _Trained, split: str) -> Matched | None:
    """T′ of a split from its source, beside the matcher's cosines; None where prompts are to have none."""
    sentences = run.splits[split]
    own = trained.match(sentences, run.schema)
    if own is None:
        return None
    return from_source(config.types.evaluation, split, sentences, own, run.schema, config.seed)


def _detokenized(config: Settings, run: Run, trained: _Trained, evaluated: Evaluated) -> Detokenized | None:
    """What the split's sentences give as running text; None where T′ of such is not to be had."""
    if config.types.evaluation != MATCHER_SOURCE:
        return None

    def recognize(sentences: Sequence[Sentence]) -> list[Recognized]:
        types = _types_of(trained.match(sentences, run.schema))
        with counted(f"{FOLDER}: {evaluated.split} as running text", len(sentences)):
            found = trained.recognize(sentences, types, evaluated.calibration_temperature)
        return [r.above(evaluated.threshold) for r in found]

    return evaluate_detokenized(evaluated.sentences, recognize, reading_of(config))


def _check_log(workdir: Path) -> None:
    """The curves of training are drawn from its log, which nothing else depends on."""
    for stage in (MATCHER, GENERATOR):
        marker = read_marker(workdir / stage / MARKER)
        if marker and marker.complete and marker.logged != logged_digest(workdir, stage):
            warn(
                f"{workdir / LOG}: other lines of {stage} than were written; its curves in the report may be wrong"
            )


def _types_of(matched: Matched | None) -> Sequence[tuple[str, ...]] | None:
    return None if matched is None else matched.types


def made_by_run(config: Settings, workdir: Path, here: float | None = None) -> dict[str, Any]:
    """What a report says of the models behind it: the steps that were chosen, each with what it was selected under,
    and δ, in training and `here`; None: that of the configuration."""
    stages = [MATCHER, GENERATOR] if config.matcher.enabled else [GENERATOR]
    markers = {stage: read_marker(workdir / stage / MARKER) for stage in stages}
    made: dict[str, Any] = {
        "selected": {
            stage: {"step": marker.result.get("step"), "under": dict(marker.selection)}
            for stage, marker in markers.items()
            if marker
        }
    }
    if config.matcher.enabled:
        trained = stage_result(workdir, TYPES)["type_threshold"]
        here = type_threshold(config, workdir) if here is None else here
        made["type_threshold"] = {"training": trained, "here": here}
        if (source := config.types.evaluation) != MATCHER_SOURCE:
            made["types_from"] = source
    return made


def _fit_on_dev(config: Settings, run: Run, trained: _Trained, matched: Matched | None) -> Fitted:
    """The calibration temperature that suits at most `eval.dev_max_sentences` of dev."""
    sentences, types = chosen_dev(config, run.splits["dev"], _types_of(matched))
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


def _write(config: Settings, run: Run, evaluated: Evaluated, report: Report, matched: Matched | None) -> None:
    """A split's T′, its predictions, its report and its page."""
    name = evaluated.split
    write_predictions(run.workdir / "predictions" / f"{name}.jsonl", evaluated)
    figures = report.to_json()
    write_atomically(run.workdir / "report" / f"{name}.json", json.dumps(figures, indent=2) + "\n")
    matching: dict[str, Any] = {}
    if matched is not None:
        write_types(evaluation_path(run.workdir, name), evaluated.sentences, matched, run.schema)
        matching = {
            "similarities": matched.similarities,
            "type_threshold": type_threshold(config, run.workdir),
        }
    page = replace(
        page_of(run.workdir, config.data.name),
        suspects=read_suspects(run.workdir) if has(config, FOLDS) else (),
        others=[other for other in SPLITS if other != name],
        **matching,
    )
    from toner_jax.evaluation import html_report  # takes a while to import

    html = html_report.render(figures, evaluated, run.schema, page)
    write_atomically(run.workdir / "report" / f"{name}.html", html)


def page_of(workdir: Path, dataset: str) -> html_report.Page:
    """What a page shows of a run, whatever is evaluated."""
    from toner_jax.evaluation import html_report

    log = workdir / LOG
    return html_report.Page(
        title=f"ToNER on {dataset}",
        metrics=read_metrics(log.read_text(encoding="utf-8")) if log.exists() else [],
        starts=read_starts(workdir),
    )
