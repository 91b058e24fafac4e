"""A run: its data, its work directory, and its stages in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax import config as configuration
from toner_jax.common.console import say
from toner_jax.common.files import write_atomically
from toner_jax.data.dataset import Dataset
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.data.sentences import dump_sentences
from toner_jax.errors import UserError
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs import setup
from toner_jax.runs.evaluate import evaluate_run
from toner_jax.runs.generator import train_generator
from toner_jax.runs.matcher import train_matcher
from toner_jax.runs.stage import Stage, config_keys, data_digest, fingerprint_digest
from toner_jax.runs.workdir import locked, prepare_workdir, split_path

SPLITS = ("train", "dev", "test")

# What the result of each stage depends on, besides its data and the stages before it.
_SETUP_KEYS = (
    "tokenizer.generator", "tokenizer.matcher", "tokenizer.generator_vocab_size", "tokenizer.matcher_vocab_size",
    "generator.checkpoint", "generator.model", "matcher.enabled", "matcher.checkpoint", "matcher.model",
)  # fmt: skip
_MATCHER_KEYS = (
    "seed", "dtype", "tokenizer.backend", "tokenizer.matcher", "tokenizer.matcher_vocab_size", "matcher",
    "eval.every", "eval.start",
)  # fmt: skip
_GENERATOR_KEYS = (
    "seed", "dtype", "tokenizer.backend", "tokenizer.generator", "tokenizer.generator_vocab_size", "text",
    "generator", "eval.every", "eval.start", "eval.dev_max_sentences", "matcher.enabled",
)  # fmt: skip
_EVALUATE_KEYS = ("dtype", "tokenizer.backend", "text", "decode")


def execute(config: ConfigDict, workdir: Path, restart: bool = False) -> dict[str, dict[str, Any]]:
    """Runs the stages that `config.stages` names and that are not done yet.

    Returns:
      Each stage's result, by name.

    Raises:
      UserError: bad settings or data, or a work directory that holds something else.
    """
    configuration.validate(config)
    dataset = read_data(config)
    stages = plan_stages(config, dataset)
    mesh = make_mesh(config.mesh.data, config.mesh.fsdp, config.mesh.tensor)
    prepare_workdir(workdir)
    with locked(workdir):
        for stage in stages.values():
            stage.check(workdir, restart)
        configuration.save(config, workdir / "config.json")
        for name, sentences in dataset.splits.items():
            write_atomically(split_path(workdir, name), dump_sentences(sentences))
        return _execute_stages(config, workdir, dataset, stages, mesh, restart)


def _execute_stages(
    config: ConfigDict,
    workdir: Path,
    dataset: Dataset,
    stages: Mapping[str, Stage],
    mesh: Mesh,
    restart: bool,
) -> dict[str, dict[str, Any]]:
    schema, splits = dataset.schema, dataset.splits
    results: dict[str, dict[str, Any]] = {}

    work: dict[str, Callable[[], Mapping[str, Any]]] = {
        "setup": lambda: setup.prepare(config, workdir, splits["train"], schema),
        "matcher": lambda: train_matcher(config, workdir, splits, schema, mesh),
        "generator": lambda: train_generator(config, workdir, splits["train"], splits["dev"], schema, mesh),
        "evaluate": lambda: evaluate_run(config, workdir, splits, schema, mesh, results["generator"]["step"]),
    }
    for name, stage in stages.items():
        results[name] = stage.run(workdir, work[name], restart)
    return results


def read_data(config: ConfigDict) -> Dataset:
    """The three splits, with what was repaired said aloud.

    Raises:
      UserError: missing or malformed data, or a split without sentences.
    """
    dataset = load_dataset(DataOptions.from_section(config.data), SPLITS)
    bare = [t.name for t in dataset.schema.types if not t.description]
    if bare and config.matcher.enabled:
        say(
            f"types without a description: {', '.join(bare)}; describe them in data.schema, the matcher reads it"
        )
    for name in SPLITS:
        sentences = dataset.splits[name]
        if not sentences:
            raise UserError(f"the {name} split has no sentences")
        entities = sum(len(s.entities) for s in sentences)
        repaired = ", ".join(f"{count} {kind}" for kind, count in dataset.repairs[name].items())
        note = f" (repaired: {repaired})" if repaired else ""
        say(f"{name}: {len(sentences):,} sentences, {entities:,} entities{note}")
    for line in dataset.notes:
        say(line)
    return dataset


def plan_stages(config: ConfigDict, dataset: Dataset) -> dict[str, Stage]:
    """The stages to run, each with everything its result depends on."""
    schema, splits = dataset.schema, dataset.splits

    def digest(name: str, labels: bool = True) -> str:
        return data_digest(splits[name], schema, labels)

    train, dev = digest("train"), digest("dev")
    stages = {
        "setup": Stage(
            "setup",
            {**config_keys(config, _SETUP_KEYS), "train": train},
            (setup.SCHEMA, setup.MODELS, setup.TOKENIZERS),
        )
    }
    before = {"train": train, "dev": dev}
    if config.matcher.enabled and "matcher" in config.stages:
        # Test sentences get their T′ here; their labels are not read.
        reads = {**config_keys(config, _MATCHER_KEYS), **before, "test words": digest("test", labels=False)}
        stages["matcher"] = Stage("matcher", reads, ("matcher",))
        before["matcher"] = fingerprint_digest(reads)
    if "generator" in config.stages:
        reads = {**config_keys(config, _GENERATOR_KEYS), **before}
        stages["generator"] = Stage("generator", reads, ("generator",))
        before["generator"] = fingerprint_digest(reads)
    if "evaluate" in config.stages:
        reads = {**config_keys(config, _EVALUATE_KEYS), **before, "test": digest("test")}
        stages["evaluate"] = Stage("evaluate", reads, ("evaluate", "predictions", "report"))
    return stages
