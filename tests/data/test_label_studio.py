"""Label Studio's pages, dialogues, names of one's own, and the annotations that count."""

import json
from dataclasses import replace

import pytest

from toner_jax.config import base
from toner_jax.data.formats.label_studio import read_label_studio
from toner_jax.data.formats.registry import format_of, read_path
from toner_jax.data.options import DataOptions
from toner_jax.errors import ParameterError, UserError

TEXT = "Call Uma today."
PAGE = "<div><p>Call <b>Uma</b> &amp; Bo.</p><p>Rio<br>Ann left.</p></div>"
DIALOGUE = [{"author": "A", "text": "Call Uma 😀."}, {"author": "B", "text": "Bo\r\nleft Rio."}]
RIO_IN_PAGE = PAGE.index("Rio")


def result(kind, value, label="PER", **more):
    return {
        "id": "r",
        "from_name": "ner",
        "to_name": "t",
        "type": kind,
        "value": {**value, kind: [label]},
        **more,
    }


def page(start, end, said, globally=True, path="/div[1]/p[1]/text()[1]", kind="hypertextlabels"):
    value = {"start": path, "end": path, "startOffset": start, "endOffset": end, "text": said}
    return result(kind, {**value, "globalOffsets": {"start": start, "end": end}} if globally else value)


def phrase(first, start, last, end, said=None):
    value = {"start": first, "end": last, "startOffset": start, "endOffset": end}
    return result("paragraphlabels", value if said is None else {**value, "text": said})


def task(data, *results, **more):
    return {
        "data": data if isinstance(data, dict) else {"text": data},
        "annotations": [{"result": list(results)}],
        **more,
    }


@pytest.fixture
def read(tmp_path):
    def read(*tasks, columns=()):
        path = tmp_path / "x.json"
        path.write_text(json.dumps(list(tasks), indent=1))
        assert format_of(path, "auto") == "label_studio"
        found = read_label_studio(path, None, columns=columns)
        entities = [(s.surface(e), e.type) for s in found.sentences for e in s.gold]
        return entities, dict(found.repairs), [s.text for s in found.sentences]

    return read


PLAIN = "Call Uma & Bo.RioAnn left."  # what the page's nodes hold; with its line break, one more before "Ann"


@pytest.mark.parametrize(
    ("region", "found"),
    [
        (page(PAGE.index("Uma"), PAGE.index("Uma") + 3, "Uma"), "Uma"),
        (page(RIO_IN_PAGE, RIO_IN_PAGE + 3, "Rio"), "Rio"),
        (page(PLAIN.index("Uma"), PLAIN.index("Uma") + 3, "Uma"), "Uma"),
        (page(PLAIN.index("Uma"), PLAIN.index("Uma") + 8, "Uma & Bo"), "Uma & Bo"),
        (page(PLAIN.index("Rio"), PLAIN.index("Rio") + 3, "Rio"), "Rio"),
        (page(PLAIN.index("Ann"), PLAIN.index("Ann") + 3, "Ann"), "Ann"),
        (page(PLAIN.index("Ann") + 1, PLAIN.index("Ann") + 4, "Ann"), "Ann"),
        (page(PLAIN.index("Bo."), PLAIN.index("Bo.") + 3, "Bo.", kind="labels"), "Bo."),
    ],
)
def test_a_region_of_a_page(read, region, found):
    entities, repairs, texts = read(task({"html": PAGE}, region), task({"html": "<p>Nobody</p>"}))
    assert (entities, repairs) == ([(found, "PER")], {})
    assert "".join(texts).replace("\n", " ") in (
        "Call Uma & Bo.Rio Ann left.Nobody",
        "Call Uma & Bo. Rio Ann left.Nobody",
    )


@pytest.mark.parametrize(
    ("region", "problem"),
    [
        (page(0, 3, "Uma"), "2: record 1: the text at [0, 3) is 'Cal', not 'Uma'"),
        (page(5, 8, "Uma", globally=False), "the XPath '/div[1]/p[1]/text()[1]' alone, which cannot be read"),
        (page(5, 8, None), 'a region of an HTML page has no "text"'),
        (page(5, 8, "Bo"), "2: record 1: the text at [5, 8) is "),
        (page(5, None, "Uma"), "None is not a whole number"),
    ],
)
def test_a_region_of_a_page_that_cannot_be_read_stops_the_run(read, region, problem):
    with pytest.raises(UserError) as caught:
        read(task({"html": PAGE}, region))
    assert problem in str(caught.value)


@pytest.mark.parametrize("globally", [True, False])
def test_a_plain_text_that_is_shown_as_a_page(read, globally):
    region = page(5, 8, "Uma", globally, path="/text()[1]")
    assert read(task(TEXT, region)) == ([("Uma", "PER")], {}, [TEXT])


@pytest.mark.parametrize(
    ("region", "found", "counted"),
    [
        (phrase("0", 5, "0", 8, "Uma"), "Uma", {}),
        (phrase(0, 5, 0, 8), "Uma", {}),
        (phrase("1", 0, "1", 2, "Bo"), "Bo", {}),
        (phrase("1", 9, "1", 12, "Rio"), "Rio", {}),
        (phrase("1", 8, "1", 11, "Rio"), "Rio", {"crlf_range": 1}),
        (phrase("0", 5, "1", 2, "Uma 😀.\\nBo"), "Uma 😀.", {}),
        (phrase("0", 5, "0", 12, "Uma 😀."), "Uma 😀 .", {"utf16_range": 1}),
    ],
)
def test_a_region_of_a_dialogue(read, region, found, counted):
    entities, repairs, texts = read(task({"talk": DIALOGUE}, region))
    assert (entities, repairs) == ([(found, "PER")], counted)
    assert texts[0] == "Call Uma 😀."


@pytest.mark.parametrize(
    ("data", "region", "problem"),
    [
        (
            DIALOGUE,
            phrase("2", 0, "2", 2),
            "names character 0 of phrase 2, which the dialogue of 2 phrases does not",
        ),
        (DIALOGUE, phrase("0", 0, "0", 99), "names character 99 of phrase 0"),
        (DIALOGUE, phrase("x", 0, "0", 2), "'x' is not a whole number"),
        (DIALOGUE, phrase("0", 0, "0", 4, "Uma"), "the text at [0, 4) is 'Call', not 'Uma'"),
        ([{"author": "A"}], phrase("0", 0, "0", 4), 'the phrases of "text" have no "text"; their keys are'),
        (["Call Uma"], phrase("0", 0, "0", 4), "expected a text, or a list of phrases"),
    ],
)
def test_a_dialogue_that_does_not_fit_is_named(read, data, region, problem):
    with pytest.raises(UserError) as caught:
        read(task({"text": data}, region))
    assert problem in str(caught.value)


def test_labels_of_pictures_and_attributes_without_labels_are_refused(read):
    labelled = result("labels", {"start": 5, "end": 8})
    choice = {"id": "r", "type": "choices", "value": {"start": 5, "end": 8, "choices": ["x"]}}
    assert read(task(TEXT, labelled, choice))[:2] == ([("Uma", "PER")], {"not_entities": 1})
    for wrong in (
        result("rectanglelabels", {"x": 1}),
        {**choice, "id": "s"},
        {**choice, "id": "s", "type": "taxonomy"},
    ):
        with pytest.raises(UserError, match=r"cannot be read"):
            read(task(TEXT, labelled, wrong))
    with pytest.raises(
        UserError, match=r"a result of type 'label' has labels; expected one of labels, hyper"
    ):
        read(task(TEXT, {**labelled, "type": "label"}))
    with pytest.raises(UserError, match=r'has no "type"; its keys are'):
        read(task(TEXT, {"x": labelled}))
    with pytest.raises(UserError, match=r"'brushlabels' cannot be read"):
        read(task(TEXT, {**labelled, "value": {"brushlabels": ["PER"]}}))


def annotation(label, **more):
    return {"result": [result("labels", {"start": 5, "end": 8}, label)], **more}


@pytest.mark.parametrize(
    ("annotations", "found", "counted"),
    [
        ([annotation("A"), annotation("B", ground_truth=True)], "B", {"further_annotations": 1}),
        ([annotation("A", skipped=True), annotation("B")], "B", {"cancelled_annotations": 1}),
        ([annotation("A", reviews=[{"accepted": False}]), annotation("B")], "B", {"rejected_annotations": 1}),
        ([annotation("A", reviews=[{"accepted": False}, {"accepted": True}])], "A", {}),
        (
            [annotation("A", was_cancelled=True, ground_truth=True), annotation("B")],
            "B",
            {"cancelled_annotations": 1},
        ),
    ],
)
def test_the_annotation_that_counts(read, annotations, found, counted):
    full = {"data": {"text": TEXT}, "annotations": annotations}
    assert read(full)[:2] == ([("Uma", found)], counted)


def test_predictions_and_drafts_are_not_gold(read):
    guess = {"result": [result("labels", {"start": 5, "end": 8})]}
    empty = task(TEXT, predictions=[guess, guess], drafts=[guess])
    assert read(empty)[:2] == ([], {"predictions": 2, "drafts": 1})
    alone = {"data": {"text": TEXT}, "annotations": [], "predictions": [guess]}
    assert read(empty, alone)[1] == {"predictions": 3, "drafts": 1, "unannotated_task": 1}


def short(key="text", control="label", kind="labels", **more):
    return {"id": 1, key: TEXT, control: [{"start": 5, "end": 8, "text": "Uma", kind: ["PER"]}], "annotator": 1,
            "created_at": "2024", **more}  # fmt: skip


@pytest.mark.parametrize("key", ["text", "body"])
@pytest.mark.parametrize("control", ["label", "ner", "annotations"])
@pytest.mark.parametrize("kind", ["labels", "hypertextlabels"])
def test_json_min_with_any_names(read, key, control, kind):
    assert read(short(key, control, kind), short(key, control, kind)) == (
        [("Uma", "PER")] * 2,
        {},
        [TEXT] * 2,
    )


def test_json_min_of_several_labels_and_skipped_tasks(read):
    several = short(control="ner", places=[{"start": 0, "end": 4, "labels": ["ACT"]}])
    assert read(several)[:2] == ([("Call", "ACT"), ("Uma", "PER")], {})
    assert read(several, columns=("text", "ner"))[:2] == ([("Uma", "PER")], {"other_labels": 1})
    assert read(short(), short(was_cancelled=True))[1] == {"cancelled_annotations": 1}
    assert read(short(control="ner"), {"text": TEXT})[1] == {"task_without_labels": 1}


def test_of_several_annotators_in_json_min_the_first_counts(read):
    first, other = short(annotation_id=7), short(annotation_id=8, label=[], annotator=2)
    assert read(first, other, short(id=2, annotation_id=9)) == (
        [("Uma", "PER")] * 2,
        {"further_annotations": 1},
        [TEXT] * 2,
    )
    skipped = short(annotation_id=6, label=[], was_cancelled=True)
    assert read(skipped, first, other)[:2] == (
        [("Uma", "PER")],
        {"cancelled_annotations": 1, "further_annotations": 1},
    )


def test_regions_of_another_text_are_refused_whatever_is_asked_for(read):
    data = {"text": TEXT, "title": "News of today"}
    fits = result("labels", {"start": 5, "end": 8})
    other = {**fits, "to_name": "title", "from_name": "x"}
    for tasks in ([task(data, fits, other)], [task(data, fits), task(data, other)]):
        for columns in ((), ("text",)):
            with pytest.raises(
                UserError, match=r"regions label several texts \('t', 'title'\); name one and its"
            ):
                read(*tasks, columns=columns)
        assert read(*tasks, columns=("text", "ner"))[:2] == ([("Uma", "PER")], {"other_labels": 1})


def test_json_min_without_an_entity_is_read_whatever_the_labels_are_called(read):
    none = {"id": 1, "text": TEXT, "ner": [], "annotator": 1, "annotation_id": 2}
    assert read(none) == ([], {}, [TEXT])


def test_names_are_told_by_what_fits_or_asked_for(read):
    data = {"title": "News of today", "body": TEXT}
    fits = result("labels", {"start": 5, "end": 8, "text": "Uma"})
    assert read(task(data, fits))[0] == [("Uma", "PER")]
    assert read(short("body", title="News of today"))[0] == [("Uma", "PER")]
    silent = result("labels", {"start": 5, "end": 8})
    with pytest.raises(
        UserError, match=r"several that may be it \('body', 'title'\); name the one with data\.columns"
    ):
        read(task(data, silent))
    assert read(task(data, silent), columns=("body",))[0] == [("Uma", "PER")]
    other = {**fits, "from_name": "x"}
    assert read(task(data, fits, other), columns=("body", "ner"))[1] == {"other_labels": 1}
    with pytest.raises(UserError, match=r"regions label several texts \('t', 'u'\)"):
        read(task(data, fits, {**fits, "to_name": "u"}))
    with pytest.raises(UserError, match='has no "tittle"; its keys are'):
        read(task(data, fits), columns=("tittle",))
    with pytest.raises(
        UserError, match=r'no task has "annotations" or a "x"; export annotated tasks, or name'
    ):
        read(short(), columns=("text", "x"))
    with pytest.raises(ParameterError):
        read(short(), columns=("a", "b", "c"))


def test_the_option_reaches_the_reader(read, tmp_path):
    data = {"title": "News of today", "body": TEXT}
    read(task(data, result("labels", {"start": 5, "end": 8})), columns=("body",))
    options = replace(DataOptions.from_section(base().data), columns=("title", "ner"))
    found = read_path(tmp_path / "x.json", "auto", None, "", options)
    assert [s.surface(e) for s in found.sentences for e in s.gold] == ["of"]


@pytest.mark.parametrize("key", ["was_cancelled", "skipped"])
def test_a_flag_that_is_none_is_refused(read, key):
    """Taken as true it would leave the task's labels out."""
    for flag in ([{"start": 0, "end": 4, "labels": ["PER"]}], "no", {}):
        for task in (
            short(**{key: flag}),
            {"data": {"text": TEXT}, "annotations": [{"result": [], key: flag}]},
        ):
            with pytest.raises(UserError, match=f'"{key}" is .*, neither true nor false'):
                read(short() if "annotations" not in task else task, task)
    for flag in (None, False, 0):
        assert read(short(**{key: flag}))[1] == {}
