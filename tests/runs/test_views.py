"""Stages read what they declare and nothing else, and their fingerprints are made of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
from ml_collections import ConfigDict

from toner_jax import config as configuration
from toner_jax import config_keys
from toner_jax.data.sentences import load_sentences
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs import evaluate, generator, matched_types, matcher, setup
from toner_jax.runs.restore import read_work_config
from toner_jax.runs.run import SPLITS, STAGES, plan_stages
from toner_jax.runs.stage import Run
from toner_jax.runs.view import Reads, UndeclaredKeyError, View
from toner_jax.runs.workdir import split_path
from toner_jax.schema import EntityType, Schema, make_sentence

BY_NAME = {stage.name: stage for stage in STAGES}
IN_EVERY_RUN = [name for name in BY_NAME if name != "folds"]


# The view itself.


@pytest.fixture
def view() -> View:
    reads = Reads(result=("seed", "matcher"), earlier=("generator.dropout",), manner=("eval.batch_size",))
    return View(configuration.base(), "toy", reads)


def test_declared_keys_and_sections_are_answered(view):
    assert (view.seed, view.generator.dropout, view.eval.batch_size) == (0, 0.1, 64)
    assert view.matcher.tau == 0.05
    assert view.matcher.model.num_hidden_layers == 2
    assert view.matcher.model.to_dict() == configuration.base().matcher.model.to_dict()


@pytest.mark.parametrize(
    ("read", "key"),
    [
        (lambda v: v.dtype, "dtype"),
        (lambda v: v.decode.grammar, "decode.grammar"),
        (lambda v: v.eval.every, "eval.every"),
        (lambda v: v.generator.model.d_ff, "generator.model.d_ff"),
        (lambda v: v.generator.to_dict(), r"generator\.\*"),
        (lambda v: getattr(v, "dtype", "auto"), "dtype"),  # a default does not hide it
    ],
)
def test_any_other_is_refused_by_key_and_stage(view, read, key):
    with pytest.raises(UndeclaredKeyError, match=rf"^stage toy reads {key}, which its READS do not declare"):
        read(view)


def test_nothing_can_be_set(view):
    with pytest.raises(TypeError, match="stage toy may not change the configuration"):
        view.seed = 1
    with pytest.raises(TypeError):
        view.matcher.tau = 1.0


# The fingerprints that are made from it.


def leaves(config: ConfigDict, prefix: str = "") -> Iterator[str]:
    """The dotted keys of all values."""
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def changed(key: str) -> ConfigDict:
    """The base configuration with another value of one key."""
    config = configuration.base()
    section, _, name = key.rpartition(".")
    owner = config_keys.get(config, section) if section else config
    value: Any = owner[name]
    if key in configuration.NUMBERS_OR:
        owner[name] = 0.25
    elif key in ("types.training", "types.evaluation"):
        owner[name] = "gold"
    elif isinstance(value, bool):
        owner[name] = not value
    elif isinstance(value, tuple):
        owner[name] = value[1:] or ("other",)
    else:
        owner[name] = value + ("other" if isinstance(value, str) else 1)
    return config


KEYS = tuple(leaves(configuration.base()))


def covered(key: str, declared: tuple[str, ...]) -> bool:
    return any(f"{key}.".startswith(f"{d}.") for d in declared)


@pytest.mark.parametrize("name", BY_NAME)
def test_the_fingerprint_changes_with_what_the_result_depends_on_and_with_nothing_else(name):
    stage = BY_NAME[name]
    before = stage.plan(configuration.base(), {}).fingerprint
    for key in KEYS:
        after = stage.plan(changed(key), {}).fingerprint
        apart = (*stage.reads.manner, *stage.reads.selection)
        assert (after != before) == (covered(key, stage.reads.result) and not covered(key, apart)), key


@pytest.mark.parametrize("name", BY_NAME)
def test_a_key_is_declared_once_and_exists(name):
    reads = BY_NAME[name].reads
    assert all(any(covered(key, (d,)) for key in KEYS) for d in reads)
    for declared in (
        [*reads.result, *reads.earlier],
        [*reads.manner, *reads.earlier, *reads.selection],
    ):
        assert not [d for i, d in enumerate(declared) if covered(d, tuple(declared[:i] + declared[i + 1 :]))]


SCHEMA = Schema("s", (EntityType("person"),))
DATA: Any = SimpleNamespace(
    schema=SCHEMA, splits={name: (make_sentence(name, ["Ann"], [], SCHEMA),) for name in SPLITS}
)


@pytest.mark.parametrize("name", BY_NAME)
def test_what_an_earlier_stage_depends_on_is_in_the_fingerprint_through_it(name):
    """In the whole plan of a run, a stage's fingerprint changes with each key that it has from an earlier one, and
    with no key that says how it runs."""

    def plan(config: ConfigDict) -> dict:
        if name == "folds" and config.types.training == "matcher":
            config.types.training = "cross_fitted"
        return plan_stages(config, DATA)

    before = plan(configuration.base())[name].fingerprint
    reads = BY_NAME[name].reads
    for key in KEYS:
        if key == "stages":
            continue
        after = plan(changed(key))
        if covered(key, reads.earlier):
            assert name not in after or after[name].fingerprint != before, key
        if covered(key, reads.manner):
            assert name not in after or after[name].fingerprint == before, key


# Runs under the views. That a run passes at all shows that every key that its stages read is declared.


def test_a_finished_run_is_skipped_whatever_says_how_it_runs(finished):
    workdir, _ = finished
    config = read_work_config(workdir)
    splits = {name: load_sentences(split_path(workdir, name)) for name in SPLITS}
    data: Any = SimpleNamespace(schema=setup.read_work_schema(workdir), splits=splits)
    for change in (
        {},
        {"checkpoint.every": 3, "log_every": 1, "eval.batch_size": 2, "sharding": "zero1"},
        {"decode.batch_size": 3},
        {"tokenizer.backend": "tf_text"},
    ):
        config.update_from_flattened_dict(change)
        stages = plan_stages(config, data)
        assert {name: stage.check(workdir) for name, stage in stages.items()} == dict.fromkeys(
            IN_EVERY_RUN, "skip"
        )


def _without(name: str, key: str, config: ConfigDict) -> View:
    """A stage's view, one key less."""
    reads = BY_NAME[name].reads
    fewer = {
        kind: tuple(k for k in getattr(reads, kind) if k != key)
        for kind in ("result", "earlier", "manner", "selection")
    }
    less = Reads(**fewer)
    assert list(less) != list(reads)
    return replace(BY_NAME[name], reads=less).view(config)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("setup", "generator.checkpoint"),
        ("matcher", "dtype"),
        ("types", "matcher.type_threshold"),
        ("matcher", "sharding"),
        ("generator", "text"),
        ("generator", "matcher.enabled"),
        ("evaluate", "matcher.type_threshold_beta"),
    ],
)
def test_a_stage_that_reads_an_undeclared_key_fails(name, key, finished, tmp_path):
    workdir = tmp_path / "run"  # a copy: a stage has begun to write by the time that it reads some keys
    shutil.copytree(finished[0], workdir)
    config = read_work_config(workdir)
    splits = {split: load_sentences(split_path(workdir, split)) for split in SPLITS}
    run = Run(workdir, splits, setup.read_work_schema(workdir), make_mesh())
    view = _without(name, key, config)
    work = {
        "setup": lambda: setup.prepare(view, tmp_path / "new", splits["train"], run.schema),
        "matcher": lambda: matcher.train_matcher(view, run),
        "types": lambda: matched_types.write_training_types(view, run),
        "generator": lambda: generator.train_generator(view, run),
        "evaluate": lambda: evaluate.evaluate_run(view, run, _result(workdir, "generator")),
    }
    with pytest.raises(UndeclaredKeyError, match=f"^stage {name} reads {key}[,.]"):
        work[name]()


def _result(workdir, stage: str) -> dict:
    return json.loads((workdir / stage / "stage.json").read_text())["result"]


@pytest.mark.slow
def test_what_says_how_a_run_runs_changes_no_result(finished, cache, tmp_path):
    """Batch sizes of evaluation are left out: they change results by rounding."""
    other = ("checkpoint.every=11", "checkpoint.keep=1", "log_every=8", "max_skipped=3", "sharding=zero1")
    workdir = tmp_path / "run"
    done = tiny.run(
        tiny.command(workdir, *(f"--config.{setting}" for setting in other)), tiny.environment(cache)
    )
    assert done.returncode == 0, done.stderr
    for name in IN_EVERY_RUN:
        assert _result(workdir, name) == _result(finished[0], name), name
    for file in ("types/train.jsonl", "predictions/test.jsonl", "report/test.json"):
        assert (workdir / file).read_bytes() == (finished[0] / file).read_bytes(), file


@pytest.mark.slow
def test_a_run_without_matching_and_with_a_fitted_temperature_reads_what_it_declares(cache, tmp_path):
    other = ("matcher.enabled=False", "decode.calibration_temperature=dev", "generator.type_recognition=0")
    command = tiny.command(tmp_path / "run", *(f"--config.{setting}" for setting in other))
    done = tiny.run(command, tiny.environment(cache))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_free_decoding_changes_the_evaluation_alone(finished, cache, tmp_path):
    """The generator does not read `decode`."""
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    command = tiny.command(workdir, "--config.decode.grammar=False", "--config.decode.max_length=40")
    again = tiny.run(command, tiny.environment(cache))
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("complete, skipped") == 5
