"""The short form of tests/stress/fuzz_exports.py, and whether it would notice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stress"))

import fuzz_exports
import made_exports

from toner_jax.data.repairs import Repairs


@pytest.fixture(autouse=True)
def _spacy(request):
    if request.node.callspec.params.get("form") == "docbin":
        pytest.importorskip("spacy")


@pytest.mark.parametrize("form", fuzz_exports.FORMS)
def test_a_sound_file_is_read_whole(tmp_path, form):
    for seed in range(5):
        assert fuzz_exports.try_one(form, seed, tmp_path / "x", times=0) == ("read", "")


@pytest.mark.slow
@pytest.mark.parametrize("form", fuzz_exports.FORMS)
def test_a_damaged_file_is_refused_or_read_whole(tmp_path, form):
    outcomes = [fuzz_exports.try_one(form, seed, tmp_path / "x") for seed in range(40)]
    assert [(seed, fault) for seed, (_, fault) in enumerate(outcomes) if fault] == []
    assert {outcome for outcome, _ in outcomes} == {"read", "refused"}


@pytest.mark.parametrize("form", ["jsonl", "label_studio", "brat"])
@pytest.mark.parametrize("change", ["lost", "invented", "other text", "counted"])
def test_a_fault_is_noticed(tmp_path, form, change):
    doc = made_exports.Doc(["Uma", "left", "."], [(0, 1, "PER")])
    data = fuzz_exports.make_content(form, [doc], None, 0)  # type: ignore[arg-type]
    read = fuzz_exports.read_file(form, data, [doc], tmp_path / "x")
    claims = fuzz_exports.claims(form, data)
    assert (claims, fuzz_exports.faults(read, claims)) == ([("PER", "Uma")], [])
    if change == "lost":
        claims += [("LOC", "Rio")]
    elif change == "invented":
        claims = []
    elif change == "other text":
        claims = [("PER", "left")]
    else:
        read = read._replace(repairs=Repairs({"duplicate_entity": ["x"]}))
    assert fuzz_exports.faults(read, claims)
