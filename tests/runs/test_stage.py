"""Fingerprints and markers: what is skipped, resumed, run again or refused."""

from __future__ import annotations

import pytest

from toner_jax.errors import UserError
from toner_jax.runs.stage import PlannedStage, data_digest, describe_changes, fingerprint_digest
from toner_jax.schema import Entity, EntityType, Schema, make_sentence


def _stage(**fingerprint) -> PlannedStage:
    return PlannedStage("train", fingerprint, ("train", "extra.txt"))


def _fail():
    raise RuntimeError("killed")


def test_complete_stages_are_skipped(tmp_path):
    assert _stage(a=1).run(tmp_path, lambda: {"step": 3}, restart=False) == {"step": 3}
    assert _stage(a=1).check(tmp_path) == "skip"
    assert _stage(a=1).run(tmp_path, _fail, restart=False) == {"step": 3}


def test_tuples_and_lists_are_the_same_fingerprint(tmp_path):
    _stage(columns=(1, 2)).run(tmp_path, dict, restart=False)
    assert _stage(columns=[1, 2]).check(tmp_path) == "skip"


def test_a_changed_complete_stage_starts_anew_without_its_old_files(tmp_path, said):
    _stage(a=1, b=2).run(tmp_path, dict, restart=False)
    (tmp_path / "train" / "old").write_text("x")
    (tmp_path / "extra.txt").write_text("x")
    assert _stage(a=1, b=3).run(tmp_path, lambda: {"new": True}, restart=False) == {"new": True}
    assert said() == ["train: runs again: b: 2 → 3"]
    assert not (tmp_path / "train" / "old").exists()
    assert not (tmp_path / "extra.txt").exists()


def test_an_interrupted_stage_resumes_and_keeps_its_files(tmp_path):
    with pytest.raises(RuntimeError):
        _stage(a=1).run(tmp_path, _fail, restart=False)
    (tmp_path / "train" / "checkpoints").mkdir()
    assert _stage(a=1).check(tmp_path) == "resume"
    _stage(a=1).run(tmp_path, dict, restart=False)
    assert (tmp_path / "train" / "checkpoints").exists()


def test_a_half_trained_stage_is_not_thrown_away(tmp_path):
    with pytest.raises(RuntimeError):
        _stage(a=1, b=2).run(tmp_path, _fail, restart=False)
    (tmp_path / "train" / "checkpoints").mkdir()
    with pytest.raises(
        UserError, match=r"half trained with other settings: b: 2 → 3.*pass restart=True to train"
    ):
        _stage(a=1, b=3).check(tmp_path)
    assert _stage(a=1, b=3).check(tmp_path, restart=True) == "start"


def test_a_damaged_marker_is_named(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "stage.json").write_text("{")
    with pytest.raises(UserError, match=r"stage\.json: damaged"):
        _stage(a=1).check(tmp_path)


def test_describe_changes():
    assert describe_changes({"a": 1, "b": 2}, {"b": 3, "c": 4}) == [
        "a: 1 → (absent)", "b: 2 → 3", "c: (absent) → 4",
    ]  # fmt: skip


def test_digests():
    schema = Schema("s", (EntityType("person"), EntityType("place")))
    one = [make_sentence("0", ["Ann", "left"], [Entity(0, 1, "person")], schema)]
    other = [make_sentence("0", ["Ann", "left"], [Entity(0, 1, "place")], schema)]
    assert data_digest(one, schema) != data_digest(other, schema)
    assert data_digest(one, schema, labels=False) == data_digest(other, schema, labels=False)
    assert fingerprint_digest({"a": 1, "b": 2}) == fingerprint_digest({"b": 2, "a": 1})
    assert fingerprint_digest({"a": 1}) != fingerprint_digest({"a": 2})
