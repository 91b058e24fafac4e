"""No command without a restart makes a checkpoint disappear, and what another setting or other data mean to a finished
run is what the documentation says."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from toner_jax import config as configuration
from toner_jax.common.files import file_digest
from toner_jax.data.sentences import load_sentences
from toner_jax.errors import UserError
from toner_jax.runs import evaluate, generator, matched_types, matcher, run, setup
from toner_jax.runs.aside import settle
from toner_jax.runs.refusal import Refused
from toner_jax.runs.workdir import split_path

SCHEMA = {"name": "s", "types": [{"name": "person", "description": "People."}, {"name": "place"}]}
TRAINED = ("matcher", "generator")
TOKENS = count()


class Killed(Exception):
    """Stands for SIGKILL."""


def write_data(folder: Path, split: str, version: int) -> None:
    folder.mkdir(exist_ok=True)
    rows = [{"text": f"Ann {version} left .", "entities": [{"start": 0, "end": 3, "label": "person"}]}] * 3
    (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def settings(folder: Path) -> Any:
    c = configuration.base()
    configuration.set_scratch(c)
    c.data.format, c.data.dir, c.data.schema = "jsonl", str(folder), str(folder / "schema.json")
    return c


@pytest.fixture
def world(tmp_path, monkeypatch):
    """(work directory, data folder, an object whose `kill_at` says after how many writes the run dies)."""
    data, workdir = tmp_path / "data", tmp_path / "run"
    for split in run.SPLITS:
        write_data(data, split, 0)
    (data / "schema.json").write_text(json.dumps(SCHEMA))
    state = type("State", (), {"kill_at": None})()

    def tick():
        if state.kill_at is not None:
            state.kill_at -= 1
            if state.kill_at < 0:
                raise Killed

    def train(stage: str):
        def do(config, work: run.Run) -> dict[str, Any]:
            folder = work.workdir / stage / "checkpoints"
            for step in (10, 20):
                if (folder / "manifests" / f"{step}.json").exists():
                    continue
                tick()
                (folder / "manifests").mkdir(parents=True, exist_ok=True)
                (folder / str(step)).mkdir(exist_ok=True)
                (folder / str(step) / "w").write_text(f"{next(TOKENS)}")
                manifest = {
                    "w": [(folder / str(step) / "w").stat().st_size, file_digest(folder / str(step) / "w")]
                }
                (folder / "manifests" / f"{step}.json").write_text(json.dumps(manifest))
                settle(work.workdir, stage)
            tick()
            return {"step": 10, "tasks": ["ner"]}

        return do

    def types(config, work: run.Run) -> dict[str, Any]:
        tick()
        (work.workdir / "types").mkdir(exist_ok=True)
        (work.workdir / "types" / "train.jsonl").write_text(f"{config.matcher.type_threshold}\n")
        words = [s.words for s in work.splits["train"]]
        return {"identity": json.dumps([str(config.matcher.type_threshold), words]), "type_threshold": 0.5}

    def report(config, work: run.Run, result) -> dict[str, Any]:
        (work.workdir / "report").mkdir(exist_ok=True)
        (work.workdir / "report" / "test.json").write_text("{}")
        tick()
        return {}

    def prepare(config, folder: Path, train, schema) -> None:
        (folder / "schema.json").write_text(json.dumps(schema.to_json()))
        (folder / "models.json").write_text(json.dumps({kind: {} for kind in TRAINED}))
        for kind in TRAINED:
            (folder / "tokenizers" / kind).mkdir(parents=True)
            (folder / "tokenizers" / kind / "vocabulary").write_text(str(config.tokenizer.matcher_vocab_size))

    monkeypatch.setattr(matcher, "train_matcher", train("matcher"))
    monkeypatch.setattr(generator, "train_generator", train("generator"))
    monkeypatch.setattr(matched_types, "write_training_types", types)
    monkeypatch.setattr(evaluate, "evaluate_run", report)
    monkeypatch.setattr(setup, "prepare", prepare)
    monkeypatch.setattr(run, "check_training", lambda *_: None)
    return workdir, data, state


def checkpoints(workdir: Path, *folders: str) -> dict[str, set[str]]:
    """Stage → what its committed checkpoints hold, wherever they lie."""
    return {
        stage: {
            path.read_text()
            for folder in (workdir / name.format(stage) for name in folders or ("{}", "{}.replaced"))
            for path in folder.glob("checkpoints/[0-9]*/w")
            if (path.parents[1] / "manifests" / f"{path.parent.name}.json").exists()
        }
        for stage in TRAINED
    }


CHANGES = (
    ("seed", (0, 1)),
    ("generator.lambda_c", (0.1, 0.2)),
    ("matcher.tau", (0.05, 0.1)),
    ("matcher.type_threshold", ("dev", 0.5)),
    ("decode.type_threshold", ("", 0.25)),
    ("decode.threshold", (0.0, 0.5)),
    ("eval.every", (0, 7)),
    ("checkpoint.every", (500, 100)),
    ("tokenizer.matcher_vocab_size", (2000, 1000)),
    ("matcher.enabled", (True, False)),
)


@pytest.mark.parametrize("seed", [0, 1, 21, 22])
def test_no_command_without_a_restart_makes_a_checkpoint_disappear(world, seed):
    workdir, data, state = world
    rng = random.Random(seed)
    config = settings(data)
    finished = refused = killed = 0
    for _ in range(20):
        for _ in range(rng.choice([0, 0, 1, 2])):
            if rng.random() < 0.3:
                write_data(data, rng.choice(run.SPLITS), rng.randrange(2))
            else:
                key, values = rng.choice(CHANGES)
                section, _, name = key.rpartition(".")
                (configuration.get(config, section) if section else config)[name] = rng.choice(values)
        restart = rng.choice([(), (), (), ("matcher",), ("generator",), TRAINED])
        state.kill_at = rng.choice([None, rng.randrange(3)])
        before, stopped = checkpoints(workdir), None
        replaced = checkpoints(workdir, "{}.replaced")
        try:
            run.execute(config, workdir, restart)
            finished += 1
            assert not (workdir / "generator.replaced").exists()
            assert run.execute(config, workdir) is not None  # with the same settings, nothing is to do
        except Refused as error:
            refused += 1
            stopped = {r.stage for r in error.refusals}
        except Killed:
            killed += 1
        assert stopped is None or stopped & set(TRAINED) - set(restart)
        after = checkpoints(workdir)
        for stage in set(TRAINED) - set(restart):
            # What a restart that was asked for before has moved aside goes with its first checkpoint.
            lost = before[stage] - after[stage]
            assert lost <= replaced[stage], (stage, restart)
            assert not lost or after[stage] - before[stage], stage
    assert finished
    assert refused or killed


def test_a_restart_that_is_given_up_takes_nothing_with_it(world, said):
    workdir, data, state = world
    config = settings(data)
    run.execute(config, workdir)
    before = checkpoints(workdir)
    config.generator.lambda_c = 0.2
    state.kill_at = 0
    with pytest.raises(Killed):
        run.execute(config, workdir, ["generator"])
    state.kill_at = None
    config.generator.lambda_c = 0.3
    with pytest.raises(
        Refused, match=r"a restart with other settings was begun, and .*/generator\.replaced holds"
    ):
        run.execute(config, workdir)
    config.generator.lambda_c = 0.1
    run.execute(config, workdir)
    assert checkpoints(workdir) == before
    assert not (workdir / "generator.replaced").exists()
    assert "generator.replaced is put back, as its restart has no checkpoint yet" in " ".join(said())


@pytest.mark.parametrize(
    ("key", "value"),
    [("text.max_source", 64), ("generator.type_recognition", 0.0), ("tokenizer.ids", "words")],
)
def test_a_start_that_does_not_name_a_stage_leaves_it_usable(world, key, value):
    workdir, data, _ = world
    config = settings(data)
    run.execute(config, workdir)
    files = {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
    section, _, name = key.rpartition(".")
    config[section][name], config.stages = value, ("matcher",)
    with pytest.raises(
        Refused, match=rf"generator: not among the stages of this start, and made under.*{key}"
    ):
        run.execute(config, workdir)
    assert {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()} == files


@pytest.mark.parametrize("lost", ["checkpoints/manifests", "checkpoints/manifests/10.json", "stage.json"])
def test_what_vouches_for_trained_steps_is_lost(world, lost):
    """The remedy is told where it is asked for, with all that it would cost."""
    workdir, data, _ = world
    config = settings(data)
    run.execute(config, workdir)
    path = workdir / "generator" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for stages in (("matcher", "generator", "evaluate"), ("matcher",)):
        config.stages = stages
        if stages == ("matcher",) and lost == "stage.json":
            continue  # nobody knows what it was made under
        before = sorted(workdir.rglob("*"))
        if "generator" in stages:
            with pytest.raises(
                Refused, match=r"ut back a copy of it, or set restart=generator to train anew, which"
            ):
                run.execute(config, workdir)
        else:
            run.execute(config, workdir)
        assert [p for p in before if p.name == "w"] == sorted(workdir.rglob("w"))
    config.stages = ("matcher", "generator", "evaluate")
    run.execute(config, workdir, ["generator"])
    assert (workdir / "generator" / "checkpoints" / "manifests" / "10.json").exists()


def test_a_text_that_changes_in_its_white_space_is_evaluated_anew(world):
    workdir, data, _ = world
    config = settings(data)
    run.execute(config, workdir)
    path = data / "test.jsonl"
    path.write_text(path.read_text().replace("Ann 0 left .", "Ann  0 left ."))
    with run.ready(config, workdir) as ready:
        assert {n for n, action in ready.actions.items() if action == "start"} == {"data", "evaluate"}


def test_test_data_and_decoding_train_nothing(world):
    workdir, data, _ = world
    config = settings(data)
    run.execute(config, workdir)
    before = checkpoints(workdir)
    write_data(data, "test", 1)
    config.decode.type_threshold = 0.1
    with run.ready(config, workdir) as ready:
        assert ready.actions == {
            "data": "start", "setup": "skip", "matcher": "skip", "types": "skip", "generator": "skip",
            "evaluate": "start",
        }  # fmt: skip
    run.execute(config, workdir)
    assert checkpoints(workdir) == before
    assert [s.text for s in load_sentences(split_path(workdir, "test"))] == ["Ann 1 left ."] * 3


def test_dev_data_leave_a_finished_step_as_it_was_chosen(world, said):
    workdir, data, _ = world
    config = settings(data)
    config.matcher.type_threshold = 0.5
    run.execute(config, workdir)
    write_data(data, "dev", 1)
    run.execute(config, workdir)
    for stage in TRAINED:
        assert (
            f"{stage}: complete, skipped; its step stays as it was selected, under other settings: dev: other"
            in (" ".join(said()))
        )
    config.matcher.type_threshold = (
        "dev"  # δ is chosen on it: another T′, which the generator was not trained with
    )
    with pytest.raises(
        Refused, match=r"types: other than it was made from.*set restart=generator to train anew"
    ):
        run.execute(config, workdir)


def test_all_that_stand_in_the_way_are_told_at_once(world):
    workdir, data, _ = world
    config = settings(data)
    run.execute(config, workdir)
    write_data(data, "train", 1)
    with pytest.raises(
        Refused, match=r"run/matcher: .*; .*run/generator: .* set restart=matcher,generator to train"
    ):
        run.execute(config, workdir)
    with pytest.raises(Refused, match=r"set restart=generator to train"):
        run.execute(config, workdir, ["matcher"])
    with pytest.raises(
        UserError, match=r"^restart=evaluate: name stages that are trained: matcher, generator"
    ):
        run.execute(config, workdir, ["evaluate"])


def test_other_ids_leave_the_generator_as_it_is(world, monkeypatch):
    """T′ is found by them, and says nothing of them."""
    workdir, data, _ = world
    config = settings(data)
    run.execute(config, workdir)
    dataset = run.read_data(config)
    named = tuple(replace(s, id=f"a{i}") for i, s in enumerate(dataset.splits["train"]))
    other = replace(dataset, splits={**dataset.splits, "train": named})
    monkeypatch.setattr(run, "read_data", lambda _: other)
    with run.ready(config, workdir) as ready:
        assert (ready.actions["matcher"], ready.actions["types"], ready.actions["generator"]) == (
            "skip", "start", "skip",
        )  # fmt: skip
    before = checkpoints(workdir)
    run.execute(config, workdir)
    assert checkpoints(workdir) == before
