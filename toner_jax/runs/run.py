"""A run: its data, its work directory, and its stages in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax.common.console import say, warn
from toner_jax.common.files import write_atomically
from toner_jax.data.dataset import Dataset
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.data.sentences import dump_sentences
from toner_jax.errors import UserError
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs import evaluate, generator, matcher, setup
from toner_jax.runs.checks import Planned, check_training
from toner_jax.runs.config_files import CONFIG, check_format, save
from toner_jax.runs.stage import PlannedStage, Run, Stage, data_digest, fingerprint_digest
from toner_jax.runs.view import View
from toner_jax.runs.workdir import check_writable, locked, prepare_workdir, split_path
from toner_jax.validation import validate

SPLITS = ("train", "dev", "test")

# The stages in their order, each with what its result depends on: keys of the configuration, splits, earlier stages.
STAGES = (
    Stage("setup", setup.READS, ("train",), (setup.SCHEMA, setup.MODELS, setup.TOKENIZERS)),
    # Test sentences get their T′ from the matcher; their labels are not read.
    Stage(matcher.FOLDER, matcher.READS, ("train", "dev", "test words"), (matcher.FOLDER,)),
    Stage(generator.FOLDER, generator.READS, ("train", "dev", "matcher"), (generator.FOLDER,)),
    Stage(
        evaluate.FOLDER,
        evaluate.READS,
        ("train", "dev", "matcher", "generator", "test"),
        (evaluate.FOLDER, "predictions", "report"),
    ),
)


@dataclass(frozen=True)
class Ready:
    """A run that may begin, as far as can be told without training.

    Attributes:
      config: with `data.edges` as the data have it.
      dataset, mesh: what it works on.
      stages: those that `config.stages` names.
      actions: what each would do, as `PlannedStage.check` says it.
      prepared: a folder with all that the setup stage makes.
    """

    config: ConfigDict
    dataset: Dataset
    mesh: Mesh
    stages: Mapping[str, PlannedStage]
    actions: Mapping[str, str]
    prepared: Path


@contextmanager
def ready(config: ConfigDict, workdir: Path, restart: bool = False) -> Iterator[Ready]:
    """Finds out whether a run may begin; nothing is written into the work directory.

    Raises:
      UserError: bad settings or data, or a work directory that holds something else.
    """
    validate(config)
    check_writable(workdir)
    check_format(workdir)
    dataset = read_data(config)
    config = config.copy_and_resolve_references()
    config.data.edges = dataset.edges  # `predict` will read text as training did
    mesh = make_mesh(config.mesh.data, config.mesh.fsdp, config.mesh.tensor)
    stages = plan_stages(config, dataset)
    actions = {name: stage.check(workdir, restart) for name, stage in stages.items()}
    with ExitStack() as folders:
        prepared = workdir
        if actions["setup"] != "skip":
            prepared = Path(folders.enter_context(TemporaryDirectory()))
            setup.prepare(STAGES[0].view(config), prepared, dataset.splits["train"], dataset.schema)
        planned = Planned(prepared, dataset.splits, dataset.schema, mesh)
        check_training(config, planned, [name for name, action in actions.items() if action != "skip"])
        yield Ready(config, dataset, mesh, stages, actions, prepared)


def execute(config: ConfigDict, workdir: Path, restart: bool = False) -> dict[str, dict[str, Any]]:
    """Runs the stages that `config.stages` names and that are not done yet.

    Returns:
      Each stage's result, by name.

    Raises:
      UserError: bad settings or data, or a work directory that holds something else.
    """
    with ready(config, workdir, restart) as r:
        prepare_workdir(workdir)
        with locked(workdir):
            for name, stage in r.stages.items():
                if stage.check(workdir, restart) != r.actions[name]:
                    raise UserError(
                        f"{workdir}: another run has changed it just now; start the same command again"
                    )
            save(r.config, workdir / CONFIG)
            for name, sentences in r.dataset.splits.items():
                write_atomically(split_path(workdir, name), dump_sentences(sentences))
            return _execute_stages(r, Run(workdir, r.dataset.splits, r.dataset.schema, r.mesh), restart)


def _execute_stages(ready: Ready, run: Run, restart: bool) -> dict[str, dict[str, Any]]:
    results: dict[str, dict[str, Any]] = {}
    work: dict[str, Callable[[View], Mapping[str, Any]]] = {
        "setup": lambda view: setup.install(ready.prepared, run.workdir),
        "matcher": lambda view: matcher.train_matcher(view, run),
        "generator": lambda view: generator.train_generator(view, run),
        "evaluate": lambda view: evaluate.evaluate_run(view, run, results["generator"]),
    }
    for stage in STAGES:
        if stage.name in ready.stages:
            do, view = work[stage.name], stage.view(ready.config)
            results[stage.name] = ready.stages[stage.name].run(run.workdir, partial(do, view), restart)
    return results


def read_data(config: ConfigDict) -> Dataset:
    """The three splits, with what was repaired said aloud.

    Raises:
      UserError: missing or malformed data, or a split without sentences.
    """
    dataset = load_dataset(DataOptions.from_section(config.data), SPLITS)
    bare = [t.name for t in dataset.schema.types if not t.description]
    if bare and config.matcher.enabled:
        warn(
            f"types without a description: {', '.join(bare)}; describe them in data.schema, the matcher reads it"
        )
    for name in SPLITS:
        sentences = dataset.splits[name]
        if not sentences:
            raise UserError(f"the {name} split has no sentences")
        entities = sum(len(s.gold) for s in sentences)
        unreachable = sum(len(s.unreachable) for s in sentences)
        repaired = ", ".join(f"{count} {kind}" for kind, count in dataset.repairs[name].items())
        note = f" (repaired: {repaired})" if repaired else ""
        lost = f", {unreachable:,} of them unreachable" if unreachable else ""
        say(f"{name}: {len(sentences):,} sentences, {entities:,} entities{lost}{note}")
    for line in dataset.notes:
        say(line)
    return dataset


def plan_stages(config: ConfigDict, dataset: Dataset) -> dict[str, PlannedStage]:
    """The stages that `config.stages` names, each with everything its result depends on."""
    schema, splits = dataset.schema, dataset.splits
    digests = {name: data_digest(splits[name], schema) for name in SPLITS}
    digests["test words"] = data_digest(splits["test"], schema, labels=False)
    off = () if config.matcher.enabled else (matcher.FOLDER,)
    planned: dict[str, PlannedStage] = {}
    for stage in STAGES:
        if stage.name in ("setup", *config.stages) and stage.name not in off:
            planned[stage.name] = stage.plan(config, digests)
            digests[stage.name] = fingerprint_digest(planned[stage.name].fingerprint)
    return planned
