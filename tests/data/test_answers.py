"""Only what annotators accepted is gold: Prodigy's answers, Doccano's approvals."""

import json

import pytest

from toner_jax.data.formats.doccano import read_doccano
from toner_jax.data.formats.jsonl import read_jsonl
from toner_jax.data.formats.registry import format_of
from toner_jax.errors import UserError

TOKENS = [
    {"text": "Uma", "start": 0, "end": 3, "id": 0, "ws": True},
    {"text": "left", "start": 4, "end": 8, "id": 1, "ws": False},
    {"text": ".", "start": 8, "end": 9, "id": 2, "ws": False},
]
SPAN = {"start": 0, "end": 3, "token_start": 0, "token_end": 0, "label": "PER"}


def prodigy(number=0, **more):
    record = {
        "text": "Uma left.",
        "_input_hash": number,
        "_task_hash": -number,
        "tokens": TOKENS,
        "answer": "accept",
    }
    return {k: v for k, v in {**record, **more}.items() if v is not None}


@pytest.fixture
def read(tmp_path):
    def read(items, reader=read_jsonl):
        path = tmp_path / "x.jsonl"
        path.write_text("".join(json.dumps(item) + "\n" for item in items))
        found = reader(path, None)
        return [[s.surface(e) for e in s.gold] for s in found.sentences], found.repairs.to_json(), path

    return read


@pytest.mark.parametrize(
    ("items", "found", "counted"),
    [
        ([prodigy(1, spans=[SPAN]), prodigy(2, spans=[]), prodigy(3)], [["Uma"], [], []], {}),
        ([prodigy(1, spans=[SPAN], tokens=None), prodigy(2, tokens=None)], [["Uma"], []], {}),
        (
            [prodigy(1, spans=[SPAN]), prodigy(2, spans=[SPAN], answer="reject"), prodigy(3, answer="ignore"),
             prodigy(4, spans=[SPAN], answer=None)],
            [["Uma"]],
            {"rejected": [2], "ignored": [3], "unanswered": [4]},
        ),
        ([prodigy(1, spans=[SPAN]), prodigy(1, spans=[], _annotator_id="b")], [["Uma"]], {"further_annotations": [2]}),
        ([prodigy(1, spans=[SPAN], answer=None)], [["Uma"]], {}),
        ([prodigy(1, spans=[SPAN], relations=[{"head": 0, "child": 1}])], [["Uma"]], {"not_entities": [1]}),
    ],
)  # fmt: skip
def test_prodigy(read, items, found, counted):
    entities, repairs, path = read(items)
    assert entities == found
    assert repairs == {reason: [f"{path}:{line}" for line in lines] for reason, lines in counted.items()}
    assert format_of(path, "auto") == "jsonl"


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (prodigy(answer="yes"), "\"answer\" is 'yes'; expected one of accept, reject, ignore"),
        (prodigy(label="SPORT"), '"label" without "spans": Prodigy\'s labels of whole texts'),
        (prodigy(accept=["SPORT"], options=[]), '"accept" without "spans": Prodigy\'s labels of whole texts'),
        (prodigy(spans=[SPAN], answer="reject"), "empty: it holds no sentence"),
    ],
)
def test_what_prodigy_cannot_mean_is_named(read, item, problem):
    if problem.startswith(
        "span"
    ):  # spaCy's tokens are words: an edge inside one is out of reach, and counted so
        entities, repairs, _ = read([item])
        assert (entities, repairs) == ([["ma"]], {})
        return
    with pytest.raises(UserError) as caught:
        read([item])
    assert problem in str(caught.value)


@pytest.mark.parametrize("view", ["ner", "spans"])
@pytest.mark.parametrize("answer", ["accept", "reject"])
def test_yes_or_no_to_several_suggestions_for_a_text_is_not_its_annotation(read, view, answer):
    uma = prodigy(1, _task_hash=11, _view_id=view, spans=[SPAN])
    left = prodigy(1, _task_hash=12, _view_id=view, spans=[{**SPAN, "start": 4, "end": 8}], answer=answer)
    with pytest.raises(
        UserError, match=r"x\.jsonl:2: answers another suggestion for the text of .*x\.jsonl:1 "
    ):
        read([uma, left])
    assert read([uma, {**uma, "_annotator_id": "b"}])[:2] == ([["Uma"]], read([uma, uma])[1])
    by_hand = [{**r, "_view_id": f"{view}_manual", "answer": "accept"} for r in (uma, left)]
    assert list(read(by_hand)[1]) == ["further_annotations"]


def doccano(**more):
    return {"text": "Uma left.", "label": [[0, 3, "PER"]], **more}


@pytest.mark.parametrize(
    ("items", "found", "counted"),
    [
        ([doccano(annotation_approver=None), doccano(annotation_approver=None)], [["Uma"], ["Uma"]], {}),
        (
            [doccano(annotation_approver="ann"), doccano(annotation_approver=None)],
            [["Uma"]],
            {"unapproved": [2]},
        ),
        (
            [doccano(is_confirmed=False), doccano(is_confirmed=True), doccano()],
            [["Uma"], ["Uma"]],
            {"unapproved": [1]},
        ),
        ([doccano(approved=True), doccano(approved=False)], [["Uma"]], {"unapproved": [2]}),
    ],
)
def test_doccano(read, items, found, counted):
    entities, repairs, path = read(items, read_doccano)
    assert entities == found
    assert repairs == {reason: [f"{path}:{line}" for line in lines] for reason, lines in counted.items()}


def test_a_file_without_an_approved_record_is_named(read):
    with pytest.raises(UserError, match=r"x\.jsonl:1: no record of the file is approved \(is_confirmed\)"):
        read([doccano(is_confirmed=False)], read_doccano)
