"""Fingerprints and markers: what is skipped, resumed, run again or refused."""

from __future__ import annotations

import json
import pickle

import pytest

from toner_jax.errors import UserError
from toner_jax.runs.aside import settle
from toner_jax.runs.fingerprint import data_digest, describe_changes
from toner_jax.runs.marker import MARKER, DamagedMarker, complete, digest_of, read_marker
from toner_jax.runs.refusal import Refused
from toner_jax.runs.stage import PlannedStage
from toner_jax.schema import Entity, EntityType, Schema, make_sentence


def stage(selection=None, **fingerprint) -> PlannedStage:
    return PlannedStage("train", fingerprint, ("train", "extra.txt"), selection=selection or {})


def trained(workdir, *steps):
    """Checkpoints of these steps, as far as a stage looks at them before it reads them."""
    for step in steps:
        folder = workdir / "train" / "checkpoints"
        (folder / str(step)).mkdir(parents=True)
        (folder / str(step) / "w").write_text("1")
        manifest = folder / "manifests" / f"{step}.json"
        manifest.parent.mkdir(exist_ok=True)
        manifest.write_text('{"w": [1, "65cd25028f98f158"]}')


def work(workdir, *steps):
    """What trains so many steps and writes a file."""

    def do():
        trained(workdir, *steps)
        (workdir / "train" / "notes.txt").write_text("found\n")
        return {"step": steps[-1]} if steps else {}

    return do


def fail():
    raise RuntimeError("killed")


def test_complete_stages_are_skipped(tmp_path, said):
    assert stage(a=1).run(tmp_path, lambda: {"step": 3}) == {"step": 3}
    assert stage(a=1).check(tmp_path) == "skip"
    assert stage(a=1).run(tmp_path, fail) == {"step": 3}
    assert said() == ["train: complete, skipped"]


def test_tuples_and_lists_are_the_same_fingerprint(tmp_path):
    stage(columns=(1, 2)).run(tmp_path, dict)
    assert stage(columns=[1, 2]).check(tmp_path) == "skip"


def test_what_holds_no_checkpoint_starts_anew_without_its_old_files(tmp_path, said):
    stage(a=1, b=2).run(tmp_path, work(tmp_path))
    (tmp_path / "extra.txt").write_text("x")
    assert stage(a=1, b=3).run(tmp_path, lambda: {"new": True}) == {"new": True}
    assert said() == ["train: runs again: b: other than it was made from"]
    assert not (tmp_path / "train" / "notes.txt").exists()
    assert not (tmp_path / "extra.txt").exists()


def test_an_interrupted_stage_resumes_and_keeps_its_files(tmp_path):
    with pytest.raises(RuntimeError):
        stage(a=1).run(tmp_path, fail)
    trained(tmp_path, 5)
    assert stage(a=1).check(tmp_path) == "resume"
    stage(a=1).run(tmp_path, dict)
    assert (tmp_path / "train" / "checkpoints" / "5").exists()


@pytest.mark.parametrize("finished", [True, False])
def test_trained_steps_are_not_given_up_unasked(tmp_path, said, finished):
    first = stage(**{"seed": 0, "generator.lambda_c": 0.1})
    if finished:
        first.run(tmp_path, work(tmp_path, 10, 1500))
    else:
        with pytest.raises(RuntimeError):
            first.run(tmp_path, fail)
        trained(tmp_path, 10, 1500)
    other = stage(**{"seed": 0, "generator.lambda_c": 0.2})
    with pytest.raises(Refused) as error:
        other.run(tmp_path, fail)
    assert str(error.value) == (
        f"{tmp_path / 'train'}: {'finished' if finished else 'half trained'}, changed settings or data: "
        "generator.lambda_c: 0.1 → 0.2. Run with the former ones, choose another workdir, or set restart=train to "
        "train anew, which gives up 1,500 trained steps (checkpoints of 10, 1,500)"
    )
    assert (tmp_path / "train" / "checkpoints" / "1500").exists()
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
    assert other.check(tmp_path, ["train"]) == "start"
    assert other.check(tmp_path, ["train"]) == "start"  # a check changes nothing


def test_what_a_restart_replaces_goes_with_the_first_new_checkpoint(tmp_path, said):
    stage(seed=0).run(tmp_path, work(tmp_path, 10))
    aside = tmp_path / "train.replaced"

    def killed_before_its_first_checkpoint():
        settle(tmp_path, "train")
        fail()

    with pytest.raises(RuntimeError):
        stage(seed=1).run(tmp_path, killed_before_its_first_checkpoint, ["train"])
    assert (aside / "checkpoints" / "10").exists()
    assert said()[0] == "train: runs again: seed: 0 → 1"
    assert (
        said()[1] == f"train: 10 trained steps (checkpoints of 10) moved to {aside}, until there are new ones"
    )
    # The same command goes on, and throws nothing away a second time.
    stage(seed=1).run(tmp_path, work(tmp_path, 20), ["train"])
    assert not aside.exists()
    assert stage(seed=1).run(tmp_path, fail, ["train"]) == {"step": 20}


def test_a_finished_stage_keeps_the_step_it_chose(tmp_path, said):
    first = stage({"eval.every": 10, "dev": "aa"}, seed=0)
    first.run(tmp_path, work(tmp_path, 30))
    other = stage({"eval.every": 5, "dev": "bb"}, seed=0)
    assert other.run(tmp_path, fail) == {"step": 30}
    assert said() == [
        "train: complete, skipped; its step stays as it was selected, under other settings: eval.every: 10 → 5; dev: "
        "other than it was made from"
    ]
    assert complete(tmp_path, "train").selection == {"eval.every": 10, "dev": "aa"}
    assert other.check(tmp_path, ["train"]) == "start"  # which selects anew


def test_a_half_trained_stage_is_not_selected_by_two_rules(tmp_path):
    with pytest.raises(RuntimeError):
        stage({"eval.every": 10}, seed=0).run(tmp_path, fail)
    trained(tmp_path, 5)
    with pytest.raises(Refused, match=r"half trained, changed settings or data: eval\.every: 10 → 5"):
        stage({"eval.every": 5}, seed=0).check(tmp_path)


def test_a_key_that_a_new_version_adds_changes_nothing(tmp_path):
    old = stage(seed=0)
    old.run(tmp_path, work(tmp_path, 10))
    new = stage(**{"seed": 0, "generator.lambda_c": 0.1})
    assert new.check(tmp_path) == "skip"
    assert new.digest(tmp_path) == old.digest(tmp_path)  # so nothing that was made from it is stale
    with pytest.raises(Refused, match=r"generator\.lambda_c: \(absent\) → 0\.2"):
        stage(**{"seed": 0, "generator.lambda_c": 0.2}).check(tmp_path)


DAMAGES = {
    "removed": lambda path: path.unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "changed": lambda path: path.write_bytes(path.read_bytes().replace(b"1", b"2").replace(b"n", b"m")),
}


@pytest.mark.parametrize("name", ["notes.txt", "checkpoints/10/w", "checkpoints/manifests/10.json", MARKER])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_complete_stage_whose_files_are_not_whole_is_not_skipped(tmp_path, name, damage):
    stage(seed=0).run(tmp_path, work(tmp_path, 5, 10))
    DAMAGES[damage](tmp_path / "train" / name)
    with pytest.raises(Refused) as error:
        stage(seed=0).check(tmp_path)
    message = str(error.value)
    assert name.replace("/w", "") in message
    assert "ut back a copy of" in message
    assert "set restart=train to train anew" in message
    assert stage(seed=0).check(tmp_path, ["train"]) == "start"


def test_a_stage_without_checkpoints_mends_itself(tmp_path, said):
    stage(seed=0).run(tmp_path, work(tmp_path))
    (tmp_path / "train" / "notes.txt").write_text("lost\n")
    stage(seed=0).run(tmp_path, work(tmp_path))
    assert said() == [f"train: runs again: {tmp_path / 'train' / 'notes.txt'}: 5 bytes instead of 6"]
    assert (tmp_path / "train" / "notes.txt").read_text() == "found\n"
    (tmp_path / "train" / MARKER).write_text("{")
    stage(seed=0).run(tmp_path, work(tmp_path))
    assert "stage.json: damaged" in said()[1]
    assert complete(tmp_path, "train").result == {}


def test_every_changed_value_of_a_marker_is_told(tmp_path):
    stage(a=1).run(tmp_path, work(tmp_path, 3))
    path = tmp_path / "train" / MARKER
    whole = json.loads(path.read_text())
    for key in whole:
        path.write_text(json.dumps({**whole, key: "other"}))
        with pytest.raises(DamagedMarker, match=r"stage\.json: damaged"):
            read_marker(path)
    path.write_text(json.dumps(dict(reversed(whole.items())), indent=9))  # the same values
    assert read_marker(path).result == {"step": 3}


def test_another_environment_is_recorded_and_said(tmp_path, said):
    with pytest.raises(RuntimeError):
        stage(seed=0).run(tmp_path, fail, made_with={"cores": 2, "jax": "0.10.2"})
    stage(seed=0).run(tmp_path, dict, made_with={"cores": 8, "jax": "0.10.2"})
    assert said() == ["train: begun with another environment, so the last bits may differ: cores 2 → 8"]
    assert [e["cores"] for e in complete(tmp_path, "train").made_with] == [2, 8]
    assert stage(seed=0).check(tmp_path) == "skip"


def test_parts_that_are_not_those_it_was_made_from(tmp_path):
    (tmp_path / "schema.json").write_text("{}")
    made = PlannedStage("train", {"seed": 0}, ("train",), parts=("schema.json",))
    made.run(tmp_path, work(tmp_path, 10))
    assert made.check(tmp_path) == "skip"
    (tmp_path / "schema.json").write_text("{ }")
    with pytest.raises(Refused, match=r"finished, .*: made from another schema\.json than lies there"):
        made.check(tmp_path)
    assert made.check(tmp_path, pending=["setup"]) == "skip"  # which may make it as it was


def test_describe_changes():
    assert describe_changes({"seed": 1, "b": 2}, {"seed": 2, "b": 3, "c": 4}) == [
        "seed: 1 → 2", "b: other than it was made from", "c: other than it was made from",
    ]  # fmt: skip


def test_digests():
    schema = Schema("s", (EntityType("person"), EntityType("place")))
    one = [make_sentence("0", ["Ann", "left"], [Entity(0, 1, "person")], schema)]
    other = [make_sentence("0", ["Ann", "left"], [Entity(0, 1, "place")], schema)]
    assert data_digest(one, schema) != data_digest(other, schema)
    assert data_digest(one, schema, labels=False) == data_digest(other, schema, labels=False)
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})


def test_a_stage_that_is_not_complete_is_named(tmp_path):
    with pytest.raises(
        UserError,
        match=r"its train stage is not complete \(there is no train/stage\.json\); finish the run first",
    ):
        complete(tmp_path, "train")
