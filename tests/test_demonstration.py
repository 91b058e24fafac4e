"""The model that the package brings, and the names by which models are found."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from shared_data import SHARED, needs_shared

import toner_jax
from toner_jax.commands import app, config_file
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.errors import UserError
from toner_jax.evaluation.scoring import strict_counts
from toner_jax.runs import named

TEXT = "Judge Ivan Borcalski married Professor Jaman in Selqua in 1973 ."


@pytest.fixture(scope="module")
def ner():
    return toner_jax.load("quickstart")


def test_it_is_small_and_says_what_it_is(caplog):
    sizes = [path.stat().st_size for path in named.demonstration().rglob("*") if path.is_file()]
    assert 1e6 < sum(sizes) < 5e6
    named._warn_of_demonstration.cache_clear()
    with caplog.at_level(logging.WARNING, "toner_jax"):
        assert named.find_model("quickstart") == named.demonstration()
    (record,) = caplog.records
    about = named.about_demonstration()
    assert record.getMessage() == (
        "quickstart is a demonstration, trained on generated names: strict F1 "
        f"{about['f1']['generated']:.2f} on such, {about['f1']['wnut17']:.2f} on the real texts of WNUT-17; "
        "toner-jax train makes a model of your own texts"
    )


def test_it_finds_entities(ner):
    found = [(e["text"], e["label"]) for e in ner.predict([TEXT])[0]]
    assert found == [
        ("Ivan Borcalski", "person"), ("Jaman", "person"), ("Selqua", "location"), ("1973", "date")
    ]  # fmt: skip


LEAN = """
import sys
for name in ("orbax", "matplotlib", "transformers", "datasets", "tensorflow", "pandas"):
    sys.modules[name] = None  # an import of it fails
import toner_jax
print(len(toner_jax.load("quickstart").predict([sys.argv[1]])[0]))
"""


@pytest.mark.slow
def test_it_is_loaded_without_what_takes_long_to_import():
    done = subprocess.run(
        [sys.executable, "-c", LEAN, TEXT], capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


@pytest.mark.slow
def test_it_is_as_good_as_it_says(ner):
    """On sentences of its test split."""
    data = config_file.load("quickstart", []).config.data
    data.generated.train = data.generated.dev = 10
    sentences = load_dataset(DataOptions.from_section(data), ["test"]).splits["test"][:200]
    found, _ = ner.recognize(sentences)
    f1 = strict_counts(sentences, [r.entities for r in found]).f1
    assert f1 == pytest.approx(named.about_demonstration()["f1"]["generated"], abs=0.03)


@pytest.mark.slow
@needs_shared
def test_its_figures_are_measured(ner):
    from scripts import make_demonstration

    data = config_file.load("quickstart", []).config.data
    about = make_demonstration.about(ner, data, str(SHARED / "data" / "wnut17"))
    kept = named.about_demonstration()
    assert about["f1"] == pytest.approx(kept["f1"], abs=5e-4)
    assert about["trained_on"] == kept["trained_on"]


def test_it_is_converted_by_its_name(tmp_path):
    from toner_jax.runs.export.convert import convert

    convert("quickstart", tmp_path / "copy", dtype="bfloat16")
    assert (tmp_path / "copy" / "toner.json").is_file()


def test_a_folder_goes_first(tmp_path, monkeypatch, finished):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()  # no model
    assert named.find_model("quickstart") == named.demonstration()
    (tmp_path / "quickstart").rmdir()
    (tmp_path / "quickstart").symlink_to(finished[0])
    assert named.find_model("quickstart").resolve() == finished[0].resolve()


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("nowhere", None, "nowhere: no such folder; a model is the work directory of a run, a folder of"),
        ("runs/nowhere", None, "runs/nowhere: no such folder; a model is"),  # runs is there: no id of the hub
        ("", None, "no model is named: the name is empty"),
        ("a/b/c", None, "a/b/c: no such folder; a model is"),
        (
            "quickstart",
            "main",
            "quickstart: a revision is of a model of the Hugging Face hub, named as user/model",
        ),
        ("runs", "main", "runs: a revision is of a model"),
    ],
)
def test_what_is_no_model(tmp_path, monkeypatch, name, revision, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    with pytest.raises(UserError) as caught:
        named.find_model(name, revision)
    assert str(caught.value).startswith(message)


@pytest.mark.slow
def test_predict_with_it(tmp_path, capsys):
    (tmp_path / "in.txt").write_text(TEXT + "\n")
    named._warn_of_demonstration.cache_clear()
    assert app.main(["predict", "--model=quickstart", f"--input={tmp_path}/in.txt"]) == 0
    out, err = capsys.readouterr()
    assert '"Ivan Borcalski"' in out
    assert "quickstart is a demonstration, trained on generated names" in err
