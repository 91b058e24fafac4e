"""Checkpoints: what is damaged is named and never loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from toner_jax.errors import UserError
from toner_jax.training.checkpoint import Checkpoints


def _state(step: int):
    return {
        "step": jnp.int32(step),
        "params": {"w": jnp.arange(12.0).reshape(3, 4) + step, "b": jnp.ones(4) * step},
    }


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """Steps 10 and 20."""
    folder = tmp_path_factory.mktemp("saved") / "checkpoints"
    with Checkpoints(folder) as checkpoints:
        for step in (10, 20):
            checkpoints.save(step, _state(step), {"step": step, "note": "x"})
    return folder


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    shutil.copytree(saved, tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in (folder / "20").rglob("*") if p.is_file())


def test_round_trip(copy):
    with Checkpoints(copy) as checkpoints:
        assert checkpoints.latest_good() == 20
        assert checkpoints.record(20) == {"step": 20, "note": "x"}
        restored = checkpoints.restore(20, _state(0))
        params = checkpoints.restore_params(10, _state(0)["params"])
    np.testing.assert_array_equal(restored["params"]["w"], _state(20)["params"]["w"])
    np.testing.assert_array_equal(params["b"], np.full(4, 10.0))


def test_every_flipped_byte_and_every_cut_is_found(saved, tmp_path):
    """Each file of step 20 in turn: step 20 is named, step 10 is used."""
    names = [p.relative_to(saved) for p in _files(saved)] + [Path("manifests/20.json")]
    assert len(names) > 4
    for number, name in enumerate(names):
        for damage in ("flip", "cut"):
            folder = tmp_path / f"{number}-{damage}"
            shutil.copytree(saved, folder)
            content = bytearray((folder / name).read_bytes())
            if damage == "flip":
                middle = len(content) // 2
                if not content:
                    continue
                content[middle] ^= 0x10
                (folder / name).write_bytes(content)
            else:
                (folder / name).write_bytes(content[: max(0, len(content) - 100)])
                if len(content) == 0:
                    continue
            with Checkpoints(folder, read_only=True) as checkpoints:
                found = checkpoints.damage(20)
                assert found is not None, (name, damage)
                assert name.name in found or name.parts[0] == "manifests", (name, damage, found)
                assert checkpoints.latest_good() == 10
                with pytest.raises(UserError, match="damaged, not loaded"):
                    checkpoints.restore_params(20, _state(0)["params"])


def test_missing_and_foreign_files_are_damage(copy):
    victim = _files(copy)[0]
    victim.unlink()
    with Checkpoints(copy, read_only=True) as checkpoints:
        assert "is missing" in checkpoints.damage(20)
    (copy / "10" / "stray").write_text("?")
    with Checkpoints(copy, read_only=True) as checkpoints:
        assert "does not belong" in checkpoints.damage(10)
        assert checkpoints.latest_good() is None


def test_a_damaged_step_can_be_written_again(copy, said):
    victim = max(_files(copy), key=lambda p: p.stat().st_size)
    victim.write_bytes(victim.read_bytes()[:-1])
    with Checkpoints(copy) as checkpoints:
        assert checkpoints.latest_good() == 10
        assert f"{victim.name} has" in said()[0]
        checkpoints.save(20, _state(20), {"step": 20})
        checkpoints.wait()
        assert checkpoints.latest_good() == 20


def test_what_a_kill_left_half_written_is_as_if_never_written(copy):
    (copy / "manifests" / "20.json").rename(copy / "manifests" / "20.begun")
    with Checkpoints(copy) as checkpoints:
        assert checkpoints.steps() == [10]
    assert not (copy / "20").exists()
    assert sorted(p.name for p in (copy / "manifests").iterdir()) == ["10.json"]


@pytest.mark.parametrize("lost", ["20.json", "10.json", ""])
def test_a_step_whose_manifest_was_lost_is_not_thrown_away(copy, lost):
    """Nothing tells it from a whole one but that file."""
    if lost:
        (copy / "manifests" / lost).unlink()
    else:
        shutil.rmtree(copy / "manifests")
    before = sorted(copy.rglob("*"))
    with pytest.raises(
        UserError, match=rf"manifests/{lost or '20.json'}: missing, so nothing vouches for step"
    ) as error:
        Checkpoints(copy)
    assert "\n" not in str(error.value)
    assert sorted(copy.rglob("*")) == before


def test_a_damaged_step_is_kept_aside(copy):
    victim = _files(copy)[0]
    victim.write_bytes(victim.read_bytes() + b"?")
    with Checkpoints(copy) as checkpoints:
        assert checkpoints.latest_good() == 10
        assert checkpoints.steps() == [10]
    aside = copy.parent / "damaged"
    assert sorted(p.name for p in aside.iterdir()) == ["20", "20.json"]
    assert (aside / "20" / victim.relative_to(copy / "20")).read_bytes().endswith(b"?")


def test_latest_and_best_are_kept(tmp_path):
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        for step in (1, 2, 3, 4, 5, 6):
            checkpoints.save(step, _state(step), {"step": step, "best_step": min(step, 3)})
        checkpoints.wait()
        assert checkpoints.steps() == [3, 5, 6]
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:  # also after a restart
        assert checkpoints.latest_good() == 6
        checkpoints.save(7, _state(7), {"step": 7, "best_step": 3})
        checkpoints.wait()
        assert checkpoints.steps() == [3, 6, 7]


def test_unknown_step_and_wrong_shape(copy):
    with Checkpoints(copy, read_only=True) as checkpoints:
        with pytest.raises(UserError, match=r"no checkpoint of step 15; there are \[10, 20\]"):
            checkpoints.restore_params(15, _state(0)["params"])
        with pytest.raises(UserError, match="cannot be restored"):
            checkpoints.restore(
                20, {"step": jnp.int32(0), "params": {"w": jnp.zeros((5, 4)), "b": jnp.zeros(4)}}
            )
    with pytest.raises(UserError, match="no checkpoints there"):
        Checkpoints(copy / "nothing", read_only=True)


def test_a_save_that_fails_says_what_is_intact(copy):
    with Checkpoints(copy) as checkpoints:
        (copy / "manifests").rename(copy / "hidden")
        (copy / "manifests").write_text("in the way")
        with pytest.raises(UserError, match="step 30 could not be written"):
            checkpoints.save(30, _state(30), {"step": 30})


def test_manifest_lists_every_file(saved):
    manifest = json.loads((saved / "manifests/20.json").read_text())
    assert set(manifest) == {str(p.relative_to(saved / "20")) for p in _files(saved)}
    assert jax.tree.all(
        {name: size == (saved / "20" / name).stat().st_size for name, (size, _) in manifest.items()}
    )
