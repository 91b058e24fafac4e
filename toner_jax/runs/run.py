"""A run: its data, its work directory, and its stages in order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax.common.files import write_atomically
from toner_jax.config import DEV, copied
from toner_jax.data.dataset import Dataset
from toner_jax.data.sentences import dump_sentences
from toner_jax.errors import ParameterError, UserError
from toner_jax.parallel import processes
from toner_jax.runs import (
    cross_fitting,
    evaluate,
    generator,
    matched_types,
    matcher,
    parts,
    setup,
    types_files,
)
from toner_jax.runs.chain import DATA, SETUP
from toner_jax.runs.checks import Planned, check_training
from toner_jax.runs.config_files import CONFIG, check_format, save
from toner_jax.runs.environment import environment, record_start
from toner_jax.runs.explanations import read_train_explanations
from toner_jax.runs.fingerprint import data_digest
from toner_jax.runs.marker import digest_of
from toner_jax.runs.placement import training_mesh
from toner_jax.runs.read_data import SPLITS, read_data
from toner_jax.runs.refusal import Refusal, Refused
from toner_jax.runs.spread import send
from toner_jax.runs.stage import PlannedStage, Run, Stage, has
from toner_jax.runs.type_sources import source_digests
from toner_jax.runs.view import Reads, View, covers
from toner_jax.runs.workdir import (
    check_shared,
    check_writable,
    locked,
    prepare_workdir,
    remove_leftovers,
    remove_scratch,
    scratch,
    split_path,
)
from toner_jax.validation import validate

_GENERATOR_PARTS = (*parts.model_parts("generator"), types_files.FOLDER)
_TYPES_PARTS = (*parts.model_parts("matcher"), matcher.FOLDER)

_EXPLANATIONS = "explanations"  # an input of runs that train with some

# The stages in their order, each with what its result depends on: keys of the configuration, digests of splits
# (`input_digests`), earlier stages and what these made.
STAGES = (
    Stage(DATA, Reads(result=()), ("train text", "dev text", "test text"), (DATA,)),
    Stage(SETUP, setup.READS, ("train", _EXPLANATIONS), (setup.SCHEMA, setup.MODELS, setup.TOKENIZERS)),
    Stage(
        matcher.FOLDER, matcher.READS, ("train",), (matcher.FOLDER,),
        selects=("dev",), parts=parts.model_parts("matcher"),
    ),
    Stage(
        cross_fitting.FOLDER, cross_fitting.READS, ("train", "train ids"), (cross_fitting.FOLDER,),
        own=("train ids",), selects=("dev",), parts=parts.model_parts("matcher"),
    ),
    # No label of test is read before the evaluation, nor any word of it.
    Stage(
        types_files.FOLDER,
        matched_types.READS,
        (
            "train words", "train ids", "dev words", "dev ids", "dev for δ", "train for T′", "dev for T′",
            "matcher", cross_fitting.FOLDER,
        ),
        (types_files.FOLDER,),
        own=("train ids", "dev words", "dev ids", "dev for T′", "types.evaluation"),
        parts=(*_TYPES_PARTS, cross_fitting.FOLDER),
    ),
    Stage(
        generator.FOLDER, generator.READS, ("train", "types", _EXPLANATIONS), (generator.FOLDER,),
        selects=("dev",), parts=_GENERATOR_PARTS,
    ),
    Stage(
        evaluate.FOLDER,
        evaluate.READS,
        ("train", "dev text", "test text", "dev for T′", "test for T′", "matcher", "types", "generator"),
        (evaluate.FOLDER, "predictions", "report"),
        parts=tuple(dict.fromkeys((*_TYPES_PARTS, *_GENERATOR_PARTS, generator.FOLDER))),
    ),
)  # fmt: skip

# Those that hold checkpoints.
TRAINED = (matcher.FOLDER, generator.FOLDER)
# Those that belong to the matcher's.
_OF_MATCHER = (cross_fitting.FOLDER, types_files.FOLDER)


@dataclass(frozen=True)
class Ready:
    """A run that may begin, as far as can be told without training.

    Attributes:
      workdir: where it is to be.
      config: with `data.edges` as the data have it.
      dataset, mesh: what it works on.
      stages: those that `config.stages` names.
      actions: what each would do, as `PlannedStage.check` says it.
      prepared: a folder with all that the setup stage makes.
      explanations: as a `Run` has them.
    """

    workdir: Path
    config: ConfigDict
    dataset: Dataset
    mesh: Mesh
    stages: Mapping[str, PlannedStage]
    actions: Mapping[str, str]
    prepared: Path
    explanations: Mapping[str, str] | None


@contextmanager
def ready(config: ConfigDict, workdir: Path, restart: Collection[str] = ()) -> Iterator[Ready]:
    """Finds out whether a run may begin; nothing is written into the work directory.

    Args:
      restart: the stages that may be trained anew.

    Raises:
      UserError: bad settings or data, or a work directory that holds something else.
    """
    validate(config)
    _check_restart(restart)
    processes.on_first(lambda: _check_workdir(workdir))
    remove_scratch()
    dataset = read_data(config)
    config = copied(config)
    config.data.edges = dataset.edges  # `predict` will read text as training did
    explaining = _by_name(generator.FOLDER).view(config)
    explanations = read_train_explanations(explaining, dataset.splits["train"], dataset.schema)
    planned_stages = plan_stages(config, dataset, workdir, explanations)
    stages = {name: stage for name, stage in planned_stages.items() if _is_named(config, name)}
    # What this start does not name stays usable, with the settings that the folder will have.
    kept = [name for name in TRAINED if name in planned_stages and name not in (*stages, *restart)]

    def decide() -> dict[str, str]:
        actions = _actions(stages, workdir, restart)
        for name in kept:
            planned_stages[name].check_settings(workdir)
        return actions

    actions = processes.on_first(decide)
    with ExitStack() as folders:
        there = workdir if actions[SETUP] == "skip" else None
        prepared = there if there and processes.is_first() else folders.enter_context(scratch())
        if there is None:
            processes.on_first(lambda: _prepare(config, prepared, dataset, explanations))
        send(prepared, (setup.SCHEMA, setup.MODELS, setup.TOKENIZERS))
        mesh = training_mesh(config, prepared)
        planned = Planned(prepared, dataset.splits, dataset.schema, mesh, explanations)
        todo = [name for name, action in actions.items() if action != "skip"]
        processes.on_first(lambda: check_training(config, planned, todo))
        yield Ready(workdir, config, dataset, mesh, stages, actions, prepared, explanations)


def _prepare(
    config: ConfigDict, folder: Path, dataset: Dataset, explanations: Mapping[str, str] | None
) -> None:
    texts = None if explanations is None else list(explanations.values())
    setup.prepare(_by_name(SETUP).view(config), folder, dataset.splits["train"], dataset.schema, texts)


def _check_workdir(workdir: Path) -> None:
    check_writable(workdir)
    check_format(workdir)


def execute(config: ConfigDict, workdir: Path, restart: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Runs the stages that `config.stages` names and that are not done yet.

    Args:
      restart: the trained stages that may be trained anew, where their settings or data have changed or their files
        are damaged; what they held is given up.

    Returns:
      Each stage's result, by name.

    Raises:
      UserError: bad settings or data, or a work directory that holds something else.
    """
    with ready(config, workdir, restart) as r, ExitStack() as held:
        made_with = environment(r.mesh)

        def begin() -> None:
            prepare_workdir(workdir)
            held.enter_context(locked(workdir))
            if _actions(r.stages, workdir, restart) != r.actions:
                raise UserError(
                    f"{workdir}: another run has changed it just now; start the same command again"
                )
            remove_leftovers(workdir)
            save(r.config, workdir / CONFIG)
            record_start(workdir, made_with)

        processes.wait_for_all("ready")  # none reads what the first begins to change
        processes.on_first(begin)
        seen = workdir
        if processes.share_files():
            check_shared(workdir, CONFIG)
        elif not processes.is_first():
            seen = held.enter_context(scratch())
        run = Run(seen, r.dataset.splits, r.dataset.schema, r.mesh, r.explanations)
        return _execute_stages(r, run, restart, made_with)


def _execute_stages(
    ready: Ready, run: Run, restart: Collection[str], made_with: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    results: dict[str, dict[str, Any]] = {}
    work: dict[str, Callable[[View], Mapping[str, Any]]] = {
        DATA: lambda _: processes.on_first(lambda: _write_data(run)),
        SETUP: lambda _: processes.on_first(lambda: dict(setup.install(ready.prepared, run.workdir))),
        "matcher": lambda view: matcher.train_matcher(view, run),
        "folds": lambda view: cross_fitting.cross_fit(view, run),
        "types": lambda view: matched_types.write_training_types(view, run),
        "generator": lambda view: generator.train_generator(view, run),
        "evaluate": lambda view: evaluate.evaluate_run(view, run, results["generator"]),
    }
    for stage in STAGES:
        if stage.name in ready.stages:
            do, view = work[stage.name], stage.view(ready.config)
            results[stage.name] = ready.stages[stage.name].run(
                run.workdir, partial(do, view), restart, made_with
            )
    return results


def _by_name(name: str) -> Stage:
    return next(stage for stage in STAGES if stage.name == name)


def _write_data(run: Run) -> dict[str, Any]:
    for name, sentences in run.splits.items():
        write_atomically(split_path(run.workdir, name), dump_sentences(sentences))
    return {}


def input_digests(config: ConfigDict, dataset: Dataset) -> dict[str, str]:
    """Digests of what stages read of the splits."""
    schema, splits = dataset.schema, dataset.splits
    # All that is kept of a sentence: its text, offsets and document too, which predictions and reports show.
    digests = {f"{name} text": digest_of([schema.to_json(), dump_sentences(splits[name])]) for name in SPLITS}
    for name in ("train", "dev"):  # test is only ever evaluated
        digests[name] = data_digest(splits[name], schema)
        digests[f"{name} words"] = data_digest(splits[name], schema, labels=False)
        digests[f"{name} ids"] = digest_of([s.id for s in splits[name]])
    if config.matcher.type_threshold == DEV:
        digests["dev for δ"] = digests["dev"]
    return {**digests, **source_digests(config, digests)}


def plan_stages(
    config: ConfigDict,
    dataset: Dataset,
    workdir: Path | None = None,
    explanations: Mapping[str, str] | None = None,
) -> dict[str, PlannedStage]:
    """All stages that a run can have, each with everything its result depends on.

    Args:
      workdir: where the run is, or may be: a stage that is there already, under the same settings, keeps the
        fingerprint that it was made under.
      explanations: as a `Run` has them.
    """
    digests = input_digests(config, dataset)
    if explanations is not None:
        digests[_EXPLANATIONS] = digest_of(dict(explanations))
    planned: dict[str, PlannedStage] = {}
    for stage in STAGES:
        if has(config, stage.name):
            planned[stage.name] = stage.plan(config, digests)
            digests[stage.name] = planned[stage.name].digest(workdir)
    return planned


def _is_named(config: ConfigDict, stage: str) -> bool:
    """Whether a start does a stage: one that `config.stages` names, or that belongs to these."""
    return stage in (DATA, SETUP, *config.stages) or (
        stage in _OF_MATCHER and matcher.FOLDER in config.stages
    )


def changed_by(key: str) -> dict[str, str]:
    """What another value of a key means to each stage of a finished run that it means something to.

    Args:
      key: of the configuration, dotted. What a key of `data` brings is told from the data that are read under it.

    Returns:
      Stage → "result": it is made anew; or "selection": its step stays as it was chosen.
    """
    found: dict[str, str] = {}
    for stage in STAGES:
        reads = stage.reads
        if any(
            found.get(earlier) == "result" and key not in _by_name(earlier).own for earlier in _stages(stage)
        ) or (covers(reads.result, key) and not covers((*reads.manner, *reads.selection), key)):
            found[stage.name] = "result"
        elif covers(reads.selection, key):
            found[stage.name] = "selection"
    return found


def _stages(stage: Stage) -> list[str]:
    """The earlier stages that a stage's result depends on."""
    return [other.name for other in STAGES if other.name in stage.inputs]


def _actions(stages: Mapping[str, PlannedStage], workdir: Path, restart: Collection[str]) -> dict[str, str]:
    """What each stage would do, in their order; all that stand in the way are told at once."""
    actions: dict[str, str] = {}
    refusals: list[Refusal] = []
    for name, stage in stages.items():
        pending = [earlier for earlier, action in actions.items() if action != "skip"]
        try:
            actions[name] = stage.check(workdir, restart, pending=pending)
        except Refused as error:
            actions[name] = "refused"
            refusals += error.refusals
    if refusals:
        raise Refused(refusals)
    return actions


def _check_restart(restart: Collection[str]) -> None:
    for name in restart:
        if name not in TRAINED:
            raise ParameterError("restart", name, f"name stages that are trained: {', '.join(TRAINED)}")
