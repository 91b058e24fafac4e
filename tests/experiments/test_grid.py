"""The runs of an experiment: which there are, what they share, and what is done again."""

import json

import pytest
import tiny
from faked_grid import fake_runs

from toner_jax.commands import config_file
from toner_jax.commands.app import main
from toner_jax.config import base, copied
from toner_jax.config_keys import get
from toner_jax.errors import UserError
from toner_jax.experiments import grid
from toner_jax.experiments.variants import Variant, explanations, parts, sizes, thresholds, type_sources
from toner_jax.runs import marker
from toner_jax.validation import validate


def changed_keys(one, other, prefix="") -> dict:
    """Keys of two configurations with other values."""
    found = {}
    for key in {**one, **other}:
        a, b = one.get(key), other.get(key)
        if hasattr(a, "items"):
            found |= changed_keys(a, b, f"{prefix}{key}.")
        elif a != b:
            found[prefix + key] = (a, b)
    return found


def test_a_rung_changes_exactly_what_it_says():
    config = base()
    rungs = parts(config).variants
    runs = [rung.of(config, seed=0).to_dict() for rung in rungs]
    off = {
        "matcher.enabled": (False, True),
        "generator.lambda_c": (0.0, 0.1),
        "generator.type_recognition": (0.0, 0.5),
    }
    assert runs[-1] == config.to_dict()
    assert changed_keys(runs[0], config.to_dict()) == off
    for i, key in enumerate(off):
        assert changed_keys(runs[i], runs[i + 1]) == {key: off[key]}
    assert changed_keys(rungs[2].of(config, seed=3).to_dict(), runs[2]) == {"seed": (3, 0)}
    assert config.to_dict() == base().to_dict()  # untouched


def all_changes(study) -> dict:
    """Folder → what its runs have other than the base configuration."""
    config = base().to_dict()
    runs = {v.folder: v.of(base(), 0).to_dict() for v in study.variants}
    return {name: {k: a for k, (a, _) in changed_keys(run, config).items()} for name, run in runs.items()}


def test_studies_of_inputs_change_exactly_what_they_say():
    gold = "gold"
    assert all_changes(type_sources(base())) == {
        "tr": {},
        "types_cross_fitted": {"types.training": "cross_fitted"},
        "types_oracle_train": {"types.training": gold},
        "types_oracle_test": {"types.evaluation": gold},
        "types_oracle": {"types.training": gold, "types.evaluation": gold},
        "types_random": {"types.training": "random", "types.evaluation": "random"},
        "types_none": {"matcher.enabled": False},
    }
    assert all_changes(explanations(base())) == {
        "tr": {},
        "exp_explained": {"generator.explanations": "template"},
        "exp_shuffled": {"generator.explanations": "template", "generator.explanation_control": "shuffled"},
        "exp_key_words": {"generator.explanations": "template", "generator.explanation_control": "key_words"},
    }
    config = base()
    config.generator.explanations = "theirs.jsonl"
    folders = [(v.folder, v.changes["generator.explanations"]) for v in explanations(config).variants]
    assert folders[:2] == [("exp_plain", ""), ("exp_explained", "theirs.jsonl")]


def test_sizes():
    assert all_changes(sizes(base(), ("large", "xxl"))) == {
        "size_large": {},
        "size_large_exp": {"generator.explanations": "template"},
        "size_xxl": {"generator.checkpoint": "google/flan-t5-xxl", "generator.batch_size": 8},
        "size_xxl_exp": {
            "generator.checkpoint": "google/flan-t5-xxl", "generator.batch_size": 8,
            "generator.explanations": "template",
        },
    }  # fmt: skip
    conll = config_file.load("conll2003", []).config
    assert [v.published for v in sizes(conll, ("large", "xxl", "small")).variants] == [
        93.83, 92.97, 92.52, 93.70, None, None,
    ]  # fmt: skip
    scratch = config_file.load("conll2003:scratch", []).config
    (single, _, double, _) = sizes(scratch, ("1", "2")).variants
    width = "generator.model.d_model"
    assert get(double.of(scratch, 0), width) == 2 * get(single.of(scratch, 0), width)
    for config, name in ((conll, "2"), (scratch, "xl"), (scratch, "0")):
        with pytest.raises(UserError, match=r"^sizes="):
            sizes(config, (name,))


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("conll2003", [87.11, 91.18, 92.23, 93.83]),
        ("conll2003:xl", [89.05, 91.21, 92.13, 93.59]),
        ("conll2003:base", [None] * 4),
        ("jnlpba", [None] * 4),
        ("conll2003:scratch", [None] * 4),
    ],
)
def test_the_paper_s_rungs(name, published):
    assert [rung.published for rung in parts(config_file.load(name, []).config).variants] == published


def test_a_configuration_without_a_part_is_not_ablated():
    config = base()
    config.generator.lambda_c = 0.0
    with pytest.raises(UserError, match=r"generator\.lambda_c: the configuration leaves it off itself"):
        parts(config)
    assert main(["ablate", "--config=quickstart", "--config.generator.lambda_c=0"]) == 2


@pytest.fixture
def faked(monkeypatch):
    """The runs that were asked for, (folder, stages, seed, matcher there before); they write what a run leaves."""
    asked = []

    def tell(config, workdir):
        there = (workdir / "matcher" / "stage.json").exists()
        asked.append((str(workdir.relative_to(workdir.parents[1])), config.stages, config.seed, there))

    fake_runs(monkeypatch, tell)
    return asked


def test_one_matcher_a_seed_for_all_that_use_it(faked, tmp_path):
    config = base()
    grid.run_all(config, parts(config).variants, (0, 5), tmp_path)
    stages = config.stages
    expected = []
    for seed in (0, 5):
        expected += [
            (f"base/seed{seed}", stages, seed, False),
            (f"matcher/seed{seed}", ("matcher",), seed, False),
            *((f"{rung}/seed{seed}", stages, seed, True) for rung in ("f_tm", "tc", "tr")),
        ]
    assert faked == expected
    assert (tmp_path / "tc" / "seed5" / "matcher" / "stage.json").read_text() == "matcher of 5"
    assert not list(tmp_path.rglob("*.half"))


def test_what_is_done_is_asked_for_again_and_the_matcher_is_not(faked, tmp_path):
    """A run itself finds out that it is done; a copy that was begun and left is made anew."""
    config = base()
    left = tmp_path / "f_tm" / ".seed0.half" / "matcher"
    left.mkdir(parents=True)
    (left / "half").write_text("")
    grid.run_all(config, parts(config).variants[:2], (0,), tmp_path)
    first = [folder for folder, *_ in faked]
    assert not (tmp_path / "f_tm" / "seed0" / "matcher" / "half").exists()
    faked.clear()
    (tmp_path / "f_tm" / "seed0" / "own").write_text("kept")
    grid.run_all(config, parts(config).variants[:2], (0,), tmp_path)
    assert [folder for folder, *_ in faked] == [
        folder for folder in first if not folder.startswith("matcher")
    ]
    assert (tmp_path / "f_tm" / "seed0" / "own").read_text() == "kept"


def test_another_matcher_is_not_shared(tmp_path):
    own = Variant("tau", "another τ", {"matcher.tau": 0.1})
    with pytest.raises(UserError, match="another τ: trains a type matching model of its own"):
        grid.run_all(base(), (own,), (0,), tmp_path)


def test_thresholds_are_variants():
    config = base()
    for variant, value in zip(thresholds(config, (0.5, -1.0)).variants, (0.5, -1.0), strict=True):
        changed = variant.of(config, seed=0)
        assert get(changed, "matcher.type_threshold") == value
        assert set(changed_keys(changed.to_dict(), config.to_dict())) == {"matcher.type_threshold"}
    assert [v.folder for v in thresholds(config, (0.5, -1.0)).variants] == ["delta_0.5", "delta_-1"]


@pytest.mark.long
def test_a_real_ablation(tmp_path):
    """Each rung goes on from the shared matcher without training it, and the command can be given again."""
    given = [a for a in tiny.command(tmp_path)[3:] if not a.startswith("--workdir")]
    command = ["ablate", *given, "--seeds=1", f"--out={tmp_path}"]
    assert main(command) == 0
    results = json.loads((tmp_path / "parts.json").read_text())
    for row in results["variants"]:
        assert list(row["figures"]["test_f1"]["by_seed"]) == ["1"]
    shared = marker.stage_result(tmp_path / "matcher" / "seed1", "matcher")
    for rung in ("f_tm", "tc", "tr"):
        lent = tmp_path / rung / "seed1"
        assert marker.stage_result(lent, "matcher") == shared
        logged = [json.loads(line) for line in (lent / "metrics.jsonl").read_text().splitlines()]
        steps = [e["step"] for e in logged if e["stage"] == "matcher" and "loss" in e]
        assert steps == sorted(set(steps))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("checkpoints/*/state/*")}
    assert main(command) == 0
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("checkpoints/*/state/*")} == before


@pytest.mark.parametrize(
    "name", ["conll2003", "conll2003:authors", "jnlpba:scratch", "quickstart", "wnut17:paper,xl"]
)
def test_every_variant_of_every_study_can_be_made_of_every_configuration(name):
    """Of those, too, whose δ is a word: `dev`."""
    config = config_file.load(name, []).config
    size = "large" if config.generator.checkpoint else "2"
    studies = (
        parts(config),
        type_sources(config),
        explanations(config),
        sizes(config, [size]),
        thresholds(config, [0.3, -1, 1.0]),
    )
    for study in studies:
        for variant in study.variants:
            made = variant.of(config, 7)
            assert {key: get(made, key) for key in variant.changes} == variant.changes
            validate(made)
    assert [v.of(config, 0).matcher.type_threshold for v in studies[-1].variants] == [0.3, -1, 1.0]


def test_a_copy_takes_what_the_configuration_takes():
    for word in (0.5, "dev", 1):
        config = base()
        config.matcher.type_threshold = word
        for other in ("dev", 0.25, 1, word):
            copy = copied(config)
            copy.matcher.type_threshold = other
            assert (copy.matcher.type_threshold, config.matcher.type_threshold) == (other, word)
            with pytest.raises(AttributeError):
                copy.matcher.no_such_key = 1
