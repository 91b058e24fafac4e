"""Hugging Face data sets, made here with the library itself: both label orders, strings, faults."""

import json
import os
from pathlib import Path

import pytest

from toner_jax.commands import config_file
from toner_jax.config import base
from toner_jax.data.formats.hub import check_one_split
from toner_jax.data.formats.registry import format_of, read_path
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.errors import UserError

# eriktks/conll2003 and tner/conll2003 order their labels so.
HUB = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
TNER = ["O", "B-ORG", "B-MISC", "B-PER", "I-PER", "B-LOC", "I-ORG", "I-MISC", "I-LOC"]

TOKENS = [["Ivan", "Lima", "saw", "Acme"], ["Rain", "in", "Lima"]]
TAGS = [["B-PER", "I-PER", "O", "B-ORG"], ["O", "O", "B-LOC"]]
SPANS = [[("Ivan Lima", "person"), ("Acme", "organization")], [("Lima", "location")]]


@pytest.fixture(scope="module")
def datasets():
    return pytest.importorskip("datasets")


@pytest.fixture
def save(datasets, tmp_path):
    def save(columns, feature, splits=("train", "validation", "test"), words="tokens", tags="ner_tags"):
        features = datasets.Features({words: datasets.List(datasets.Value("string")), tags: feature})
        made = datasets.Dataset.from_dict({words: columns[0], tags: columns[1]}, features=features)
        datasets.DatasetDict(dict.fromkeys(splits, made)).save_to_disk(tmp_path / "set")
        return str(tmp_path / "set")

    return save


def load(folder, splits=("train",), **changes):
    data = base().data
    data.update({"name": "conll2003", "format": "hub", "dir": folder, **changes})
    return load_dataset(DataOptions.from_section(data), splits)


def found(sentences):
    return [[(s.surface(e), e.type) for e in s.entities] for s in sentences]


@pytest.mark.parametrize("names", [HUB, TNER], ids=["hub", "tner"])
def test_label_names_come_from_the_features(save, datasets, names):
    numbers = [[names.index(tag) for tag in tags] for tags in TAGS]
    folder = save((TOKENS, numbers), datasets.List(datasets.ClassLabel(names=names)))
    loaded = load(folder, ("train", "dev", "test"))
    assert [found(s) for s in loaded.splits.values()] == [SPANS] * 3
    assert [s.id for s in loaded.splits["dev"]] == ["dev-0", "dev-1"]
    assert loaded.splits["test"][1].words == ("Rain", "in", "Lima")
    assert loaded.repairs == {"train": {}, "dev": {}, "test": {}}


@pytest.mark.parametrize(("words", "tags"), [("words", "tags"), ("tokens", "labels"), ("words", "ner_tags")])
def test_usual_columns_are_found_and_tags_may_be_strings(save, datasets, words, tags):
    folder = save((TOKENS, TAGS), datasets.List(datasets.Value("string")), words=words, tags=tags)
    assert found(load(folder).splits["train"]) == SPANS


def test_other_columns_and_splits_are_named(save, datasets):
    strings = datasets.List(datasets.Value("string"))
    folder = save((TOKENS, TAGS), strings, ("a", "b"), words="w", tags="t")
    loaded = load(folder, columns=("w", "t"), train="b")
    assert found(loaded.splits["train"]) == SPANS
    with pytest.raises(
        UserError, match=r"split b: no column tokens or words; its columns are 'w', 't': name those"
    ):
        load(folder, train="b")
    with pytest.raises(UserError, match=r"no split train \(data\.train\); it has a, b$"):
        load(folder)


def test_a_schema_is_inferred_from_the_training_labels(save, datasets):
    tags = [["B-Ship", "I-Ship", "O", "B-ORG"], ["O", "O", "B-LOC"]]
    folder = save((TOKENS, tags), datasets.List(datasets.Value("string")))
    assert load(folder, ("dev",), name="custom").schema.names == ("location", "organization", "ship")


@pytest.mark.parametrize(
    ("tags", "feature", "problem"),
    [
        ([[0, 0, 0, 0], [0, 0, 0]], "int64", "row 0: tag 0 is a number without a name; give the names"),
        ([["O"], ["O", "O", "O"]], "string", "row 0: 1 tags for 4 words"),
        ([["B-PER"] * 4, ["O", "O", "PER"]], "string", "row 1: tag 'PER' has no prefix, unlike 'B-PER' ("),
        ([[0.0] * 4, [0.0] * 3], "float32", "column 'ner_tags' holds float32; expected strings"),
        ([["O"] * 4, ["O", "O", "B-GPE"]], "string", "row 1: label 'GPE' is not in schema"),
        ([["O"] * 4, None], "string", "row 1: the tags are None; expected a list without gaps"),
        ([["O"] * 4, ["O", None, "O"]], "string", "row 1: the tags are ['O', None, 'O']"),
    ],
)
def test_a_fault_is_named(save, datasets, tags, feature, problem):
    folder = save((TOKENS, tags), datasets.List(datasets.Value(feature)))
    with pytest.raises(UserError) as caught:
        load(folder)
    assert str(caught.value).startswith(f"{folder}: split train: {problem}")


def test_a_number_without_a_name(save, datasets):
    folder = save((TOKENS, [[-1, 0, 0, 0], [0, 0, 0]]), datasets.List(datasets.ClassLabel(names=HUB)))
    with pytest.raises(UserError, match=r"row 0: tag -1 has no name; the set names 9 of them$"):
        load(folder)


def test_numbers_have_the_names_of_the_option_or_of_a_file_in_the_folder(save, datasets, tmp_path):
    numbers = [[HUB.index(tag) for tag in tags] for tags in TAGS]
    folder = save((TOKENS, numbers), datasets.List(datasets.Value("int32")), tags="tags")
    with pytest.raises(
        UserError, match=r"split train: row 0: tag 1 is a number without a name; give the names"
    ):
        load(folder)
    assert found(load(folder, tag_names=tuple(HUB)).splits["train"]) == SPANS
    (tmp_path / "set" / "label.json").write_text(json.dumps({tag: i for i, tag in enumerate(HUB)}))
    assert found(load(folder).splits["train"]) == SPANS
    named = [[tag.replace("B-", "").replace("I-", "") for tag in tags] for tags in TAGS]
    plain = ["O", "PER", "ORG", "LOC"]
    numbers = [[plain.index(tag) for tag in tags] for tags in named]
    datasets.Dataset.from_dict({"tokens": TOKENS, "tags": numbers}).save_to_disk(tmp_path / "plain")
    loaded = load(str(tmp_path / "plain"), tag_names=tuple(plain))
    assert found(loaded.splits["train"]) == SPANS
    assert loaded.notes == (
        "tags of train: IO; labels without prefixes, so neighbours of one label are one entity",
    )


def test_names_of_the_features_are_not_overruled(save, datasets):
    numbers = [[HUB.index(tag) for tag in tags] for tags in TAGS]
    folder = save((TOKENS, numbers), datasets.List(datasets.ClassLabel(names=HUB)))
    with pytest.raises(
        UserError, match=r"^data\.tag_names=.*: the tags are no numbers \(.*row 0\); leave it empty$"
    ):
        load(folder, tag_names=tuple(TNER))


@pytest.mark.parametrize(
    "config", ["conll2003", "ontonotes", "jnlpba", "ace2004", "ace2005", "wnut17", "custom"]
)
@pytest.mark.parametrize("format", ["", "hub"])
@pytest.mark.parametrize("dev", ["validation", "devel", "testa"])
def test_a_saved_folder_is_read_under_every_config(save, datasets, config, format, dev):
    strings = datasets.List(datasets.Value("string"))
    tags = [[tag.replace("PER", "person").replace("ORG", "group") for tag in tags] for tags in TAGS]
    tags = [[tag.replace("LOC", "location") for tag in row] for row in tags]
    folder = save(
        (TOKENS, TAGS if config.startswith(("conll", "ace")) else tags), strings, ("train", dev, "test")
    )
    data = config_file.load(config, []).config.data
    formats = {"format": format or ("auto" if config == "custom" else data.format)}
    schema = {} if config.startswith(("conll", "ace", "wnut")) else {"name": "mine"}
    data.update({"dir": folder, "cache": False, **formats, **schema})
    dataset = load_dataset(DataOptions.from_section(data))
    for split, sentences in dataset.splits.items():
        assert [[s.surface(e) for e in s.entities] for s in sentences] == [["Ivan Lima", "Acme"], ["Lima"]], (
            split
        )
        assert sentences[0].types()[0] == "person"


def test_names_of_splits_that_are_no_files_are_meant(save, datasets):
    strings = datasets.List(datasets.Value("string"))
    folder = save((TOKENS, TAGS), strings, ("train", "validation", "dev", "test"))
    with pytest.raises(
        UserError, match=r"the splits dev and validation may both be dev; name one with data\.dev=dev"
    ):
        load(folder, ("dev",))
    assert found(load(folder, ("dev",), dev="validation").splits["dev"]) == SPANS
    with pytest.raises(
        UserError, match=r"no split exam \(data\.test\); it has train, validation, dev, test$"
    ):
        load(folder, ("test",), test="exam")


def test_a_saved_folder_is_told_by_itself_and_read_whole(save, datasets, tmp_path):
    save((TOKENS, TAGS), datasets.List(datasets.Value("string")))
    for path, times in ((tmp_path / "set", 3), (tmp_path / "set" / "validation", 1)):
        assert format_of(path, "auto") == "hub"
        read = read_path(path, "auto", None, "x", DataOptions.from_section(base().data))
        assert [s.text for s in read.sentences] == ["Ivan Lima saw Acme", "Rain in Lima"] * times
        assert len({s.id for s in read.sentences}) == len(read.sentences)


def test_tags_that_are_no_list(save, datasets):
    folder = save((TOKENS, ["O", "O"]), datasets.Value("string"))
    with pytest.raises(UserError, match=r"split train: column 'ner_tags' is no list of tags"):
        load(folder)


def test_a_script_points_to_the_converted_copy(datasets, tmp_path):
    (tmp_path / "conll").mkdir()
    (tmp_path / "conll" / "conll.py").write_text("import datasets\n")
    with pytest.raises(UserError) as caught:
        load(str(tmp_path / "conll"))
    assert "data.revision=refs/convert/parquet" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_one_line(datasets, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"^[^\n]*absent: cannot be loaded \([^\n]*\)$"):
        load(str(tmp_path / "absent"))
    with pytest.raises(UserError, match=r"^data\.dir is empty: it names a data set of the Hugging Face hub"):
        load("")


def test_where_one_split_is_asked_for_several_are_refused(save, datasets):
    folder = Path(save((TOKENS, TAGS), datasets.List(datasets.Value("string")), ("train", "test")))
    with pytest.raises(UserError) as caught:
        check_one_split(folder)
    said = f"{folder}: a data set of 2 splits (train, test); give the folder of one, {folder / 'test'}"
    assert str(caught.value) == said
    check_one_split(folder / "test")


def test_a_single_split_is_train(datasets, tmp_path):
    datasets.Dataset.from_dict({"tokens": TOKENS, "ner_tags": TAGS}).save_to_disk(tmp_path / "one")
    assert found(load(str(tmp_path / "one")).splits["train"]) == SPANS
    with pytest.raises(
        UserError, match=r"one: no split dev or validation or .* \(data\.dev\); it has train$"
    ):
        load(str(tmp_path / "one"), ("train", "dev"))


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize("cached", [True, False])
def test_files_of_a_folder_are_read_anew_whatever_their_times(save, datasets, tmp_path, saved, cached):
    """The library itself goes by times for what it has made of files before."""
    folder = tmp_path / ("set" if saved else "files")
    for name in ("Ivan", "Ivor"):
        tokens = [[name, "Lima", "saw", "Acme"]]
        if saved:
            save((tokens, TAGS[:1]), datasets.List(datasets.Value("string")))
        for split in () if saved else ("train", "test"):
            folder.mkdir(exist_ok=True)
            row = {"tokens": tokens[0], "ner_tags": TAGS[0]}
            (folder / f"{split}.jsonl").write_text(json.dumps(row) + "\n")
        for path in folder.rglob("*"):
            os.utime(path, (1_700_000_000, 1_700_000_000))
        assert load(str(folder), ("test",), cache=cached).splits["test"][0].words[0] == name
