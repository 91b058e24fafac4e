"""No command without a restart makes a checkpoint disappear, and what another setting or other data mean to a finished
run is what the documentation says."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace

import pytest
from faked_runs import TRAINED, Killed, checkpoints, settings, write_data

from toner_jax import config_keys
from toner_jax.data.sentences import load_sentences
from toner_jax.errors import UserError
from toner_jax.runs import marker, run
from toner_jax.runs.refusal import Refused
from toner_jax.runs.workdir import split_path

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
                (config_keys.get(config, section) if section else config)[name] = rng.choice(values)
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


def test_a_start_reads_each_checkpoint_once(world, monkeypatch):
    """They can be large, and a start looks three times at what is to do."""
    workdir, data, _ = world
    config = settings(data)
    run.execute(config, workdir)
    read = []
    monkeypatch.setattr(marker, "step_damage", lambda directory, step: read.append(directory.parent.name))
    run.execute(config, workdir)
    assert read == ["matcher", "generator"]


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
