"""Numbered tags: where their names may lie, and what is refused."""

import json

import pytest

from toner_jax.config import base
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.data.tag_names import read_names
from toner_jax.errors import UserError

NAMES = ["O", "B-Ship", "I-Ship", "B-Port"]
FORMS = {
    "label.json": {name: i for i, name in enumerate(NAMES)},
    "labels.json": NAMES,
    "label2id.json": {"label2id": {name: i for i, name in enumerate(NAMES)}, "id2label": {"0": "O"}},
    "id2label.json": {str(i): name for i, name in enumerate(NAMES)},
    "labels.txt": "\r\n".join(NAMES) + "\n",
}
ROWS = [(["Ajax", "II", "left", "Lima"], [1, 2, 0, 3]), (["Rain"], [0])]
FILES = {
    "jsonl": ("train.jsonl", "".join(json.dumps({"tokens": w, "tags": t}) + "\n" for w, t in ROWS)),
    "columns": (
        "train.txt",
        "\n\n".join("\n".join(f"{a} {b}" for a, b in zip(*row, strict=True)) for row in ROWS),
    ),
    "csv": ("train.csv", "Word,Tag\nAjax,1\nII,2\nleft,0\nLima,3\n\nRain,0\n"),
}


def put(folder, name, content):
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def entities(folder, **changes):
    data = base().data
    data.update({"name": "ships", "dir": str(folder), "cache": False, **changes})
    train = load_dataset(DataOptions.from_section(data), ["train"]).splits["train"]
    return [[(s.surface(e), e.type) for e in s.entities] for s in train]


FOUND = [[("Ajax II", "ship"), ("Lima", "port")], []]


@pytest.mark.parametrize("form", FORMS)
def test_names_beside_the_data_are_found_in_every_form(tmp_path, form):
    put(tmp_path, *FILES["jsonl"])
    put(tmp_path, form, FORMS[form])
    assert entities(tmp_path, format="jsonl") == FOUND
    assert dict(read_names(tmp_path / form)) == dict(enumerate(NAMES))


@pytest.mark.parametrize("format", FILES)
def test_names_are_given_as_a_tuple_or_a_file(tmp_path, format):
    put(tmp_path, *FILES[format])
    assert entities(tmp_path, format=format, tag_names=tuple(NAMES)) == FOUND
    put(tmp_path, "mine.json", NAMES)
    for file in ("mine.json", str(tmp_path / "mine.json")):
        assert entities(tmp_path, format=format, tag_names=(file,)) == FOUND
    with pytest.raises(UserError, match=r"^data\.tag_names=other\.json: no such file, nor one in /"):
        entities(tmp_path, format=format, tag_names=("other.json",))


def test_numbers_may_have_gaps_and_any_notation(tmp_path):
    put(tmp_path, *FILES["jsonl"])
    put(tmp_path, "label.json", {"O": 0, "Ship_B": 1, "Ship_I": 2, "Port_B": 3, "Port_I": 40})
    assert entities(tmp_path, format="jsonl") == FOUND
    put(tmp_path, "label.json", {"O": 0, "Ship": 1, "Port": 3, "Sea": 2})
    assert entities(tmp_path, format="jsonl")[0] == [("Ajax", "ship"), ("II", "sea"), ("Lima", "port")]


@pytest.mark.parametrize("format", FILES)
def test_a_number_without_a_name_is_named_with_its_line(tmp_path, format):
    put(tmp_path, *FILES[format])
    with pytest.raises(
        UserError, match=r"train\.\w+:[12]: tag 1 is a number without a name; give the names in data"
    ):
        entities(tmp_path, format=format)
    with pytest.raises(
        UserError, match=r"train\.\w+:[1-5]: tag 3 has no name; data\.tag_names names 3 of them$"
    ):
        entities(tmp_path, format=format, tag_names=tuple(NAMES[:3]))


def test_names_that_are_none_are_refused(tmp_path):
    put(tmp_path, *FILES["jsonl"])
    with pytest.raises(UserError, match=r"^data\.tag_names=\(0, 1\): expected names, as"):
        entities(tmp_path, format="jsonl", tag_names=(0, 1))


def test_names_that_nothing_needs_are_refused(tmp_path):
    put(tmp_path, "train.txt", "Ajax B-Ship\n")
    with pytest.raises(
        UserError, match=r"^data\.tag_names=\('O',\): the tags are no numbers \(.*:1\); leave it"
    ):
        entities(tmp_path, tag_names=("O",))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"O": 0, "B-Ship": 0}, "tag 0 has two names, 'O' and 'B-Ship'; keep one"),
        (["O", "B-Ship", "O"], "two numbers have the name 'O'; give each tag its own"),
        (["O", ""], "the name of tag 1 is empty"),
        ({"O": "zero"}, 'no names of tags; expected {"O": 0, "B-TYPE": 1}'),
        ([0, 1], 'no names of tags; expected {"O": 0, "B-TYPE": 1}'),
        ("{", "not JSON ("),
    ],
)
def test_a_file_that_names_no_tags_is_named(tmp_path, content, problem):
    put(tmp_path, *FILES["jsonl"])
    put(tmp_path, "label.json", content)
    with pytest.raises(UserError) as caught:
        entities(tmp_path, format="jsonl")
    assert str(caught.value).startswith(f"{tmp_path}/label.json: {problem}")


def test_names_are_found_for_labels_alone_too(tmp_path):
    put(tmp_path, "train.jsonl", '{"words": ["a@b", "and", "c"], "tags": [1, 0, 0]}\n')
    with pytest.raises(UserError, match=r"train\.jsonl:1: tag 1 is a number without a name"):
        entities(tmp_path, format="jsonl", tag_prefix="none")
    put(tmp_path, "label.json", {"O": 0, "e-mail": 1})
    with pytest.raises(UserError, match=r"tag 'e-mail' may be a label, .* set data\.tag_prefix=none or"):
        entities(tmp_path, format="jsonl")
    assert entities(tmp_path, format="jsonl", tag_prefix="none") == [[("a@b", "e_mail")]]


def test_two_files_of_names_that_differ_are_refused(tmp_path):
    put(tmp_path, *FILES["jsonl"])
    put(tmp_path, "label.json", FORMS["label.json"])
    put(tmp_path, "labels.txt", FORMS["labels.txt"])
    assert entities(tmp_path, format="jsonl") == FOUND
    put(tmp_path, "labels.txt", "O\nB-Port\nI-Ship\n")
    with pytest.raises(UserError) as caught:
        entities(tmp_path, format="jsonl")
    assert str(caught.value) == (
        f"{tmp_path}/labels.txt: tag 1 is 'B-Port', but 'B-Ship' in {tmp_path}/label.json; remove one of the files, or "
        "name the right one in data.tag_names"
    )
    assert entities(tmp_path, format="jsonl", tag_names=("label.json",)) == FOUND


def test_white_space_around_tags_is_no_part_of_them(tmp_path):
    put(tmp_path, "train.jsonl", '{"words": ["Ajax", "sank"], "tags": ["ship ", "O "]}\n')
    assert entities(tmp_path, format="jsonl") == [[("Ajax", "ship")]]
