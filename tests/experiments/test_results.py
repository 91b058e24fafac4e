"""Means, deviations and differences by hand; tables and pictures of what is there."""

import json
from xml.etree import ElementTree

import pytest

from toner_jax.commands.app import main
from toner_jax.experiments.pictures import draw_thresholds, draw_variants
from toner_jax.experiments.results import collect, markdown
from toner_jax.experiments.variants import Study, Variant

VARIANTS = (
    Variant("a", "first | one", {}, 80.0),
    Variant("b", "+ more", {"seed": 1}),
    Variant("c", "+ none", {}),
)
STUDY = Study("s", "T", VARIANTS, "before")


@pytest.fixture
def out(tmp_path):
    """Runs of a: seeds 0, 1, 2; of b: 1, 2, and one that is not evaluated; of c: none."""
    for folder, seed, f1 in (("a", 0, 0.1), ("a", 1, 0.5), ("a", 2, 0.7), ("b", 1, 0.6), ("b", 2, 0.9)):
        report = tmp_path / folder / f"seed{seed}" / "report"
        report.mkdir(parents=True)
        scores = {"strict": {"f1": f1}, "toner_compatible": {"f1": f1 + 0.01}}
        types = {"types": {"f1": 0.5}} if folder == "b" else {}
        (report / "test.json").write_text(json.dumps(scores | types))
        (report / "dev.json").write_text(json.dumps({"strict": {"f1": 0.25}}))
    (tmp_path / "b" / "seed0").mkdir()
    return tmp_path


def test_what_comes_of_runs(out):
    a, b, c = collect(out, STUDY, (0, 1, 2))["variants"]
    assert a["figures"]["test_f1"]["mean"] == pytest.approx(1.3 / 3)
    assert a["figures"]["test_f1"]["sd"] == pytest.approx(0.305505, abs=1e-6)
    assert a["added"]["mean"] is None
    # Of the seeds that both have: +0.1 and +0.2, not the difference of the means.
    assert b["added"]["by_seed"] == pytest.approx({1: 0.1, 2: 0.2})
    assert b["added"]["mean"] == pytest.approx(0.15)
    assert b["added"]["sd"] == pytest.approx(0.05 * 2**0.5)
    assert c["figures"]["test_f1"] == {"by_seed": {}, "mean": None, "sd": None}


def test_against_the_first(out):
    variants = (VARIANTS[0], VARIANTS[2], VARIANTS[1])
    results = collect(out, Study("s", "T", variants), (0, 1, 2))
    assert results["variants"][2]["added"]["by_seed"] == pytest.approx({1: 0.1, 2: 0.2})
    assert "test F1 above the first row" in markdown(results)


def test_a_table(out):
    lines = markdown(collect(out, STUDY, (0, 1, 2))).splitlines()
    assert lines[0] == "# T"
    assert lines[4:7] == [
        "| first \\| one | 43.33 ± 30.55 | 44.33 ± 30.55 | 25.00 ± 0.00 | – | – | 3 | 80.00 |",
        "| + more | 75.00 ± 21.21 | 76.00 ± 21.21 | 25.00 ± 0.00 | 50.00 ± 0.00 | +15.00 ± 7.07 | 2 | – |",
        "| + none | – | – | – | – | – | 0 | – |",
    ]
    assert len({line.replace("\\|", "").count("|") for line in lines[2:7]}) == 1
    (single,) = (line for line in markdown(collect(out, STUDY, (1,))).splitlines() if "more" in line)
    assert "| 60.00 | 61.00 | 25.00 | 50.00 | +10.00 | 1 |" in single


def test_pictures_are_whole(out, tmp_path):
    results = collect(out, STUDY, (0, 1, 2))
    draw_variants(results, tmp_path / "a.svg")
    draw_variants(collect(tmp_path / "none", STUDY, (0,)), tmp_path / "b.svg")
    rows = [{"type_threshold": d, "f1": 0.9, "types_f1": d} for d in (0.8, 0.5)]
    draw_thresholds(rows, 0.6, "T", tmp_path / "c.svg")
    for name in "abc":
        assert ElementTree.parse(tmp_path / f"{name}.svg").getroot().tag.endswith("svg")


def test_bad_wishes(tmp_path, capsys):
    for arguments, said in (
        (["sweep", "--thresholds=0.5"], "--mode=decode evaluates a finished run: give --workdir"),
        (["sweep", "--thresholds=2", f"--workdir={tmp_path}"], "cosines between -1 and 1"),
        (["sweep", "--mode=retrain", "--thresholds=0.5"], "trains a generator for each δ: give --config"),
        (["sweep", "--mode=retrain", "--thresholds=0.5", "--config=quickstart", "--config.matcher.enabled=False"],
         "there is no δ to sweep"),
        (["ablate", "--config=quickstart", "--seeds=a"], "a"),
    ):  # fmt: skip
        assert main(arguments) == 2
        lines = capsys.readouterr().err.splitlines()
        assert said in lines[-1]
        assert len([line for line in lines if line.startswith("toner-jax")]) == 1
