"""What Label Studio and Doccano export."""

import json

import pytest

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.doccano import read_doccano
from toner_jax.data.formats.label_studio import read_label_studio
from toner_jax.errors import UserError

CONLL = BUILTIN["conll2003"]
TEXT = "Ivan saw Lima."


def region(start, end, *labels, text=None):
    return {"start": start, "end": end, "labels": list(labels), **({} if text is None else {"text": text})}


def result(*args, type="labels", **kwargs):
    return {"type": type, "from_name": "ner", "to_name": "text", "value": region(*args, **kwargs), "id": "x"}


def annotation(*results, **more):
    return {"result": list(results), "was_cancelled": False, **more}


def task(*annotations, text=TEXT, **more):
    return {"data": {"text": text}, "annotations": list(annotations), **more}


@pytest.fixture
def read(tmp_path):
    def read(value, reader=read_label_studio, lines=False):
        path = tmp_path / "export.json"
        text = "".join(json.dumps(v) + "\n" for v in value) if lines else json.dumps(value, indent=1)
        path.write_text(text)
        sentences, repairs = reader(path, CONLL, "dev")
        return [[(s.surface(e), e.type[:3]) for e in s.entities] for s in sentences], dict(repairs)

    return read


BOTH = [("Ivan", "per"), ("Lima", "loc")]


@pytest.mark.parametrize(
    ("tasks", "found", "repairs"),
    [
        ([task(annotation(result(0, 4, "PER", text="Ivan"), result(9, 13, "LOC")))], [BOTH], {}),
        ([{"text": TEXT, "label": [region(0, 4, "PER", text="Ivan"), region(9, 13, "LOC")], "id": 3}], [BOTH], {}),
        (
            [task(annotation(result(0, 4, "PER", "MISC")))],
            [[("Ivan", "per"), ("Ivan", "mis")]],
            {},
        ),
        (
            [task(annotation(result(0, 4, "ORG"), was_cancelled=True), annotation(result(0, 4, "PER")), annotation())],
            [[("Ivan", "per")]],
            {"cancelled_annotations": 1, "further_annotations": 1},
        ),
        ([task(annotation()), task()], [[]], {"unannotated_task": 1}),
        ([task(annotation()), task(annotation(was_cancelled=True))], [[]],
         {"unannotated_task": 1, "cancelled_annotations": 1}),
        (
            [task(annotation(result(0, 4, "PER"), {"type": "relation"}, result(0, 4, type="choices")))],
            [[("Ivan", "per")]],
            {"not_entities": 2},
        ),
        ([task(annotation(result(0, 4)))], [[]], {"unlabelled_region": 1}),
        ([{"data": {"said": TEXT, "n": 1}, "annotations": [annotation(result(0, 4, "PER"))]}], [[("Ivan", "per")]], {}),
        ([{"text": TEXT, "label": [region(0, 4, "PER")]}, {"text": TEXT}], [[("Ivan", "per")], []],
         {"task_without_labels": 1}),
        # JavaScript counts the astronaut's two surrogate pairs as four units.
        ([task(annotation(result(7, 11, "LOC", text="Lima")), text="👩‍🚀  Lima")], [[("Lima", "loc")]],
         {"utf16_range": 1}),
        ([task(annotation(result(5, 9, "LOC", text="Lima")), text="👩‍🚀  Lima")], [[("Lima", "loc")]], {}),
        ([task(annotation(result(0, 8, "LOC", text="New\\nYork")), text="New\nYork")], [[("New York", "loc")]], {}),
    ],
)  # fmt: skip
def test_label_studio(read, tasks, found, repairs):
    assert read(tasks) == (found, repairs)


@pytest.mark.parametrize(
    ("tasks", "problem"),
    [
        ([task(annotation(result(0, 4, "PER", text="Lima")))], "2: the text at [0, 4) is 'Ivan', not 'Lima'"),
        (
            [task(annotation(result("/p[1]", 4, "PER")))],
            "2: a region's range is given by the XPath '/p[1]' alone",
        ),
        ([task(annotation(result(9, 15, "LOC")))], "2: span [9, 15) is empty or outside its text"),
        ([task(annotation(result(0, 4, 3)))], "2: label 3 is not a name"),
        ([task(annotation("x"))], "2: result 'x' is not an object"),
        ([task("x")], "2: annotation 'x' is not an object"),
        ([task(annotation({"type": "labels"}))], "2: region None is not an object"),
        ([{"data": TEXT, "annotations": []}], '2: "data" is '),
        (
            [{"data": {"a": "x", "b": "y"}, "annotations": [annotation()]}],
            "2: has no \"text\", but several that may be it ('a', 'b'); name",
        ),
        ([{"data": {"text": TEXT}, "completions": []}], '2: has no "annotations"'),
        ([task(annotation()), {"text": TEXT, "label": []}], "13: mixes Label Studio's JSON"),
        ([{"text": TEXT}], ": no task has "),
        ([{"text": TEXT, "label": "PER"}], "2: \"label\" is 'PER'; expected a list"),
    ],
)
def test_a_malformed_task_is_named(read, tmp_path, tasks, problem):
    with pytest.raises(UserError) as caught:
        read(tasks)
    line, _, words = problem.partition(": ")
    place = f":{line}" if line else ""  # the record's number follows
    assert str(caught.value).startswith(f"{tmp_path / 'export.json'}{place}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("items", "found", "repairs"),
    [
        ([{"id": 1, "text": TEXT, "label": [[0, 4, "PER"], [9, 13, "LOC"]]}], [BOTH], {}),
        ([{"text": TEXT, "labels": [[9, 13, "LOC"], [0, 4, "PER"]], "Comments": []}], [BOTH], {}),
        (
            [
                {
                    "text": TEXT,
                    "entities": [
                        {"id": 0, "start_offset": 0, "end_offset": 4, "label": "PER"},
                        {"id": 1, "start_offset": 9, "end_offset": 13, "label": "LOC"},
                    ],
                    "relations": [{"from_id": 0, "to_id": 1, "type": "saw"}],
                }
            ],
            [BOTH],
            {"not_entities": 1},
        ),
    ],
)
def test_doccano(read, items, found, repairs):
    assert read(items, read_doccano, lines=True) == (found, repairs)


def test_doccano_ids_name_documents(tmp_path):
    path = tmp_path / "all.jsonl"
    path.write_text('{"id": 8, "text": "a", "label": []}\n{"text": "b", "label": []}\n')
    assert [s.doc_id for s in read_doccano(path, CONLL, "dev").sentences] == ["8", "dev-doc-1"]
