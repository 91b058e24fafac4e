"""Broken rows, records and annotations of every format: each gives one line that names it, or loads with what
was mended counted."""

import json

import pytest
from sound import SOUND, load, refused

from toner_jax.atoms import bare

SCHEMA_SAYS = "is not in schema 'conll2003'"


def spans(value):
    return json.dumps({"text": "Zoë Lima slept", "entities": value}) + "\n"


def line(**item):
    return json.dumps(item) + "\n"


def task(result, **more):
    return json.dumps([{"data": {"text": "Zoë Lima slept"}, "annotations": [{"result": result}], **more}])


def region(start=0, end=8, labels=("PER",), **more):
    return [{"type": "labels", "value": {"start": start, "end": end, "labels": labels, **more}}]


GOOD = SOUND["jsonl"]
DEEP = "[" * 100_000 + "]" * 100_000

# format, content, the line that the error names, and what it says
REFUSED = [
    ("columns", "Zoë PER\n", 1, "tag 'PER' has no prefix, and no word has the tag O; write O, B-TYPE"),
    ("columns", "a O\nx I-PER\nZoë B_PER\n", 3, "tag 'B_PER' has no prefix, unlike 'I-PER' ("),
    ("columns", "a O\nZoë B-\n", 2, "tag 'B-' names no type"),
    ("columns", "Zoë X-PER\n", 1, "tag 'X-PER' has the unknown prefix 'X'"),
    ("columns", "Zoë B-SHIP\n", 1, f"label 'SHIP' {SCHEMA_SAYS}"),
    ("columns", "Zoë B-" + "x" * 10_000 + "\n", 1, "label 'xxx"),
    ("columns", "Zoë " + "x" * 10_000 + "\n", 1, "tag 'xxx"),
    ("columns", "Zoë " + "x" * 10_000 + "-y\n", 1, "tag 'xxx"),
    ("columns", "Zoë 1,2\n", 1, "tag '1,2' has no prefix"),
    ("columns", "Zoë B-PER\nLima\n", 2, "1 column where line 1 has 2"),
    ("columns", "Zoë B-PER\nLima x I-PER\n", 2, "3 columns where line 1 has 2"),
    ("columns", "Zoë B-PER\nLima\tx\tI-PER\n", 2, "3 columns where line 1 has 2"),
    ("columns", "Zoë B-PER\nLima \tx I-PER\n", 2, "tag 'x I-PER' has the unknown prefix 'x I'"),
    ("columns", "Zoë\n", 1, "1 column, which leaves none for the tag"),
    ("columns", "Zoë\tO\n\tO\n", 2, "the token is empty"),
    ("columns", "Zoë\tO\nLima\t\n", 2, "the tag is empty"),
    ("columns", "Zoë O\rLima O\n", 1, "carriage return inside the line"),
    ("columns", "Zoë B-PER,B-ORG\n", 1, "tag 'B-PER,B-ORG' holds several annotations"),
    ("columns", GOOD, 1, "tag '\"PER\"}]}' has no prefix"),
    ("columns", "-DOCSTART- O\n\n", None, "empty"),
    ("csv", "Zoë,B-PER\nLima,I-PER\n", 1, "no column of words"),
    ("csv", "Word,Tag\n\nZoë,B-PER\r\r\nLima,I-PER\r\r\n", 3, "carriage return before the line end"),
    ("csv", "Word\nZoë\n", 1, "no column of tags"),
    ("csv", "Word,Tag\nZoë\n", 2, "1 fields where the header has 2"),
    ("csv", "Word,Tag\nZoë,B-PER,x\n", 2, "3 fields where the header has 2"),
    ("csv", "Word,Tag\nZoë B-PER\n", 2, "1 fields where the header has 2"),
    ("csv", "Word,Tag\nZoë,PER\n", 2, "tag 'PER' has no prefix"),
    ("csv", "Word,Tag\nZoë,B-SHIP\n", 2, f"label 'SHIP' {SCHEMA_SAYS}"),
    ("csv", 'Word,Tag\n"Zoë,B-PER\nLima,I-PER\n', 2, "not CSV (unexpected end of data)"),
    ("csv", 'Word,Tag\n"Zoë" x,B-PER\n', 2, "not CSV"),
    ("csv", "Word,Tag\n,B-PER\n", 2, "the word is empty"),
    ("csv", "Word,Tag\nZoë,\n", 2, "the tag is empty"),
    ("csv", "Word,Word,Tag\na,b,O\n", 1, "several columns may hold words"),
    ("csv", GOOD, 1, "no column of words"),
    ("jsonl", GOOD + "{", 2, "not JSON (Expecting property name enclosed in double quotes at column 2)"),
    ("jsonl", GOOD + "{'text': 'a'}\n", 2, "not JSON"),
    ("jsonl", GOOD.strip() + GOOD, 1, "not JSON (Extra data"),
    ("jsonl", GOOD + '"text"\n', 2, "expected an object"),
    ("jsonl", GOOD + "null\n", 2, "expected an object"),
    ("jsonl", GOOD + "[1]\n", 2, "expected an object"),
    ("jsonl", GOOD + DEEP, 2, "not JSON (nested too deeply)"),
    ("jsonl", '{"a":' * 100_000, 1, "not JSON"),
    ("jsonl", DEEP, 1, "not JSON (nested too deeply)"),
    ("jsonl", "[" + GOOD + "\n" + GOOD, 3, "not JSON (expected ',' or ']'"),
    ("jsonl", "[\n" + GOOD, 3, "not JSON (expected ',' or ']'"),
    ("jsonl", "[\n" + GOOD + ",\n]", 4, "not JSON"),
    ("jsonl", "[\n" + GOOD + "]\n" + GOOD, 2, "not JSON (text after the end of the array)"),
    ("jsonl", "[" + GOOD + "]]", 1, "not JSON (text after the end of the array)"),
    ("jsonl", "[]]", 1, "not JSON (text after the end of the array)"),
    ("jsonl", "[" + GOOD + ", 3]", 2, "expected an object"),
    ("jsonl", '{"text": "a", "entities": [[0, 1, "PER"]], "entities": []}\n', 1,
     "not JSON (an object has the key 'entities' twice)"),
    ("jsonl", "{}\n", 1, 'has neither "text" nor "words"'),
    ("jsonl", line(text="Zoë"), 1, 'has no "entities"'),
    ("jsonl", line(Text="Zoë", entities=[]), 1, "has neither"),
    ("jsonl", line(text=3, entities=[]), 1, '"text" is 3; expected a string'),
    ("jsonl", line(text=None, entities=[]), 1, '"text" is None; expected a string'),
    ("jsonl", line(text=["Zoë"], entities=[]), 1, "\"text\" is ['Zoë']; expected a string"),
    ("jsonl", spans({}), 1, '"entities" is {}; expected a list'),
    ("jsonl", spans("PER"), 1, "\"entities\" is 'PER'; expected a list"),
    ("jsonl", spans([3]), 1, '"entities"[0] is 3; expected a start, an end and a label'),
    ("jsonl", spans([[0, 8]]), 1, '"entities"[0] is [0, 8]; expected'),
    ("jsonl", spans([{"start": 0, "end": 8}]), 1, '"entities"[0] has no "label"'),
    ("jsonl", spans([{"end": 8, "label": "PER"}]), 1, '"entities"[0] has no "start"'),
    ("jsonl", spans([{"start": 0, "end": 8, "label": "PER", "type": "LOC"}]), 1,
     '"entities"[0]: has both "label" and "type"'),
    ("jsonl", spans([["0", 8, "PER"]]), 1, "\"entities\"[0]: '0' is not a whole number"),
    ("jsonl", spans([[0, 8.0, "PER"]]), 1, '"entities"[0]: 8.0 is not a whole number'),
    ("jsonl", spans([[False, True, "PER"]]), 1, '"entities"[0]: False is not a whole number'),
    ("jsonl", spans([[0, None, "PER"]]), 1, '"entities"[0]: None is not a whole number'),
    ("jsonl", spans([[0, 8, 3]]), 1, '"entities"[0]: label 3 is not a name'),
    ("jsonl", spans([[0, 8, ""]]), 1, "\"entities\"[0]: label '' is not a name"),
    ("jsonl", spans([[0, 8, ["PER"]]]), 1, "\"entities\"[0]: label ['PER'] is not a name"),
    ("jsonl", spans([[0, 8, "a\nb"]]), 1, f"label 'a\\nb' {SCHEMA_SAYS}"),
    ("jsonl", GOOD + spans([[8, 0, "PER"]]), 2, "span [8, 0) is empty or outside its text of 14 characters"),
    ("jsonl", spans([[0, 0, "PER"]]), 1, "span [0, 0) is empty"),
    ("jsonl", spans([[0, 15, "PER"]]), 1, "span [0, 15) is empty or outside its text of 14 characters"),
    ("jsonl", spans([[-8, -1, "PER"]]), 1, "span [-8, -1) is empty or outside"),
    ("jsonl", spans([[0, 10**40, "PER"]]), 1, "span [0, 1000000"),
    ("jsonl", '{"text": "a", "entities": [[0, ' + "9" * 5_000 + ', "PER"]]}', 1, "not JSON (Exceeds the limit"),
    ("jsonl", spans([[3, 4, "PER"]]), 1, "span [3, 4) holds only white space"),
    ("jsonl", spans([[0, 8, "SHIP"]]), 1, f"label 'SHIP' {SCHEMA_SAYS}"),
    ("jsonl", r'{"text": "a\ud800", "entities": []}', 1, "unpaired surrogate at 1 of the text"),
    ("jsonl", r'{"text": "a\u0000", "entities": []}', 1, "NUL character at 1 of the text"),
    ("jsonl", line(words=["a\ud800"], entities=[]), 1, "unpaired surrogate at 1 of the text"),
    ("jsonl", '{"text": "a\x01", "entities": []}', 1, "not JSON (Invalid control character at"),
    ("jsonl", line(text="", entities=[]), None, "empty"),
    ("jsonl", line(text="", entities=[[0, 1, "PER"]]), 1, "span [0, 1) is empty or outside its text of 0"),
    ("jsonl", GOOD + line(words=["a"], entities=[]), 2, "annotates words where the file began with characters"),
    ("jsonl", line(words="Zoë", entities=[]), 1, "\"words\" is 'Zoë'; expected a list"),
    ("jsonl", line(words=["Zoë", None], entities=[]), 1, '"words"[1] is None; expected a string'),
    ("jsonl", line(words=["Zoë"], entities=[[0, 2, "PER"]]), 1, "span [0, 2) is empty or outside its 1 words"),
    ("jsonl", line(words=["Zoë"], entities=[[1, 1, "PER"]]), 1, "span [1, 1) is empty or outside its 1 words"),
    ("jsonl", line(words=["Zoë"], entities=[[0, 1, "SHIP"]]), 1, f"label 'SHIP' {SCHEMA_SAYS}"),
    ("jsonl", line(words=["Zoë"], tags=["O", "O"]), 1, '2 "tags" for 1 words'),
    ("jsonl", line(words=["Zoë"], tags=[1]), 1, "tag 1 is a number without a name; give"),
    ("jsonl", line(words=["Zoë"], tags=[True]), 1, '"tags" holds True; expected strings'),
    ("jsonl", line(words=["Zoë"], tags=["PER"]), 1, "tag 'PER' has no prefix"),
    ("jsonl", line(words=["Zoë"], tags="O"), 1, "\"tags\" is 'O'; expected a list"),
    ("jsonl", line(words=[], tags=[]), None, "empty"),
    ("jsonl", line(text="Zoë", words=[[0, 4]], entities=[]), 1, '"words"[0] is [0, 4]: empty, outside'),
    ("jsonl", line(text="Zoë", words=[[0]], entities=[]), 1, '"words"[0] is [0]; expected a range'),
    ("jsonl", line(text="Zoë", words=[["0", 1]], entities=[]), 1, "\"words\"[0]: '0' is not a whole number"),
    ("jsonl", line(text="Zoë x", words=[[0, 3]], entities=[[0, 5, "PER"]]), 1, "span [0, 5) begins or ends bet"),
    ("jsonl", line(text="Zoë", entities=[], id=[]), 1, '"id" is []; expected a string or a whole number'),
    ("jsonl", line(text="Zoë", entities=[], id=""), 1, "\"id\" is ''; expected"),
    ("jsonl", line(text="a", entities=[], id="\ud800"), 1, "unpaired surrogate at 0"),
    ("jsonl", line(text="a", entities=[], id=1) * 2, 2, "\"id\" '1' was already used in"),
    ("jsonl", SOUND["columns"], 1, "not JSON"),
    ("doccano", '{"text": "Zoë"}\n', 1, 'has no "label"'),
    ("doccano", '{"data": "Zoë", "label": []}\n', 1, 'has no "text"'),
    ("doccano", '{"text": "Zoë", "label": [], "entities": []}\n', 1, 'has both "label" and "entities"'),
    ("doccano", '{"text": "Zoë", "label": [[0, 4, "PER"]]}\n', 1, "span [0, 4) is empty or outside"),
    ("doccano", '{"text": "Zoë", "label": [[2, 1, "PER"]]}\n', 1, "span [2, 1) is empty or outside"),
    ("doccano", '{"text": "Zoë", "label": [[0, 3, "SHIP"]]}\n', 1, f"label 'SHIP' {SCHEMA_SAYS}"),
    ("doccano", '{"text": "Zoë", "label": ["positive"]}\n', 1, "\"label\"[0] is 'positive'; expected a start"),
    ("doccano", '{"text": "Zoë", "entities": [{"start_offset": 0, "label": "PER"}]}\n', 1, 'has no "end"'),
    ("doccano", '{"text": "Zoë", "label": [], "relations": 3}\n', 1, '"relations" is 3; expected a list'),
    ("doccano", '{"text": "Zoë", "label": [\n', 1, "not JSON"),
    ("doccano", SOUND["label_studio"], 1, 'has no "text"'),
    ("label_studio", SOUND["label_studio"].rstrip("\n")[:-1], 4, "not JSON (expected ',' or ']'"),
    ("label_studio", '{"data": {"text": "a"}}', 1, 'has no "annotations"'),
    ("label_studio", '[{"text": "a", "label": [{"start": 0, "end": 1, "labels": ["PER"], "labels": []}]}]', 1,
     "an object has the key 'labels' twice"),
    ("label_studio", "[]", None, "empty"),
    ("label_studio", "[3]", 1, "expected an object"),
    ("label_studio", '[{"data": [], "annotations": []}]', 1, '"data" is []; expected an object'),
    ("label_studio", '[{"data": {}, "annotations": [{"result": []}]}]', 1, 'has no "text"'),
    ("label_studio", '[{"data": {"text": "a"}, "annotations": {}}]', 1, '"annotations" is {}; expected a list'),
    ("label_studio", '[{"data": {"text": "a"}, "annotations": [{}]}]', 1, 'has no "result"'),
    ("label_studio", '[{"data": {"text": "a"}, "annotations": []}]', None, "empty"),
    ("label_studio", task(region(8, 0)), 1, "span [8, 0) is empty or outside"),
    ("label_studio", task(region(0, 99)), 1, "span [0, 99) is empty or outside"),
    ("label_studio", task(region(0, 8, text="Ivan")), 1, "the text at [0, 8) is 'Zoë Lima', not 'Ivan'"),
    ("label_studio", task(region(0, 10**30, text="Ivan")), 1, "span [0, 1000"),
    ("label_studio", task(region(0, None)), 1, "None is not a whole number"),
    ("label_studio", task(region(labels=["SHIP"])), 1, f"label 'SHIP' {SCHEMA_SAYS}"),
    ("label_studio", task(region(labels="PER")), 1, "\"labels\" is 'PER'; expected a list"),
    ("label_studio", task(region(labels=[None])), 1, "label None is not a name"),
    ("label_studio", task([None]), 1, "result None is not an object"),
    ("label_studio", task([], id={}), 1, '"id" is {}; expected'),
    ("label_studio", '[{"text": "a", "label": [[0, 1, "PER"]]}]', 1, "region [0, 1, 'PER'] is not an object"),
    ("brat", "T1 PER 0 8 Zoë Lima\n", 1, "'T1 PER 0 8 Zoë Lima' is not an annotation"),
    ("brat", "T1\tPER 0 8\n", 1, "'T1\\tPER 0 8' is not an annotation"),
    ("brat", "T1\tPER 0 8\tZoë\n", 1, "the text at [0, 8) is 'Zoë Lima', not 'Zoë'"),
    ("brat", "T1\tPER 8 0\tZoë Lima\n", 1, "span [8, 0) is empty or outside"),
    ("brat", "T1\tPER 0 0\t\n", 1, "span [0, 0) is empty or outside"),
    ("brat", "T1\tPER 0 99\tZoë Lima\n", 1, "span [0, 99) is empty or outside"),
    ("brat", "T1\tPER 0 " + "9" * 9_000 + "\tZoë Lima\n", 1, "span '0 999"),
    ("brat", "T1\tPER 3 4\t \n", 1, "span [3, 4) holds only white space"),
    ("brat", "T1\tPER 0.5 8\tZoë Lima\n", 1, "'T1\\tPER 0.5 8\\tZoë Lima' is not an annotation"),
    ("brat", "T1\tPER 0 3;4\tZoë Lima\n", 1, "'T1\\tPER 0 3;4\\tZoë Lima' is not an annotation"),
    ("brat", "T1\tPER 0 3;9 14\tZoë slept\n", 1, "this PER is discontinuous"),
    ("brat", "\nT1\tSHIP 0 8\tZoë Lima\n", 2, f"label 'SHIP' {SCHEMA_SAYS}"),
    ("brat", "T1\tPER 0 8\tZoë Lima\nT1\tPER 0 3\tZoë\n", 2, "T1 was already used in line 1"),
    ("brat", "R1 Arg1:T1\n", 1, "'R1 Arg1:T1' is not an annotation"),
    ("brat", "x\n", 1, "'x' is not an annotation"),
    ("brat", "x" * 100_000 + "\n", 1, "'xxx"),
    ("brat", GOOD, 1, "is not an annotation"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("format", "content", "at", "problem"),
    REFUSED,
    ids=[f"{format}-{i}" for i, (format, *_) in enumerate(REFUSED)],
)
def test_broken_files_are_refused_by_file_and_line(format, content, at, problem, tmp_path):
    found, message = refused(format, content, tmp_path)
    assert problem in message
    assert found == at


# format, content, how many sentences and entities it gives, what is counted
MENDED = [
    ("columns", "a B-PER\nb O\nc I-PER\n", 1, 2, {"i_without_b": 1}),
    ("columns", "a S-PER\nb I-LOC\nc E-ORG\n", 1, 3, {"i_without_b": 1, "e_without_b": 1}),
    ("columns", "a U-PER\nb B-LOC\nc O\n", 1, 2, {"b_without_e": 1}),
    ("columns", "a  O\nb\t \tO\n".replace("\t \t", "   "), 1, 0, {}),
    ("csv", "Word,Tag\na,B-PER\nb,I-LOC\n", 1, 2, {"i_without_b": 1}),
    ("csv", "Word,Tag\n a ,B-PER\n", 1, 1, {"word_trimmed": 1}),
    ("jsonl", spans([[0, 8, "PER"], [0, 8, "person"]]), 1, 1, {"duplicate_entity": 1}),
    ("jsonl", spans([[0, 8, "PER"], [4, 14, "LOC"]]), 1, 2, {}),
    ("jsonl", spans([[0, 9, "PER"]]), 1, 1, {"span_trimmed": 1}),
    ("jsonl", spans([[1, 8, "PER"]]), 1, 0, {}),
    ("jsonl", line(text="Ivan fell. Then Petra.", entities=[[0, 21, "PER"]]), 2, 0, {}),
    ("jsonl", GOOD + line(text=" ", entities=[]), 1, 1, {"empty_text": 1}),
    ("jsonl", GOOD + "\n\n" + GOOD, 2, 2, {}),
    ("jsonl", line(words=["a", " "], entities=[[0, 2, "PER"], [1, 2, "PER"]]), 1, 1,
     {"blank_word": 1, "blank_entity": 1}),
    ("jsonl", line(words=["a\n"], entities=[[0, 1, "PER"], [0, 1, "PER"]]), 1, 1,
     {"word_trimmed": 1, "duplicate_entity": 1}),
    ("jsonl", line(words=["a"], entities=[]) + line(words=[], entities=[]), 1, 0, {"empty_text": 1}),
    ("jsonl", line(words=["a"], tags=["B-PER"]) + line(words=["c"], tags=["I-PER"]), 2, 2, {"i_without_b": 1}),
    ("jsonl", line(text="Zoë", words=[[0, 3]], entities=[[0, 2, "PER"]]), 1, 0, {}),
    ("doccano", '{"text": "Zoë", "label": [[0, 3, "PER"]], "relations": [{}, {}]}', 1, 1, {"not_entities": 2}),
    ("doccano", SOUND["doccano"] + '{"text": "", "label": []}', 1, 1, {"empty_text": 1}),
    ("label_studio", task(region(labels=[])), 1, 0, {"unlabelled_region": 1}),
    ("label_studio", task(region() * 2), 1, 1, {"duplicate_entity": 1}),
    ("label_studio", task([{"type": "choices"}]), 1, 0, {"not_entities": 1}),
    ("brat", "T1\tPER 0 8\tZoë Lima\nT2\tPER 0 8\tZoë Lima\n", 1, 1, {"duplicate_entity": 1}),
    ("brat", "T1\tPER 0 9\tZoë Lima \n", 1, 1, {"span_trimmed": 1}),
    ("brat", "T1\tPER 0 2\tZo\n", 1, 0, {}),
    ("brat", "#1\tAnnotatorNotes T1\t{{{\n*\tx\nE9\t\n", 1, 0, {"not_entities": 3}),
    ("brat", "", 1, 0, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("format", "content", "sentences", "entities", "repairs"),
    MENDED,
    ids=[f"{format}-{i}" for i, (format, *_) in enumerate(MENDED)],
)
def test_what_can_be_mended_is_mended_and_counted(format, content, sentences, entities, repairs, tmp_path):
    (read, counted), _ = load(format, content, tmp_path)
    assert (len(read), sum(len(s.entities) for s in read)) == (sentences, entities)
    assert counted == repairs
    for s in read:
        assert all(s.text[a:b] == bare(word) for word, (a, b) in zip(s.words, s.offsets, strict=True))
