"""scripts/evaluate.py on other files than the run's own, through its main function, on a finished tiny run."""

from __future__ import annotations

import json

import pytest

from scripts.evaluate import main
from toner_jax.data.documents import Document, Span, read_documents
from toner_jax.data.formats.format import file_format
from toner_jax.data.formats.registry import FORMATS
from toner_jax.runs import reevaluate
from toner_jax.runs.named import demonstration

JSONL = '{"text": "Ivan Borcalski slept.", "entities": [{"start": 0, "end": 14, "label": "person"}]}\n'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "options", "format"),
    [
        ("new.jsonl", JSONL, ["--format=auto"], "jsonl"),
        ("new.txt", "Ivan B-person\nBorcalski I-person\nslept O\n", ["--format=columns"], "columns"),
    ],
)
def test_another_file_is_evaluated(finished, tmp_path, capsys, name, content, options, format):
    (tmp_path / name).write_text(content)
    arguments = [
        f"--workdir={finished[0]}",
        f"--input={tmp_path / name}",
        "--json",
        f"--output={tmp_path / 'out'}",
    ]
    assert main([*arguments, *options]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (report["split"], report["sentences"]) == (name, 1)
    assert report["strict"]["tp"] + report["strict"]["fn"] == 1
    assert (f"{name}: detected format {format}\n" in err) == (options == ["--format=auto"])
    assert json.loads((tmp_path / "out/report.json").read_text()) == report
    (line,) = (tmp_path / "out/predictions.jsonl").read_text().splitlines()
    assert [e["text"] for e in json.loads(line)["gold"]] == ["Ivan Borcalski"]


@pytest.mark.slow
def test_other_thresholds_are_evaluated(finished, capsys):
    reports = []
    for flags in (
        ["--threshold=0.02"],
        ["--config.decode.threshold=0.02"],
        ["--type_threshold=-1", "--threshold=0"],
    ):
        assert main([f"--workdir={finished[0]}", "--split=dev", "--json", *flags]) == 0
        out, err = capsys.readouterr()
        reports.append(json.loads(out))
        delta = json.loads((finished[0] / "types/thresholds.json").read_text())["type_threshold"]
        assert (f"δ: {delta:.4f} in training, -1.0 here\n" in err) == ("--type_threshold=-1" in flags)
    assert reports[0] == reports[1]
    assert (reports[0]["scores"]["threshold"], reports[2]["scores"]["threshold"]) == (0.02, 0)
    assert reports[2]["types"]["recall"] == 1  # every type is above the least cosine


@pytest.mark.parametrize(
    ("content", "options", "problem"),
    [
        (
            JSONL,
            [],
            "the format 'generated' reads no single file or folder; name the one that it is in: auto, ",
        ),
        (
            JSONL,
            ["--format=hub"],
            "cannot be loaded (",
        ),
        (JSONL, ["--format=xml"], "data.format='xml': expected one of auto, "),
        ("Ivan slept.\n", ["--format=auto"], "new: looks like no known format; name its format, one of "),
        (
            JSONL.replace("person", "ship"),
            ["--format=auto"],
            "new:1: label 'ship' is not in schema 'generated'",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(finished, tmp_path, capsys, content, options, problem):
    (tmp_path / "new").write_text(content)
    assert main([f"--workdir={finished[0]}", f"--input={tmp_path / 'new'}", *options]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("toner-jax: ")
    assert problem in last


def test_a_new_format_is_read(finished, tmp_path, monkeypatch, said):
    def read(path, schema, split, options):
        name, _, label = path.read_text().partition("=")
        spans = (Span(0, len(name), label, str(path)),)
        return read_documents([Document("d", name, spans)], schema, split)

    monkeypatch.setitem(FORMATS, "pairs", file_format(read, (".pair",), lambda s: s.path.suffix == ".pair"))
    (tmp_path / "x.pair").write_text("Selqua=location")
    config = reevaluate.changed_config(finished[0], [])
    for format in ("pairs", "auto"):
        (sentence,) = reevaluate.read_input(finished[0], config, tmp_path / "x.pair", format)
        assert [(sentence.surface(e), e.type) for e in sentence.entities] == [("Selqua", "location")]
    assert said() == ["x.pair: detected format pairs"]


def test_a_saved_set_of_several_splits_is_refused_as_input(finished, tmp_path, capsys):
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"tokens": [["Ivan", "slept"]], "ner_tags": [["B-person", "O"]]})
    datasets.DatasetDict({"train": rows, "dev": rows}).save_to_disk(tmp_path / "set")
    assert main([f"--workdir={finished[0]}", f"--input={tmp_path / 'set'}", "--format=auto"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert (
        f"set: a data set of 2 splits (train, dev); give the folder of one, {tmp_path / 'set' / 'train'}"
        in last
    )
    config = reevaluate.changed_config(finished[0], [])
    (sentence,) = reevaluate.read_input(finished[0], config, tmp_path / "set" / "dev", "auto")
    assert sentence.words == ("Ivan", "slept")


def test_keys_of_a_model_that_was_saved_change_too(said):
    """It has no work directory."""
    config = reevaluate.changed_config(demonstration(), [("decode.batch_size", "4")])
    assert config.decode.batch_size == 4
    assert said() == ["decode.batch_size: 64 in training, 4 here"]
