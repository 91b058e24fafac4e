"""JSON that annotates texts: InstructUIE, spaCy's and tecoholic's pairs, GLiNER2; and what has no ranges."""

import json

import pytest

from toner_jax.data.formats.json_shapes import read_json_shapes
from toner_jax.data.formats.jsonl import read_jsonl
from toner_jax.data.formats.registry import format_of
from toner_jax.errors import UserError

TEXT = "Uma met Bo in Rio."
ENTITIES = [[0, 3, "PER"], [14, 17, "LOC"]]
FOUND = [("Uma", "PER"), ("Rio", "LOC")]


@pytest.fixture
def read(tmp_path):
    def read(content, reader=read_json_shapes):
        path = tmp_path / "x.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        found = reader(path, None, "dev")
        entities = [(s.surface(e), e.type) for s in found.sentences for e in s.gold]
        return entities, found.repairs.to_json(), [(s.id, s.doc_id) for s in found.sentences]

    return read


def instructuie(*entities):
    return [{"sentence": TEXT, "entities": [{"name": n, "type": t, "pos": p} for n, t, p in entities]}]


PAIR = [TEXT, {"entities": ENTITIES}]
SOUND = {
    "InstructUIE": instructuie(("Uma", "PER", [0, 3]), ("Rio", "LOC", [14, 17])),
    "spaCy": [PAIR],
    "spaCy, lines": json.dumps(PAIR) + "\n\n" + json.dumps(["", {"entities": []}]) + "\n",
    "spaCy, indented": json.dumps([PAIR], indent=2),
    "spaCy, with classes": [[TEXT, {"entities": ENTITIES, "cats": {"news": 1.0}, "spans": {}}]],
    "tecoholic": {"classes": ["PER", "LOC"], "annotations": [PAIR]},
    "tecoholic, indented": json.dumps({"classes": ["PER", "LOC"], "annotations": [PAIR]}, indent=2),
    "GLiNER": [{"tokenized_text": [*TEXT[:-1].split(), "."], "ner": [[0, 0, "PER"], [4, 4, "LOC"]]}],
    "GLiNER2": json.dumps(
        {"input": TEXT, "output": {"entities": {"PER": ["Uma"], "LOC": ["Rio"], "ORG": []}}}
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_every_form_gives_the_same_entities(read, tmp_path, name):
    entities, repairs, ids = read(SOUND[name])
    (tmp_path / "x").write_bytes((tmp_path / "x.json").read_bytes())
    assert format_of(tmp_path / "x.json", "auto") == format_of(tmp_path / "x", "auto") == "json"
    assert entities == FOUND
    assert repairs == {} or (name == "spaCy, lines" and list(repairs) == ["empty_text"])
    assert ids == [("dev-0", "dev-doc-0" if name[:3] in ("spa", "tec") or name == "GLiNER2" else None)]


def test_texts_that_nobody_annotated_are_counted_by_tecoholics_number(read, tmp_path):
    content = {"classes": [], "annotations": [None, PAIR, None]}
    path = tmp_path / "x.json"
    assert read(content)[:2] == (FOUND, {"unannotated_text": [f"{path}:1: annotation {i}" for i in (1, 3)]})


@pytest.mark.parametrize("listed", [["Uma", "Uma"], ["Uma", "Bo", "Uma"]])
def test_mentions_without_ranges_are_read_where_no_choice_is_left(read, listed):
    entities, _, _ = read(
        [{"input": "Uma and Uma's Bo.", "output": {"entities": {"PER": listed}, "relations": {}}}]
    )
    assert sorted(entities) == sorted((mention, "PER") for mention in listed)


def mentions(listed, text="Uma and Uma."):
    return [{"input": text, "output": {"entities": {"PER": listed}}}]


REFUSED = {
    "a mention with a choice": (mentions(["Uma"]), "GLiNER2 lists 'Uma' 1 time, but it stands in the text 2 times"),
    "a mention elsewhere": (mentions(["Bo"]), "GLiNER2 lists 'Bo' 1 time, but it stands in the text 0 times"),
    "a part of a word": (mentions(["Um"], "Uma"), "it stands in the text 0 times"),
    "an empty mention": (mentions([""]), "it stands in the text 0 times"),
    "a number": (mentions([3]), "a mention of 'PER' is 3; expected a string"),
    "no list": (mentions("Uma"), "\"PER\" is 'Uma'; expected a list"),
    "no entities": ([{"input": "a", "output": {"classifications": []}}], '"output" of GLiNER2: has no "entities"'),
    "another name": (instructuie(("Rio", "PER", [0, 3])), "the text at [0, 3) is 'Uma', not 'Rio'"),
    "an inclusive end": (instructuie(("Uma", "PER", [0, 2])), "the text at [0, 2) is 'Um', not 'Uma'"),
    "no position": (instructuie(("Uma", "PER", [])), '"pos" is []; expected [start, end]'),
    "a text as position": (instructuie(("Uma", "PER", "0")), "\"pos\" is '0'; expected a list"),
    "spans beside entities": ([[TEXT, {"entities": [], "spans": {"sc": [[0, 3, "A"]]}}]], 'has "spans", which'),
    "no entities of a pair": ([[TEXT, {"cats": {}}]], 'has no "entities"'),
    "tags": ([[TEXT, {"entities": ["O"]}]], "expected a start, an end and a label"),
    "a pair outside the text": ([[TEXT, {"entities": [[0, 99, "PER"]]}]], "span [0, 99) is empty or outside"),
    "no pair": ({"classes": [], "annotations": [3]}, 'annotation 1 is 3; expected ["text"'),
    "one text": ([PAIR, TEXT], "record 2: expected an object"),
    "GLiNER's end": ([{"tokenized_text": ["Uma"], "ner": [[0, 1, "PER"]]}], "words 0 to 1 is empty or outside"),
    "GLiNER's span": ([{"tokenized_text": ["Uma"], "ner": [[0, "PER"]]}], "expected [first, last, type]"),
    "forms mixed": ([PAIR, SOUND["InstructUIE"][0]], "a record of shape characters after records of shape spaCy"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_malformed_is_named(read, case):
    content, problem = REFUSED[case]
    with pytest.raises(UserError) as caught:
        read(content)
    assert problem in str(caught.value)
    assert "x.json:1: " in str(caught.value)


@pytest.mark.parametrize("reader", [read_json_shapes, read_jsonl])
@pytest.mark.parametrize(
    ("record", "name"),
    [
        (
            {"conversations": [{"from": "human", "value": "Text: Uma"}]},
            "the conversations of ShareGPT and UniversalNER",
        ),
        ({"messages": [{"role": "user", "content": "Uma"}]}, "chat messages"),
        ({"instruction": "Name them.", "input": "Uma", "output": "Uma"}, "Alpaca's instructions"),
        ({"prompt": "Uma", "completion": "Uma"}, "prompts and completions"),
        (
            {"id": 0, "paragraphs": []},
            "spaCy 2's training JSON (paragraphs), which is not read; make a .spacy file",
        ),
    ],
)
def test_data_without_ranges_are_refused_by_name(read, reader, record, name):
    with pytest.raises(UserError, match=r"x\.json:1: ") as caught:
        read([record], reader)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["InstructUIE", "GLiNER", "GLiNER2", "spaCy"])
def test_jsonl_names_the_format_that_reads_them(read, name):
    with pytest.raises(UserError, match=r"x\.json:1: .*data\.format=json"):
        read(SOUND[name], read_jsonl)


@pytest.mark.parametrize("shape", ["W2NER", "CNN"])
def test_a_mention_of_words_is_checked(read, shape):
    words = ["(", "Uma", ")"]

    def record(said):
        if shape == "W2NER":
            return [{"sentence": words, "ner": [{"index": [0, 1, 2], "type": "PER", "text": said}]}]
        return [
            {"tokens": words, "entity_mentions": [{"start": 0, "end": 3, "entity_type": "PER", "text": said}]}
        ]

    for said in ("( Uma )", "(Uma)", "-LRB- Uma -RRB-"):
        assert len(read(record(said))[0]) == 1
    with pytest.raises(UserError, match=r"'Uma' is not what stands at its words, '\( Uma \)'"):
        read(record("Uma"))


TAGGED = {
    "tokens": ["Uma", " ", "'s", "in", "New", "\n", "York"],
    "ner_tags": ["B-PER", "O", "O", "O", "B-LOC", "I-LOC", "I-LOC"],
    "text": "Uma's  in New\nYork ",
}


def test_tags_beside_the_text_that_they_were_made_of(read, tmp_path):
    entities, repairs, ids = read([{**TAGGED, "id": 7, "doc_id": "d"}], read_jsonl)
    assert entities == [("Uma", "PER"), ("New York", "LOC")]
    assert {reason: len(places) for reason, places in repairs.items()} == {"blank_word": 2}
    assert ids == [("7", "d")]
    (sentence,) = read_jsonl(tmp_path / "x.json", None).sentences
    assert sentence.text == TAGGED["text"]
    assert [sentence.text[a:b] for a, b in sentence.offsets] == ["Uma", "'s", "in", "New", "York"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"text": "Uma's in Old York"}, "word 4 is 'New', but \"text\" goes on with 'Old York'"),
        ({"text": "Uma's in New York, NY"}, "after its last word \"text\" goes on with ', NY'"),
        ({"ner_tags": ["O"]}, '1 "ner_tags" for 7 words'),
        ({"ner_tags": [0] * 7}, "tag 0 is a number without a name; give the names in data.tag_names"),
        (
            {"ner_tags": [None] * 7},
            '"ner_tags" holds None; expected strings such as "B-TYPE", or their numbers',
        ),
        ({"tokens": [[0, 3]]}, '"tokens"[0] is [0, 3]; expected a string'),
    ],
)
def test_tags_that_do_not_fit_their_text_are_named(read, change, problem):
    with pytest.raises(UserError) as caught:
        read([{**TAGGED, **change}], read_jsonl)
    assert problem in str(caught.value)
