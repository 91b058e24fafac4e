"""A finished run evaluated again: another split, another file, another step, other settings of decoding."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from toner_jax import config_keys
from toner_jax.common.console import counted, say, warn
from toner_jax.common.files import write_atomically
from toner_jax.data.formats.hub import check_one_split, is_saved
from toner_jax.data.formats.registry import read_path, said_format_of
from toner_jax.data.options import DataOptions
from toner_jax.data.sentences import load_sentences
from toner_jax.errors import UserError
from toner_jax.evaluation import html_report
from toner_jax.evaluation.detokenized import evaluate_detokenized
from toner_jax.evaluation.errors import error_classes
from toner_jax.evaluation.evaluated import Evaluated, write_predictions
from toner_jax.evaluation.report import make_report
from toner_jax.evaluation.scoring import strict_counts
from toner_jax.runs.chain import DATA, whole
from toner_jax.runs.evaluate import made_by_run, make_reference, page_of
from toner_jax.runs.generator import FOLDER as GENERATOR
from toner_jax.runs.loaded import Loaded
from toner_jax.runs.marker import MARKER, read_marker, stage_result
from toner_jax.runs.placement import configured_mesh
from toner_jax.runs.restore import read_model_config
from toner_jax.runs.setup import read_work_schema
from toner_jax.runs.type_sources import FROM_GOLD, FROM_MATCHER, WITHOUT, TypeSource
from toner_jax.runs.types_files import FOLDER as TYPES
from toner_jax.runs.workdir import split_path
from toner_jax.schema import Sentence
from toner_jax.tasks.recognized import Recognized, checked_score
from toner_jax.tasks.type_recognition import TypeRecognition
from toner_jax.validation import validate

Splits = Mapping[str, Sequence[Sentence]]


class Evaluation(NamedTuple):
    """What came of it.

    Attributes:
      report: as in the work directory's `report/`.
      evaluated: what was found in the sentences.
    """

    report: dict[str, Any]
    evaluated: Evaluated

    def write(self, folder: Path, workdir: Path, ner: Loaded) -> None:
        """Writes `predictions.jsonl`, `report.json` and `report.html` of the models of a work directory."""
        write_predictions(folder / "predictions.jsonl", self.evaluated)
        write_atomically(folder / "report.json", json.dumps(self.report, indent=2) + "\n")
        page = page_of(workdir, ner.config.data.name)
        html = html_report.render(self.report, self.evaluated, ner.schema, page)
        write_atomically(folder / "report.html", html)


def changed_config(folder: Path, changes: Sequence[tuple[str, str]]) -> ConfigDict:
    """The configuration of a run, or of a model that was saved, with changed keys, each said.

    Args:
      changes: keys and their values as on a command line.

    Raises:
      UserError: no model, a key that training has fixed, or a value that is refused.
    """
    config = read_model_config(folder)
    for key, value in changes:
        old = config_keys.get(config, key)
        config_keys.override(config, key, value)
        say(f"{key}: {old} in training, {config_keys.get(config, key)} here")
    validate(config)
    if any(key.startswith("mesh.") for key, _ in changes):
        configured_mesh(config)  # raises what is wrong with it
    return config


def read_splits(workdir: Path, split: str) -> dict[str, Sequence[Sentence]]:
    """A split as the run has read it, and train and dev, which the baselines in its report are made of.

    Raises:
      UserError: a file of them is missing or damaged.
    """
    whole(workdir, DATA)
    names = dict.fromkeys(("train", "dev", split))
    return {name: load_sentences(split_path(workdir, name)) for name in names}


def read_input(workdir: Path, config: ConfigDict, path: Path, format: str = "") -> Sequence[Sentence]:
    """The sentences of another file or folder, in the run's schema; its repairs are said.

    Args:
      format: a value of `data.format`; "" for the run's own. "auto" looks at the file, and what it finds is
        said.

    Raises:
      UserError: a format that is unknown, cannot be told or reads no single file, a saved data set of several
        splits, or a malformed file.
    """
    if is_saved(path):
        check_one_split(path)
    found = said_format_of(path, format or config.data.format)
    options = DataOptions.from_section(config.data)
    read = read_path(path, found, read_work_schema(workdir), "input", options)
    for reason, count in read.repairs.items():
        say(f"{path.name}: repaired {count} {reason} (the first: {read.repairs.places(reason)[0]})")
    if unreachable := sum(len(s.unreachable) for s in read.sentences):
        entities = sum(len(s.gold) for s in read.sentences)
        say(
            f"{path.name}: {unreachable:,} of {entities:,} entities are unreachable: they begin or end inside words"
        )
    return read.sentences


def say_choices(workdir: Path, ner: Loaded, type_threshold: float | None) -> None:
    """Says where the step and δ are not those that the run has chosen."""
    marker = read_marker(workdir / GENERATOR / MARKER)
    chosen = marker.result.get("step") if marker else None
    if ner.step != chosen:
        say(f"generator step: {chosen or 'none yet'} was chosen on dev, {ner.step} here")
    if type_threshold is not None and ner.config.matcher.enabled:
        trained = stage_result(workdir, TYPES)["type_threshold"]
        say(f"δ: {trained:.4f} in training, {type_threshold} here")


def made_by(
    workdir: Path, ner: Loaded, type_threshold: float | None, types: TypeSource = FROM_MATCHER
) -> dict[str, Any]:
    """What stands behind an evaluation of a run's models at δ = `type_threshold`; None for theirs."""
    made = made_by_run(ner.config, workdir, type_threshold)
    made.pop("types_from", None)
    if types is not FROM_MATCHER:
        made["types_from"] = types.name
    made["selected"][GENERATOR]["step_here"] = ner.step
    return {**made, "mixed": list(ner.mixed)} if ner.mixed else made


def evaluate(
    ner: Loaded,
    splits: Splits,
    name: str,
    threshold: float | None = None,
    type_threshold: float | None = None,
    made_by: Mapping[str, Any] | None = None,
    types: TypeSource = FROM_MATCHER,
) -> Evaluation:
    """Evaluates one of the splits.

    Args:
      made_by: as a `Report` has it.
      threshold: the least score of the entities that count; None for the run's `decode.threshold`.
      type_threshold: δ of T′; None for the run's.
      types: where T′ comes from. What sentences are as running text is told with the matcher's alone.

    Raises:
      UserError: a threshold that is no probability, or a type_threshold that is no cosine.
    """
    config, sentences = ner.config, splits[name]
    with counted(name, len(sentences)):
        found, matched = ner.recognize(sentences, type_threshold=type_threshold, types=types)
    evaluated = Evaluated(
        name,
        sentences,
        found,
        matched,
        named=_named_types(ner, name, sentences),
        threshold=config.decode.threshold if threshold is None else checked_score(threshold),
        calibration_temperature=ner.calibration_temperature,
    )

    def recognize(sentences: Sequence[Sentence]) -> Sequence[Recognized]:
        with counted(f"{name} as running text", len(sentences)):
            found, _ = ner.recognize(sentences, type_threshold=type_threshold, types=types)
        return [r.above(evaluated.threshold) for r in found]

    reference = make_reference(config, splits["train"], splits["dev"], ner.schema, ner.word_ids)
    detokenized = evaluate_detokenized(sentences, recognize, ner.reading) if types is FROM_MATCHER else None
    report = make_report(evaluated, reference, detokenized, made_by)
    if unread := report.coverage.describe():
        warn(f"{name}: not all was read: {unread}")
    return Evaluation(report.to_json(), evaluated)


def _named_types(ner: Loaded, name: str, sentences: Sequence[Sentence]) -> Sequence[Iterable[str]] | None:
    """The types that the generator names for each sentence; None where it did not learn to."""
    if TypeRecognition.name not in ner.tasks:
        return None
    with counted(f"types of {name}", len(sentences)):
        return ner.name_types(sentences)


def attribution(
    ner: Loaded, evaluated: Evaluated, types: TypeSource, type_threshold: float | None
) -> dict[str, Any]:
    """Whose errors they are: what is found with the matcher's T′, with the types that do occur, and without T′.

    Args:
      evaluated: what was found with T′ of `types`, which is not looked for again.
      type_threshold: δ of T′; None for the run's.

    Returns:
      By source of T′, strict scores and the errors by kind. What gold types mend are the matcher's errors; what stays
      are the generator's.

    Raises:
      UserError: the run has no type matching model.
    """
    if not ner.config.matcher.enabled:
        raise UserError(
            "trained with matcher.enabled=False: its prompts have no T′ whose errors could be told"
        )
    sentences, rows = evaluated.sentences, {}
    for source in (FROM_MATCHER, FROM_GOLD, WITHOUT):
        again = evaluated
        if source is not types:
            with counted(f"{evaluated.split}, T′ from {source.name}", len(sentences)):
                found, _ = ner.recognize(sentences, type_threshold=type_threshold, types=source)
            again = replace(evaluated, found=found)
        predicted = [r.entities for r in again.counted]
        counts, errors = strict_counts(sentences, predicted), error_classes(sentences, predicted)
        rows[source.name] = {**counts.to_json(), "errors": errors}
    return rows
