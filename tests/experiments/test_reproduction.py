"""The paper's tables and figures: which runs they take, and what stands beside ours."""

import json
from xml.etree import ElementTree

import pytest
from faked_grid import fake_runs

from toner_jax.commands.app import main
from toner_jax.evaluation.paper import RESULTS
from toner_jax.experiments.reproduction import TABLES, study_of, title_of


@pytest.fixture
def asked(monkeypatch):
    """The runs that were asked for, as (data set and variant, folder, seed); they write reports."""
    runs = []

    def tell(config, workdir):
        runs.append((workdir.parents[1].name, workdir.parent.name, config.seed))
        f1 = 0.5 + 0.1 * config.seed + 0.01 * len(runs)
        scores = {"precision": f1, "recall": f1, "f1": f1}
        report = {"strict": {**scores, "f1": f1 - 0.05}, "toner_compatible": scores}
        (workdir / "report").mkdir(parents=True, exist_ok=True)
        for split in ("dev", "test"):
            (workdir / "report" / f"{split}.json").write_text(json.dumps(report))

    fake_runs(monkeypatch, tell)
    return runs


def test_a_table_of_two_data_sets(asked, tmp_path, capsys):
    command = ["reproduce", "--table=5", "--variants=scratch,small", "--seeds=0,1", f"--out={tmp_path}"]
    assert main(command) == 0
    whole = [run for run in asked if run[1] == "tr"]
    assert whole == [
        (f"{dataset}-{variant}", "tr", seed)
        for dataset in ("ace2004", "ace2005")
        for variant in ("scratch", "small")
        for seed in (0, 1)
    ]
    shown = capsys.readouterr().out
    assert shown.startswith("# Table 5: Results for ACE2004 and ACE2005")
    assert "## ace2004" in shown
    assert "| ToNER-xl | 90.03 | 86.24 | 88.09 | – | the paper's |" in shown
    found = json.loads((tmp_path / "table5.json").read_text())["datasets"]
    for dataset in ("ace2004", "ace2005"):
        paper = [r for r in RESULTS if (r.table, r.dataset) == (5, dataset)]
        rows = found[dataset]
        assert [row["model"] for row in rows] == [
            *(r.model for r in paper), "ours, scratch: ToNER", "ours, small: ToNER",
        ]  # fmt: skip
        assert [row["f1"]["mean"] for row in rows[:-2]] == pytest.approx([r.f1 / 100 for r in paper])
        assert len(rows[-1]["f1"]["by_seed"]) == 2
        picture = tmp_path / f"table5-{dataset}.svg"
        assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    before = len(asked)
    assert main([*command, "--collect"]) == 0
    assert len(asked) == before
    assert json.loads((tmp_path / "table5.json").read_text())["datasets"] == found


def test_tables_share_runs(asked, tmp_path):
    for which in ("--table=6", "--table=7", "--figure=5"):
        given = ["reproduce", which, "--datasets=conll2003", "--variants=scratch", f"--out={tmp_path}"]
        assert main(given) == 0
    # A run that is there is asked for again, and finds out that it is done; it lives where it did.
    folders = [folder for _, folder, _ in asked]
    assert set(folders) == {"base", "matcher", "f_tm", "tc", "tr", "exp_explained"}
    assert folders.count("matcher") == 1
    assert (
        json.loads((tmp_path / "table7.json").read_text())["datasets"]["conll2003"][1]["model"]
        == "ToNER-large-EXP"
    )


def test_which_runs_there_are():
    from toner_jax.commands import config_file

    config = config_file.load("conll2003:large", []).config
    titles = {("table", n): len(study_of("table", n, config).variants) for n in TABLES}
    assert titles == {("table", 3): 1, ("table", 4): 1, ("table", 5): 1, ("table", 6): 4, ("table", 7): 2}
    assert [v.published for v in study_of("table", 6, config).variants] == [87.11, 91.18, 92.23, 93.83]
    assert len(study_of("figure", 3, config).variants) == 6
    assert study_of("figure", 4, config) is None
    assert len(study_of("figure", 5, config).variants) == 2
    assert title_of("figure", 4) == "Figure 4: Similarity score distributions of all text-type pairs"


def test_nothing_there_yet(tmp_path, capsys):
    assert main(["reproduce", "--table=4", "--collect", f"--out={tmp_path}"]) == 0
    assert "| ours, large: ToNER | – | – | – | – | 0 |" in capsys.readouterr().out
    assert main(["reproduce", "--figure=4", "--datasets=jnlpba", "--collect", f"--out={tmp_path}"]) == 0
    assert "no type matching model yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name one: --table=3 to 7, or --figure=3 to 5"),
        (["--table=3", "--figure=3"], "name one"),
        (["--table=2"], "there are tables 3 to 7 and figures 3 to 5"),
        (["--table=4", "--datasets=wnut17"], "wnut17: table 4 has jnlpba"),
        (["--table=4", "--dirs=jnlpba"], "name the folder of each data set"),
        (["--table=4", "--variants=huge"], "config variant 'huge'"),
    ],
)
def test_mistakes(arguments, said, tmp_path, capsys):
    assert main(["reproduce", *arguments, f"--out={tmp_path}"]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
