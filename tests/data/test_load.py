"""Data sets as configs describe them."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from toner_jax.config import base
from toner_jax.data.corpora import generated
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.find import SUFFIXES
from toner_jax.data.formats.registry import FORMATS
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.errors import UserError
from toner_jax.schema import EntityType

ROOT = Path(__file__).resolve().parents[2]
get_config = runpy.run_path(str(ROOT / "configs" / "custom.py"))["get_config"]

SOURCE = "The set is distributed by its authors; pass --config.data.dir=FOLDER"


def config(**changes) -> DataOptions:
    data = base().data
    data.update(
        name="wnut17",
        train="train.conll,train.txt",
        dev="dev.conll",
        test="test.conll",
        source=SOURCE,
        generated={"seed": 3, "train": 20, "dev": 5, "test": 7},
    )
    data.update(changes)
    return DataOptions.from_section(data)


@pytest.fixture
def folder(tmp_path):
    """A data set of one-sentence files, each told from the others by its words."""
    (tmp_path / "train.txt").write_text("train\tO\nAjax\tB-group\n")
    (tmp_path / "dev.conll").write_text("dev\tB-person\nx\tI-location\n")
    (tmp_path / "test.conll").write_text("test\tO\n")
    return tmp_path


def words(dataset) -> dict[str, list[tuple[str, ...]]]:
    return {split: [s.words for s in sentences] for split, sentences in dataset.splits.items()}


def test_splits_come_from_the_first_file_that_exists(folder):
    dataset = load_dataset(config(dir=str(folder)))
    assert words(dataset) == {"train": [("train", "Ajax")], "dev": [("dev", "x")], "test": [("test",)]}
    assert list(dataset.splits) == ["train", "dev", "test"]
    assert [s.id for sentences in dataset.splits.values() for s in sentences] == [
        "train-0",
        "dev-0",
        "test-0",
    ]
    assert dataset.schema == BUILTIN["wnut17"]
    assert dataset.repairs == {"train": {}, "dev": {"i_without_b": 1}, "test": {}}

    (folder / "train.conll").write_text("better\tO\n")
    assert words(load_dataset(config(dir=str(folder))))["train"] == [("better",)]


def test_only_the_splits_asked_for_are_needed(folder):
    (folder / "train.txt").unlink()
    (folder / "dev.conll").write_text("malformed\n")
    dataset = load_dataset(config(dir=str(folder), train=""), ["test"])
    assert words(dataset) == {"test": [("test",)]}
    assert dataset.repairs == {"test": {}}


def test_schema_and_columns_are_the_configs(folder):
    (folder / "test.conll").write_text("0 Titanic NNP B-SHP B-PRT\n")
    (folder / "ships.json").write_text(
        '{"types": [{"name": "ship", "tags": ["SHP"]}, {"name": "port", "tags": ["PRT"]}]}'
    )
    data = config(
        dir=str(folder), name="ships", schema=str(folder / "ships.json"), token_column=1, tag_columns=(3, 4)
    )
    dataset = load_dataset(data, ["test"])
    (sentence,) = dataset.splits["test"]
    assert (sentence.words, sentence.types()) == (("Titanic",), ("ship", "port"))
    assert dataset.schema.names == ("ship", "port")


def test_no_folder_says_which_data_to_bring():
    with pytest.raises(UserError) as caught:
        load_dataset(config())
    assert str(caught.value) == f"data.dir is empty: it names the folder that holds wnut17. {SOURCE}"


def test_a_missing_folder_is_named(folder):
    absent = folder / "absent"
    with pytest.raises(UserError) as caught:
        load_dataset(config(dir=str(absent)))
    assert str(caught.value) == f"{absent}: no such folder (data.dir). {SOURCE}"


def test_a_missing_file_is_named_with_all_its_candidates(folder):
    (folder / "train.txt").unlink()
    with pytest.raises(UserError) as caught:
        load_dataset(config(dir=str(folder)))
    assert str(caught.value) == f"{folder}: no file train.conll or train.txt (data.train). {SOURCE}"


def test_a_split_without_a_file_name_has_usual_ones(folder):
    data = config(dir=str(folder), train="", dev=" , ", test="")
    assert words(load_dataset(data)) == {
        "train": [("train", "Ajax")],
        "dev": [("dev", "x")],
        "test": [("test",)],
    }
    (folder / "dev.conll").unlink()
    with pytest.raises(
        UserError, match=r": no file dev or .* or devel or .* with \.txt or .* or \.conllu \(data\.dev\)"
    ):
        load_dataset(data)


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("columns", "Ajax B-group\n"),
        ("jsonl", '{"words": ["Ajax"], "tags": ["B-group"]}\n'),
        ("csv", "Word,Tag\nAjax,B-group\n"),
        ("auto", "Ajax B-group\n"),
    ],
)
@pytest.mark.parametrize("stem", ["dev", "validation", "valid", "devel", "development", "val", "testa"])
def test_usual_names_of_dev(tmp_path, format, content, stem):
    suffix = {"columns": ".tsv", "auto": ".conll"}.get(format, f".{format}")
    for name in ("train", stem, "testb"):
        (tmp_path / f"{name}{suffix}").write_text(content)
    data = config(dir=str(tmp_path), format=format, train="", dev="", test="")
    assert words(load_dataset(data, ["dev", "test"])) == {"dev": [("Ajax",)], "test": [("Ajax",)]}


@pytest.mark.parametrize("format", ["columns", "auto"])
def test_two_files_with_usual_names_of_one_split_are_refused(tmp_path, format):
    for name in ("train", "dev", "devel", "test"):
        (tmp_path / f"{name}.txt").write_text(f"{name} B-group\n")
    data = config(dir=str(tmp_path), format=format, train="", dev="", test="")
    with pytest.raises(
        UserError, match=r"/dev\.txt and devel\.txt may both be dev; name one with data\.dev=dev\.txt"
    ):
        load_dataset(data)
    assert words(load_dataset(data, ["train"])) == {"train": [("train",)]}
    data = config(dir=str(tmp_path), format=format, train="", dev="devel.txt", test="")
    assert words(load_dataset(data))["dev"] == [("devel",)]


def test_tags_without_prefixes_are_noted_and_kept_by_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, tag in (("train", "group"), ("dev", "group-B"), ("test", "B-group")):
        (tmp_path / f"{name}.txt").write_text(f"Ajax {tag}\nII {tag.replace('B', 'I')}\nsank O\n")
    data = config(dir=str(tmp_path), train="", dev="", test="", cache=True)
    for _ in range(2):
        dataset = load_dataset(data)
        assert dataset.notes[:2] == (
            "tags of train: IO; labels without prefixes, so neighbours of one label are one entity",
            "tags of dev: IOB2, written TYPE-B",
        )
        assert {split: its.scheme for split, its in dataset.repairs.items()} == {
            "train": "IO", "dev": "IOB2, written TYPE-B", "test": "IOB2",
        }  # fmt: skip
    (tmp_path / "names.json").write_text('["O", "B-group"]')
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.txt").write_text("Ajax 1\n")
    numbered = config(dir=str(tmp_path / "data"), train="", tag_names=(str(tmp_path / "names.json"),))
    assert load_dataset(numbered, ["train"]).splits["train"][0].types() == ("group",)
    (tmp_path / "names.json").write_text('["O", "B-person"]')
    assert load_dataset(numbered, ["train"]).splits["train"][0].types() == ("person",)


def test_a_home_folder_is_understood(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert words(load_dataset(config(dir=f"~/{folder.name}"), ["test"])) == {"test": [("test",)]}


@pytest.mark.parametrize("link", [None, os.symlink, os.link], ids=["name", "symlink", "hard-link"])
@pytest.mark.parametrize("splits", [("train", "dev", "test"), ("test",)], ids=["all", "test-only"])
def test_one_file_cannot_serve_two_splits(folder, link, splits):
    name = "dev.conll"
    if link is not None:
        name = "copy.conll"
        link(folder / "dev.conll", folder / name)
    message = f"{folder / name}: data.dev and data.test are the same file; give each its own"
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        load_dataset(config(dir=str(folder), test=name), splits)


def test_a_malformed_file_is_named_by_line(folder):
    (folder / "dev.conll").write_text("a\tO\nb\tB-ship\n")
    with pytest.raises(UserError, match=f"^{re.escape(str(folder / 'dev.conll'))}:2: label 'ship' is not in"):
        load_dataset(config(dir=str(folder)))


def test_an_unknown_format_lists_the_formats():
    with pytest.raises(
        UserError, match=r"^data\.format='xml': expected one of auto, csv, columns, .*, generated$"
    ):
        load_dataset(config(format="xml"))


def test_an_unknown_split_is_refused(folder):
    with pytest.raises(UserError, match=r"^split 'validation': expected one of train, dev, test$"):
        load_dataset(config(dir=str(folder)), ["validation"])


def test_generated_data():
    dataset = load_dataset(config(name="generated", format="generated"))
    assert {split: len(s) for split, s in dataset.splits.items()} == {"train": 20, "dev": 5, "test": 7}
    assert dataset.splits == generated.generate(seed=3, sizes={"train": 20, "dev": 5, "test": 7})
    assert dataset.schema == generated.SCHEMA
    assert dataset.repairs == {"train": {}, "dev": {}, "test": {}}
    assert load_dataset(config(format="generated"), ["dev"]).splits == {"dev": dataset.splits["dev"]}


def test_generated_data_refuses_another_schema():
    with pytest.raises(UserError, match=r"^data\.schema='wnut17': generated data brings its own schema"):
        load_dataset(config(format="generated", schema="wnut17"))


def test_reading_data_imports_neither_jax_nor_tensorflow():
    heavy = {"jax", "tensorflow", "ml_collections"}
    code = f"import sys, toner_jax.data.load; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "set()\n"


@pytest.mark.slow
def test_wnut17_loads_whole(own, shared):
    data = config(
        dir=str(shared / "data" / "wnut17"),
        train="wnut17train.conll",
        dev="emerging.dev.conll",
        test="emerging.test.annotated",
    )
    dataset = load_dataset(data)
    ours, published = {"train": 10, "dev": 4, "test": 5}, {"train": 3394, "dev": 1009, "test": 1287}
    sizes = {split: len(s) for split, s in dataset.splits.items()}
    assert sizes == (ours if shared == own else published)
    assert dataset.repairs == {"train": {}, "dev": {}, "test": {}}


SHIPS = {
    "columns": ("{}.conll", "Ajax B-Ship\n"),
    "csv": ("{}.csv", "Word,Tag\nAjax,B-Ship\n"),
    "jsonl": ("{}.jsonl", '{"text": "Ajax", "entities": [[0, 4, "Ship"]]}\n'),
    "doccano": ("{}.jsonl", '{"text": "Ajax", "label": [[0, 4, "Ship"]]}\n'),
    "label_studio": ("{}.json", '[{"text": "Ajax", "label": [{"start": 0, "end": 4, "labels": ["Ship"]}]}]'),
    "brat": ("{0}/{0}.txt", "Ajax"),
}


@pytest.mark.parametrize("format", SHIPS)
def test_each_format_finds_its_files_and_its_types(tmp_path, format):
    name, content = SHIPS[format]
    for stem in ("train", "validation", "test"):
        path = tmp_path / name.format(stem)
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        if format == "brat":
            path.with_suffix(".ann").write_text("T1\tShip 0 4\tAjax\n")
    custom = get_config().data
    custom.update(dir=str(tmp_path), format=format)
    dataset = load_dataset(DataOptions.from_section(custom))
    assert words(dataset) == {"train": [("Ajax",)], "dev": [("Ajax",)], "test": [("Ajax",)]}
    assert dataset.schema.types == (EntityType("ship", "", ("Ship",)),)
    assert {e.type for split in dataset.splits.values() for s in split for e in s.entities} == {"ship"}


def test_types_are_those_of_all_splits_and_what_train_lacks_is_said(tmp_path):
    for split, label in (("train", "ORG"), ("dev", "ORG"), ("test", "Ship")):
        (tmp_path / f"{split}.txt").write_text(f"Ajax B-{label}\n")
    custom = get_config().data
    custom.dir = str(tmp_path)
    dataset = load_dataset(DataOptions.from_section(custom))
    assert dataset.schema.names == ("organization", "ship")
    assert load_dataset(DataOptions.from_section(custom), ["dev"]).schema == dataset.schema
    assert "types that train lacks and nothing can learn: ship (1) in test" in dataset.notes
    (tmp_path / "test.txt").unlink()
    assert load_dataset(DataOptions.from_section(custom), ["train"]).schema.names == ("organization",)
    (tmp_path / "train.txt").write_text("Ajax O\n")
    (tmp_path / "test.txt").write_text("Ajax O\n")
    with pytest.raises(UserError, match=r"^custom: a schema cannot be inferred from data without entities"):
        load_dataset(DataOptions.from_section(custom))


def test_a_missing_folder_of_brat_is_named(tmp_path):
    custom = get_config().data
    custom.update(dir=str(tmp_path), format="brat")
    with pytest.raises(UserError, match=r": no folder train \(data\.train\)\. Put the train"):
        load_dataset(DataOptions.from_section(custom))


def test_options_reach_their_readers(tmp_path):
    for split in ("train", "dev", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "a.txt").write_text("Ajax's crew\n")
        (tmp_path / split / "a.ann").write_text("T1\tShip 0 4;7 11\tAjax crew\n")
    custom = get_config().data
    custom.update(dir=str(tmp_path), format="brat", discontinuous="join", pretokenized=True)
    dataset = load_dataset(DataOptions.from_section(custom), ["test"])
    assert words(dataset) == {"test": [("Ajax's", "crew")]}
    assert dataset.repairs == {"test": {"discontinuous": 1}}
    (tmp_path / "test.csv").write_text("w,Tag,y\nAjax,O,B-Ship\n")
    (tmp_path / "train.csv").write_text("w,Tag,y\nAjax,O,B-Ship\n")
    custom = get_config().data
    custom.update(dir=str(tmp_path), format="csv", columns=("w", "y"))
    assert load_dataset(DataOptions.from_section(custom), ["test"]).splits["test"][0].types() == ("ship",)


def test_labels_that_became_one_type_are_said(tmp_path):
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.txt").write_text("Ajax B-SHIP\nsank O\n\nArgo B-ship\nalso O\n")
    dataset = load_dataset(config(name="x", dir=str(tmp_path), train="", dev="", test="", schema=""))
    assert "labels read as one type: ship (SHIP, ship)" in dataset.notes


def test_files_in_another_form_are_named(tmp_path):
    """Of three files of lines of JSON, read as columns, the one that was asked for first."""
    for name in ("train.jsonl", "dev.jsonl", "test.jsonl", "trainer.txt"):
        (tmp_path / name).write_text("{}\n")
    data = config(dir=str(tmp_path), train="", dev="", test="")
    with pytest.raises(UserError, match=r"; there is train\.jsonl: data\.format=auto tells its form\. "):
        load_dataset(data)


def test_a_file_of_any_format_is_named():
    """Where another form was asked for, whatever suffix it has."""
    assert {*SUFFIXES} == {suffix for form in FORMATS.values() for suffix in form.suffixes if suffix}
