"""The benchmarks' configs load whichever copy a folder holds."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from test_ace import NEWSWIRE
from test_ace import put as put_ace
from test_ontonotes import conll, name_file, put

from toner_jax.data.detect import locate_split
from toner_jax.data.formats.registry import FORMATS
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.errors import UserError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def configured(name: str, arg: str | None = None):
    """The configuration of a config file, with the variants behind its colon."""
    spec = importlib.util.spec_from_file_location(f"configs_{name}", CONFIGS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(arg)


def data(name: str, folder: Path, **changes):
    """The data options of a config file, with its folder set."""
    section = configured(name).data
    section.dir = str(folder)
    section.update(changes)
    return DataOptions.from_section(section)


VARIANTS = "small, base, large, xl, xxl, scratch, exp, paper, authors"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.py"))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "quickstart"])
def test_variants(name):
    assert configured(name, "xl").generator.checkpoint == "google/flan-t5-xl"
    assert configured(name, "scratch").generator.checkpoint == ""
    assert configured(name, "xl,,xl,") == configured(name, "xl")
    for arg, message in [
        ("scratch,large", "config variants 'scratch' and 'large': each chooses the models; keep one"),
        ("small,xl", "config variants 'small' and 'xl': each chooses the models; keep one"),
        ("xl,xl,scratch,base", "config variants 'xl' and 'scratch': each chooses the models; keep one"),
        ("authors,paper", "config variants 'authors' and 'paper': each chooses whom to follow; keep one"),
        ("huge", f"config variant 'huge': choose among {VARIANTS}"),
        ("large,huge", f"config variant 'huge': choose among {VARIANTS}"),
    ]:
        with pytest.raises(UserError) as caught:
            configured(name, arg)
        assert str(caught.value) == message


def test_the_quickstart_has_no_variants():
    with pytest.raises(UserError, match=r"^config variant 'large': this configuration has none$"):
        configured("quickstart", "large")


@pytest.mark.parametrize("name", NAMES)
def test_every_config_gives_data_options(name):
    options = data(name, CONFIGS)
    assert options.name == {"quickstart": "generated"}.get(name, name)
    assert options.format in FORMATS


def texts(dataset) -> dict[str, list[tuple[str, int]]]:
    return {split: [(s.text, len(s.entities)) for s in found] for split, found in dataset.splits.items()}


ONE_EACH = {"train": [("Ann one", 1)], "dev": [("Ann two", 1)], "test": [("Ann three", 1)]}
NUMBERS = {"train": "one", "dev": "two", "test": "three"}


def write(folder: Path, kind: str, names: dict[str, str], label: str) -> None:
    for split, name in names.items():
        number = NUMBERS[split]
        content = {
            "columns": f"Ann B-{label}\n{number} O\n",
            "conll": conll(f"nw/{split}", [("Ann", f"({label})"), (number, "*")]),
            "name": name_file(f"nw/{split}", f'<ENAMEX TYPE="{label}">Ann</ENAMEX> {number}'),
            "json": json.dumps([{"sentence": ["Ann", number], "ner": [{"index": [0], "type": label}]}]),
            "id": f"nw/{split}\n",
        }[kind]
        put(folder, name, content)


SPLITS = ("train", "dev", "test")
COPIES = {
    "conll2003 columns": ("conll2003", "columns", ("eng.train", "eng.testa", "eng.testb"), "PER"),
    "conll2003 json": ("conll2003", "json", ("train.json", "dev.json", "test.json"), "PER"),
    "ontonotes columns": ("ontonotes", "columns", ("train.conll", "development.conll", "test.conll"), "PERSON"),
    "ontonotes json": ("ontonotes", "json", ("train.json", "dev.json", "test.json"), "PERSON"),
    "ontonotes split folders": (
        "ontonotes", "conll",
        ("v4/train/a.gold_conll", "v4/development/b.gold_conll", "v4/test/c.gold_conll"), "PERSON",
    ),
    "ontonotes conll-2012 in one file": (
        "ontonotes", "conll", ("train.conll", "dev.conll", "test.conll"), "PERSON",
    ),
    "ontonotes names in one file": ("ontonotes", "name", ("train.txt", "dev.txt", "test.txt"), "PERSON"),
    "jnlpba columns": ("jnlpba", "columns", ("train.tsv", "devel.tsv", "test.tsv"), "DNA"),
    "ace2004 columns": ("ace2004", "columns", ("train.iob2", "dev.iob2", "test.iob2"), "PER"),
    "ace2005 json": ("ace2005", "json", ("train.json", "dev.json", "test.json"), "PER"),
    "ace2005 mrc names": ("ace2005", "json", ("mrc-ner.train", "mrc-ner.dev", "mrc-ner.test"), "PER"),
}  # fmt: skip


@pytest.mark.parametrize("copy", COPIES)
def test_copies(tmp_path, copy):
    name, kind, files, label = COPIES[copy]
    write(tmp_path, kind, dict(zip(SPLITS, files, strict=True)), label)
    dataset = load_dataset(data(name, tmp_path))
    assert texts(dataset) == ONE_EACH
    assert texts(load_dataset(data(name, tmp_path), ["test"])) == {"test": ONE_EACH["test"]}


def test_the_ontonotes_release_with_lists(tmp_path):
    write(tmp_path, "name", {s: f"data/files/{s}.name" for s in SPLITS}, "PERSON")
    write(tmp_path, "id", {"train": "train.id", "dev": "development.id", "test": "test.id"}, "")
    assert texts(load_dataset(data("ontonotes", tmp_path))) == ONE_EACH


def test_an_ontonotes_folder_without_splits_says_what_to_name(tmp_path):
    put(tmp_path, "a.gold_conll", conll("nw/a", [("a", "*")]))
    with pytest.raises(UserError, match=r"no folder train with files .* data\.train$"):
        load_dataset(data("ontonotes", tmp_path))
    assert texts(load_dataset(data("ontonotes", tmp_path, test="."), ["test"])) == {"test": [("a", 0)]}


@pytest.mark.parametrize("name", ["ace2004", "ace2005"])
def test_the_ace_release_with_lists(tmp_path, name):
    for i, split in enumerate(SPLITS):
        put_ace(tmp_path, f"data/English/nw/timex2norm/D{i}", NEWSWIRE, [("PER", "PRO", "They")])
        put(tmp_path, f"{split}.id", f"D{i}\n")
    dataset = load_dataset(data(name, tmp_path))
    assert {split: [len(s.entities) for s in found] for split, found in dataset.splits.items()} == {
        "train": [0, 1], "dev": [0, 1], "test": [0, 1],
    }  # fmt: skip
    put(tmp_path, "dev.id", "D0\n")
    with pytest.raises(UserError, match=r"^train and dev have 1 documents in common, the first is 'D0'"):
        load_dataset(data(name, tmp_path))
    (tmp_path / "dev.id").unlink()
    with pytest.raises(UserError, match=r"no list of document ids, nor folder, dev\.iob2 or .*LDC2"):
        load_dataset(data(name, tmp_path, format="ace"))


def test_an_empty_folder_says_what_to_bring(tmp_path):
    for name in ("conll2003", "ontonotes", "jnlpba", "ace2004", "ace2005"):
        section = data(name, tmp_path)
        with pytest.raises(UserError, match=r"no file .* \(data\.train\)\. ") as caught:
            load_dataset(section)
        assert str(caught.value).endswith(section.source)


MEDLINE = "###MEDLINE:{}\n\nword{} O\n\n"


def test_jnlpba_carves_dev_where_train_names_its_abstracts(tmp_path):
    put(tmp_path, "Genia4ERtask1.iob2", "".join(MEDLINE.format(90_000_000 + i, i) for i in range(8)))
    put(tmp_path, "devel.tsv", "other O\n")
    put(tmp_path, "Genia4EReval1.iob2", MEDLINE.format(1, "t"))
    dataset = load_dataset(data("jnlpba", tmp_path, carve_dev=3))
    assert {split: len(found) for split, found in dataset.splits.items()} == {"train": 5, "dev": 3, "test": 1}
    assert list(dataset.splits) == list(SPLITS)
    assert not {s.doc_id for s in dataset.splits["train"]} & {s.doc_id for s in dataset.splits["dev"]}
    assert dataset.notes == ("dev: 3 documents carved out of train (data.carve_dev); data.dev is not read",)
    alone = load_dataset(data("jnlpba", tmp_path, carve_dev=3), ["dev"])
    assert alone.splits == {"dev": dataset.splits["dev"]}
    other = load_dataset(data("jnlpba", tmp_path, carve_dev=3, carve_seed=1), ["dev"])
    assert other.splits != alone.splits


def test_jnlpba_reads_dev_where_train_does_not(tmp_path):
    put(tmp_path, "train.tsv", "-DOCSTART- O\n\nword O\n")
    put(tmp_path, "devel.tsv", "-DOCSTART- O\n\nword O\n")
    put(tmp_path, "test.tsv", "another O\n")
    dataset = load_dataset(data("jnlpba", tmp_path))
    assert [s.text for s in dataset.splits["dev"]] == ["word"]
    assert dataset.notes == ("identical sentences: 1 of 1 in dev also in train",)


DETECTED = [
    ("train.txt", "a O\n", "columns"),
    ("train.txt", "[ O\n", "columns"),
    ("train.txt", '\ufeff\n[{"sentence": [], "ner": []}]', "json"),
    ("train.txt", '\ufeff{"tokens": [], "entity": []}\n', "json"),
    ("train.txt", '[\n{"context": "", "label": {}}\n]', "json"),
    ("train.JSON", '[{"text": "a", "entities": []}]', "jsonl"),
    ("train.txt", "#begin document (x); part 000\n", "ontonotes"),
    ("train.txt", '<DOC DOCNO="x">\n', "ontonotes"),
    ("train.gold_conll", "", "ontonotes"),
    ("train/x.ann", "", "brat"),
    ("train/x.apf.xml", "", "ace"),
    ("train/deep/x.gold_skel", "", "ontonotes"),
    ("elsewhere/x.name", "", "ontonotes"),
]


@pytest.mark.parametrize(("name", "content", "expected"), DETECTED)
def test_detection(tmp_path, name, content, expected):
    put(tmp_path, name, content)
    section = data("conll2003", tmp_path, train="train.txt,train.JSON,train.gold_conll,train")
    assert locate_split(section, "train", FORMATS)[0] == expected


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (
            "train.txt",
            "alone\n",
            "train.txt: looks like no known format; name its format, one of csv, columns,",
        ),
        ("train.txt", "[\n", "train.txt:2: not JSON"),
        ("train.JSON", "", "train.JSON: empty"),
        ("train/x.txt", "", "train: looks like no known format"),
        (
            "elsewhere.txt",
            "",
            ": no file train.txt or train.JSON or train.gold_conll or train (data.train). ",
        ),
    ],
)
def test_what_is_not_detected_is_refused(tmp_path, name, content, problem):
    put(tmp_path, name, content)
    section = data("conll2003", tmp_path, train="train.txt,train.JSON,train.gold_conll,train")
    with pytest.raises(UserError) as caught:
        load_dataset(section, ["train"])
    assert problem in str(caught.value)


@pytest.mark.slow
def test_jnlpba_test_split_is_the_shared_tasks(own, shared):
    section = data("jnlpba", shared / "data" / "jnlpba")
    assert {split: locate_split(section, split, FORMATS)[0] for split in SPLITS} == {
        "train": "brat",
        "dev": "columns",
        "test": "columns",
    }
    dataset = load_dataset(section, ["test"])
    test = dataset.splits["test"]
    sizes = len(test), sum(len(s.entities) for s in test)
    assert sizes == ((6, 14) if shared == own else (3_856, 8_662))
