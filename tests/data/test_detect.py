"""The registry of formats: what a single file or folder is found to be, and how it is read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sound import labels_of
from test_ace import NEWSWIRE
from test_ace import put as put_ace
from test_ontonotes import conll, name_file

from toner_jax.config import base
from toner_jax.data.detect import detect, locate_split
from toner_jax.data.formats.registry import FORMATS, format_of, read_path
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.errors import UserError

OPTIONS = DataOptions.from_section(base().data)
SPAN = {"start": 0, "end": 3, "label": "PER"}
TASK = {"data": {"text": "Ann ran"}, "annotations": [{"result": [{"type": "labels", "value": {
    "start": 0, "end": 3, "labels": ["PER"]}}]}]}  # fmt: skip
CONLL = conll("nw/a", [("Ann", "(PER)"), ("ran", "*")])
NAME = name_file("nw/a", '<ENAMEX TYPE="PER">Ann</ENAMEX> ran')


def lines(*items: dict) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


# name of a case: format, the path to look at, and files: path → content
INPUTS = {
    "columns": ("columns", "x.txt", {"x.txt": "-DOCSTART- -X- O O\n\nAnn NN B-NP B-PER\nran VB B-VP O\n"}),
    "columns, no suffix": ("columns", "eng.testb", {"eng.testb": "Ann\tI-PER\nran\tO\n"}),
    "columns, MEDLINE": ("columns", "x.iob2", {"x.iob2": "###MEDLINE:1\n\nAnn\tB-PER\nran\tO\n"}),
    "columns, a bracket first": ("columns", "x.txt", {"x.txt": "[ O\nAnn B-PER\nran O\n"}),
    "csv": ("csv", "x.csv", {"x.csv": "Word;Tag\nAnn;B-PER\nran;O\n"}),
    "columns, named .csv": ("columns", "x.csv", {"x.csv": "Ann B-PER\nran O\n, O\n"}),
    "columns, named .csv, tabs": ("columns", "x.csv", {"x.csv": "Ann\tB-PER\nran\tO\n"}),
    "columns, named .csv, a comma first": ("columns", "x.csv", {"x.csv": ", O\nAnn B-PER\nran O\n"}),
    "csv, by its header": ("csv", "x.txt", {"x.txt": "Sentence #,Word,POS,Tag\n1,Ann,NN,B-PER\n,ran,VB,O\n"}),
    "csv, tabs": ("csv", "x.tsv", {"x.tsv": "Token\tNER\nAnn\tB-PER\nran\tO\n"}),
    "json, W2NER": ("json", "x.json", {"x.json": lines({"sentence": ["Ann"], "ner": [
        {"index": [0], "type": "PER"}]})}),
    "json, named otherwise": ("json", "mrc-ner.test", {"mrc-ner.test": json.dumps([
        {"context": "Ann ran", "label": {"PER": ["0;0"]}}], indent=2)}),
    "jsonl, characters": ("jsonl", "x.jsonl", {"x.jsonl": lines({"text": "Ann ran", "entities": [SPAN]})}),
    "jsonl, lists": ("jsonl", "x.txt", {"x.txt": lines({"text": "Ann ran", "entities": [[0, 3, "PER"]]})}),
    "jsonl, tags": ("jsonl", "x.json", {"x.json": json.dumps([{"tokens": ["Ann"], "ner_tags": ["B-PER"]}])}),
    "label_studio": ("label_studio", "x.json", {"x.json": json.dumps([TASK], indent=1)}),
    "label_studio, JSON-MIN": ("label_studio", "x.json", {"x.json": json.dumps([
        {"text": "Bo", "label": []}, {"text": "Ann", "label": [{"start": 0, "end": 3, "labels": ["PER"]}]}])}),
    "doccano": ("doccano", "x.jsonl", {"x.jsonl": lines(
        {"text": "Bo", "label": []}, {"text": "Ann ran", "label": [[0, 3, "PER"]]})}),
    "doccano, relations": ("doccano", "x.jsonl", {"x.jsonl": lines({"text": "Ann", "relations": [], "entities": [
        {"start_offset": 0, "end_offset": 3, "label": "PER"}]})}),
    "label_studio, other names": ("label_studio", "x.json", {"x.json": json.dumps([
        {"body": "Ann", "ner": [{"start": 0, "end": 3, "labels": ["PER"]}]}])}),
    "jsonl, Prodigy": ("jsonl", "x.jsonl", {"x.jsonl": lines(
        {"text": "Bo", "_input_hash": 1, "answer": "accept"},
        {"text": "Ann ran", "_input_hash": 2, "spans": [SPAN], "answer": "accept"})}),
    "jsonl, tags beside a text": ("jsonl", "x.jsonl", {"x.jsonl": lines(
        {"tokens": ["Ann", "ran"], "ner_tags": ["B-PER", "O"], "text": "Ann ran"})}),
    "brat": ("brat", "set", {"set/a.txt": "Ann ran", "set/a.ann": "T1\tPER 0 3\tAnn\n"}),
    "ontonotes, a file": ("ontonotes", "x.gold_conll", {"x.gold_conll": CONLL}),
    "ontonotes, named otherwise": ("ontonotes", "x.conll", {"x.conll": CONLL}),
    "ontonotes, a name file": ("ontonotes", "x.txt", {"x.txt": NAME}),
    "ontonotes, a folder": ("ontonotes", "set", {"set/deep/x.name": NAME}),
}  # fmt: skip


def put(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


@pytest.mark.parametrize("case", INPUTS)
def test_a_path_is_found_to_be_of_its_format(tmp_path, case):
    name, path, files = INPUTS[case]
    put(tmp_path, files)
    path = tmp_path / path
    assert detect(path, FORMATS) == format_of(path, "auto") == name
    read = read_path(path, "auto", None, "x", OPTIONS)
    assert read == read_path(path, name, None, "x", OPTIONS)
    assert [(s.surface(e), e.type) for s in read.sentences for e in s.entities] == [("Ann", "PER")]
    assert labels_of(path, "auto", OPTIONS) == {"PER": 1}


@pytest.mark.parametrize("path", ["", "D1.sgm", "D1.apf.xml"])
def test_ace(tmp_path, path):
    for i in (1, 2):
        put_ace(tmp_path, f"D{i}", NEWSWIRE, [("PER", "PRO", "They")])
    assert format_of(tmp_path / path, "auto") == "ace"
    documents = {s.doc_id for s in read_path(tmp_path / path, "auto", None, "x", OPTIONS).sentences}
    assert documents == ({"D1"} if path else {"D1", "D2"})


@pytest.mark.parametrize("name", ["ontonotes", "ace"])
def test_a_list_is_told_by_its_lines_and_only_where_the_data_folder_is_known(tmp_path, monkeypatch, name):
    if name == "ace":
        put_ace(tmp_path / "deep", "D1", NEWSWIRE, [("PER", "PRO", "They")])
    put(tmp_path, {"deep/x.gold_conll": CONLL} if name == "ontonotes" else {})
    put(
        tmp_path,
        {"test.id": "nw/a\n" if name == "ontonotes" else "D1\n", "x.txt": "Ann\nran off to bed\nand slept\n"},
    )
    (tmp_path / "x.bin").write_bytes(b"\x01\x02nw/a\n\x00")
    assert detect(tmp_path / "test.id", FORMATS, tmp_path) == name
    for other in ("x.txt", "x.bin"):
        with pytest.raises(UserError, match="looks like no known format; name its format"):
            detect(tmp_path / other, FORMATS, tmp_path)
    read = read_path(tmp_path / "test.id", name, None, "x", OPTIONS)
    assert {s.doc_id for s in read.sentences} == {"nw/a" if name == "ontonotes" else "D1"}
    monkeypatch.setattr(Path, "rglob", None)  # nothing is searched
    with pytest.raises(UserError, match=r"looks like no known format; .*; it begins with '(nw/a|D1)'$"):
        format_of(tmp_path / "test.id", "auto")


def test_docbin(tmp_path):
    spacy = pytest.importorskip("spacy")
    doc = spacy.blank("en")("Ann ran")
    doc.ents = [doc.char_span(0, 3, "PER")]
    spacy.tokens.DocBin(docs=[doc]).to_disk(tmp_path / "x.spacy")
    (tmp_path / "x").write_bytes((tmp_path / "x.spacy").read_bytes())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/x.name").write_text(NAME)
    for name in ("x", "x.spacy"):
        assert format_of(tmp_path / name, "auto") == detect(tmp_path / name, FORMATS, tmp_path) == "docbin"
    assert labels_of(tmp_path / "x", "auto", OPTIONS) == {"PER": 1}
    assert labels_of(tmp_path / "x.spacy", "auto", OPTIONS) == {"PER": 1}


@pytest.mark.parametrize(("first", "name"), [("[", "label_studio"), ("{", "doccano")])
def test_empty_labels_are_told_by_what_tools_write(tmp_path, first, name):
    item = {"text": "Ann ran", "label": []}
    (tmp_path / "x.json").write_text(json.dumps([item] if first == "[" else item))
    assert format_of(tmp_path / "x.json", "auto") == name


def test_columns_with_the_tag_first(tmp_path):
    options = replace(
        OPTIONS, format="auto", dir=str(tmp_path), name="ships", token_column=1, tag_columns=(0,)
    )
    put(tmp_path, {"train.txt": "B-SHIP\tAjax\nO\tsank\n\nB-SHIP\tArgo\nB-PORT\tLima\n"})
    assert labels_of(tmp_path / "train.txt", "auto", options) == {"SHIP": 2, "PORT": 1}
    train = load_dataset(options, ["train"]).splits["train"]
    assert [s.words for s in train] == [("Ajax", "sank"), ("Argo", "Lima")]


REFUSED = {
    "prose": ("x.txt", "Ann flew a B-52 to the O hotel.\nThen she slept.\n", "x.txt: looks like no known format;"),
    "a picture": ("x.png", "\x89PNG\n\x00\x00", "x.png: looks like no known format; name its format, one of csv, "),
    "other keys": ("x.json", '[{"said": "Ann"}]',
                   "x.json: looks like no known format (its records have the keys 'said'); name its format"),
    "conversations": ("x.json", '[{"conversations": [{"from": "human", "value": "Text: Ann"}]}]',
                      "x.json: these are the conversations of ShareGPT and UniversalNER"),
    "not JSON": ("x.json", '[{"text": "Ann"', "x.json:1: not JSON"),
    "nothing": ("x.txt", " \n", "x.txt: empty: it holds no sentence; check that this is the right file"),
    "no records": ("x.json", "[]", "x.json: looks like no known format; name its format"),
    "a folder of texts": ("set/a.txt", "Ann", "set: looks like no known format; name its format"),
}  # fmt: skip


def test_a_csv_of_unusual_names_and_one_of_a_single_column(tmp_path):
    put(tmp_path, {"x.csv": "w\ty\nAnn\tB-PER\n", "y.csv": "Word\nAnn\n"})
    assert format_of(tmp_path / "x.csv", "auto") == "csv"
    assert labels_of(tmp_path / "x.csv", "auto", replace(OPTIONS, columns=("w", "y"))) == {"PER": 1}
    with pytest.raises(UserError, match=r"/y\.csv: looks like no known format; .*; it begins with 'Word'$"):
        format_of(tmp_path / "y.csv", "auto")


# What no format recognizes but its reader can name: content, and how the error goes on after the path
NEARLY = {
    "tags without prefixes and O": (
        "Ajax SHIP\nLima PORT\n",
        ":1: tag 'SHIP' has no prefix, and no word has the tag O",
    ),
    "an underscore, once": (
        "Ajax SHIP_B\nsank O\n",
        ":1: tag 'SHIP_B' may be a label, or the label 'SHIP' with the",
    ),
    "cases that differ": (
        "Ajax\tb-ship\nsank\tO\n",
        ":1: tag 'b-ship' may be a label, or the label 'ship' with the",
    ),
    "a comment of another kind": ("// ships we saw\nAjax B-SHIP\n", ":2: 2 columns where line 1 has 4; give"),
    "an uneven row": ("Ajax SHIP\nLima PORT\nx\n", ":3: 1 column where line 1 has 2; give every line"),
    "prose, its first line quoted": (
        "Ann ran off.\nBo slept.\n",
        ": looks like no known format; name its format",
    ),
}


@pytest.mark.parametrize("case", NEARLY)
def test_what_is_nearly_columns_is_refused_by_its_line(tmp_path, case):
    content, problem = NEARLY[case]
    put(tmp_path, {"x.txt": content})
    with pytest.raises(UserError) as caught:
        read_path(tmp_path / "x.txt", "auto", None, "x", OPTIONS)
    assert str(caught.value).startswith(f"{tmp_path}/x.txt{problem}")
    assert ("looks" in problem) == str(caught.value).endswith("; it begins with 'Ann ran off.'")


@pytest.mark.parametrize("content", [
    '{ "text": "Ann", "entities": [[0, 3, "PER"]]}', '[ { "text": "Ann", "entities": [[0, 3, "PER"]]}]',
    '[\n{\n"text": "Ann", "entities": [[0, 3, "PER"]]}\n]', "[  ]", '{ "text": "Ann" ',
])  # fmt: skip
def test_json_is_told_with_spaces_too(tmp_path, content):
    put(tmp_path, {"x.txt": content})
    if "PER" in content:
        assert labels_of(tmp_path / "x.txt", "auto", OPTIONS) == {"PER": 1}
    else:
        with pytest.raises(UserError, match=r"x\.txt:1: not JSON" if "Ann" in content else "no known format"):
            format_of(tmp_path / "x.txt", "auto")


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_recognized_is_refused(tmp_path, case):
    name, content, problem = REFUSED[case]
    put(tmp_path, {name: content})
    with pytest.raises(UserError) as caught:
        format_of(tmp_path / name.split("/")[0], "auto")
    assert str(caught.value).startswith(f"{tmp_path}/{problem}")
    assert "\n" not in str(caught.value)


def test_what_has_no_single_path_is_refused(tmp_path):
    message = f"{tmp_path}: the format 'generated' reads no single file or folder; name the one that it is in: auto, "
    with pytest.raises(UserError) as caught:
        read_path(tmp_path, "generated", None, "", OPTIONS)
    assert str(caught.value).startswith(message)


def test_unknown_formats_and_absent_paths(tmp_path):
    with pytest.raises(
        UserError, match=r"^data\.format='xml': expected one of auto, csv, columns, .*, generated$"
    ):
        format_of(tmp_path, "xml")
    for name in ("auto", "columns", "generated", "hub"):
        with pytest.raises(UserError, match=r"/absent: no such file or folder$"):
            format_of(tmp_path / "absent", name)


def test_auto_finds_unnamed_splits_of_any_format(tmp_path):
    put(tmp_path, {
        "train.jsonl": lines({"text": "Ann ran", "entities": [SPAN]}),
        "validation/a.txt": "Bo ran", "validation/a.ann": "T1\tPER 0 2\tBo\n",
        "test.csv": "Word,Tag\nCy,B-PER\n",
    })  # fmt: skip
    dataset = load_dataset(replace(OPTIONS, format="auto", dir=str(tmp_path), name="conll2003"))
    assert {split: s[0].words[0] for split, s in dataset.splits.items()} == {
        "train": "Ann", "dev": "Bo", "test": "Cy",
    }  # fmt: skip


def test_auto_infers_one_schema_for_parts_of_several_formats(tmp_path):
    put(tmp_path, {
        "train.txt": "Ajax B-Ship\nsank O\nLima B-Port\n",
        "dev.jsonl": lines({"text": "Argo ran", "entities": [{"start": 0, "end": 4, "label": "Ship"}]}),
        "test/a.txt": "Rome ran", "test/a.ann": "T1\tPort 0 4\tRome\n",
    })  # fmt: skip
    options = replace(OPTIONS, format="auto", dir=str(tmp_path), name="ships")
    dataset = load_dataset(options)
    assert dataset.schema.names == ("port", "ship")
    found = {split: [(s.surface(e), e.type) for s in part for e in s.entities]
             for split, part in dataset.splits.items()}  # fmt: skip
    assert found == {
        "train": [("Ajax", "ship"), ("Lima", "port")], "dev": [("Argo", "ship")], "test": [("Rome", "port")],
    }  # fmt: skip
    alone = load_dataset(options, ["dev"])
    assert (alone.schema, alone.splits) == (dataset.schema, {"dev": dataset.splits["dev"]})
    (tmp_path / "dev.jsonl").write_text(lines({"text": "Ann", "entities": [SPAN]}))
    found = load_dataset(options)
    assert found.schema.names == ("person", "port", "ship")
    assert "types that train lacks and nothing can learn: person (1) in dev" in found.notes


@pytest.mark.parametrize("splits", [("train", "dev", "test"), ("test",)], ids=["all", "test-only"])
def test_auto_takes_no_file_for_two_splits(tmp_path, splits):
    put(tmp_path, {f"{split}.txt": "Ann B-PER\n" for split in ("train", "test")})
    options = replace(OPTIONS, format="auto", dir=str(tmp_path), name="conll2003", dev="test.txt")
    with pytest.raises(UserError, match=r"/test\.txt: data\.dev and data\.test are the same"):
        load_dataset(options, splits)


CANDIDATES = {
    "unlike files": ({"train.tsv": "id\n", "train.txt": "Ann B-PER\n"}, "train.txt"),
    "a broken one": ({"train.json": "[", "train.conll": "Ann B-PER\n"}, "train.conll"),
    "texts beside": ({"train.txt": "Ann ran off.\nBo.\n", "train.jsonl": lines(
        {"text": "Ann", "entities": [SPAN]})}, "train.jsonl"),
    "an empty folder": ({"train/.keep": "", "train.jsonl": lines({"text": "Ann", "entities": [SPAN]})},
                        "train.jsonl"),
}  # fmt: skip


@pytest.mark.parametrize("case", CANDIDATES)
def test_auto_takes_the_only_candidate_that_a_format_recognizes(tmp_path, case):
    files, name = CANDIDATES[case]
    put(tmp_path, files)
    options = replace(OPTIONS, format="auto", dir=str(tmp_path), name="conll2003")
    assert locate_split(options, "train", FORMATS)[1] == tmp_path / name
    assert [s.text for s in load_dataset(options, ["train"]).splits["train"]] == ["Ann"]


def test_auto_refuses_several_candidates(tmp_path):
    put(tmp_path, {"train.csv": "Word,Tag\nBo,B-PER\n", "train.txt": "Ann B-PER\n"})
    options = replace(OPTIONS, format="auto", dir=str(tmp_path), name="conll2003")
    with pytest.raises(UserError) as caught:
        load_dataset(options, ["train"])
    assert str(caught.value) == (
        f"{tmp_path}/train.csv and train.txt may both be train; name one with data.train=train.csv or train.txt"
    )
    for names in ("train.txt", "train.txt,train.csv"):
        assert [s.text for s in load_dataset(replace(options, train=names), ["train"]).splits["train"]] == [
            "Ann"
        ]
