"""Damaged files of the JSON shapes: each gives one error of one line that names its place, or loads with what
was mended counted. The table says which."""

from __future__ import annotations

import json

import pytest
from broken import Expected, check, put

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.json_shapes import read_json_shapes

W = {"sentence": ["Ann", "met", "Bob"], "ner": [{"index": [0], "type": "PER"}]}
T = {"tokens": ["Ann", "met", "Bob"]}
C = {"context": "Ann met Bob"}
S = {"sentences": [["Ann", "met"], ["Bob", "ran"]]}
TEXT = {"sentence": "Ann met Bob"}


def w2ner(**ner) -> dict:
    return {**W, "ner": [ner]}


def cnn(**mention) -> dict:
    return {**T, "entity_mentions": [mention]}


def uie(**entity) -> dict:
    return {**T, "entity": [{"type": "PER", "text": "Ann", **entity}]}


def chars(start, end, label="PER") -> dict:
    return {**TEXT, "entities": [{"start": start, "end": end, "type": label}]}


FIRST = "x.json:1: record 1"
# Values are written as an array of one record; text and bytes as they are.
JSON: dict[str, tuple[object, Expected]] = {
    "empty": ("", ("x.json", "empty: it holds no record")),
    "white space": (" \n\n ", ("x.json", "empty: it holds no record")),
    "empty array": ("[]", ("x.json", "empty: it holds no record")),
    "byte order mark": ("\ufeff" + json.dumps([W]), {}),
    "crlf lines": (json.dumps(W) + "\r\n\r\n" + json.dumps(W) + "\r\n", {}),
    "latin-1": (b'[{"sentence": ["\xe9"]}]', ("x.json:1", "byte 0xe9 is not UTF-8")),
    "utf-16": (json.dumps([W]).encode("utf-16"), ("x.json:1", "is not UTF-8")),
    "NUL": ('[\n"\0"]', ("x.json:2", "NUL")),
    "escaped NUL": ({**W, "sentence": ["a\0"]}, (FIRST, '"sentence"[0]: NUL character at 1 of the text')),
    "half a surrogate pair": (
        '[{"sentence": ["\\ud83d"], "ner": []}]', (FIRST, '"sentence"[0]: unpaired surrogate at 0'),
    ),
    "array cut off": (json.dumps([W, W], indent=0)[:-9], ("x.json:28", "not JSON (Unterminated string")),
    "line cut off": (json.dumps(W) + "\n" + json.dumps(W)[:-5], ("x.json:2", "not JSON")),
    "two objects on a line": (json.dumps(W) * 2, ("x.json:1", "not JSON (Extra data at column")),
    "columns": ("Ann B-PER\n", ("x.json:1", "not JSON (Expecting value at column 1)")),
    "nested too deep": ("[" * 100_000, ("x.json:1", "not JSON (nested too deeply)")),
    "too long a number": ("[" + "9" * 5_000 + "]", ("x.json:1", "not JSON (Exceeds the limit")),
    "a number for a record": ("[1]", (FIRST, 'expected an object {"…": …}, not 1')),
    "null for a record": ("null\n", ("x.json:1", 'expected an object {"…": …}, not None')),
    "a list for a record": ("[[]]", (FIRST, 'expected an object {"…": …}, not []')),
    "no known keys": ({"text": "a", "label": []}, (FIRST, "its keys ('text', 'label') are of no known shape")),
    "no keys": ({}, (FIRST, "its keys () are of no known shape")),
    "a data set wrapped": ({"data": [W]}, (FIRST, "its keys ('data') are of no known shape")),
    "relations": ({**S, "ner": [[], []], "relations": [[], []]}, (FIRST, "marks the heads of mentions")),
    "shapes mixed": (
        json.dumps([W, cnn()]), ("x.json:1: record 2", "of shape CNN_Nested_NER after records of shape W2NER"),
    ),
    "W2NER: no words": ({**W, "sentence": []}, (FIRST, '"sentence" holds no words')),
    "W2NER: an empty word": ({**W, "sentence": ["a", ""]}, (FIRST, '"sentence" holds a word that is empty')),
    "W2NER: a word of white space": (
        {**W, "sentence": ["a", "\u3000"]}, (FIRST, "a word that is empty or white space"),
    ),
    "W2NER: a number for a word": (
        {**W, "sentence": ["a", 3]}, (FIRST, '"sentence"[1] is 3; expected a string'),
    ),
    "W2NER: an object for ner": ({**W, "ner": {}}, (FIRST, '"ner" is {}; expected a list')),
    "W2NER: no index": (w2ner(type="PER"), (FIRST, '"ner"[0]: has no "index"')),
    "W2NER: no type": (w2ner(index=[0]), (FIRST, '"ner"[0]: has no "type"')),
    "W2NER: an empty index": (w2ner(index=[], type="PER"), (FIRST, '"index" is []; expected word numbers')),
    "W2NER: descending": (
        w2ner(index=[1, 0], type="PER"), (FIRST, '"index" is [1, 0]; expected word numbers in ascending'),
    ),
    "W2NER: a word twice": (w2ner(index=[1, 1], type="PER"), (FIRST, "expected word numbers in ascending order")),
    "W2NER: past the words": (
        w2ner(index=[2, 3], type="PER"), (FIRST, "words 2 to 3 is empty or outside its 3 words"),
    ),
    "W2NER: negative": (w2ner(index=[-1], type="PER"), (FIRST, "words -1 to -1 is empty or outside")),
    "W2NER: true for a number": (w2ner(index=[True], type="PER"), (FIRST, '"index": True is not a whole number')),
    "W2NER: unknown label": (w2ner(index=[0], type="CAT"), (FIRST, "label 'CAT' is not in schema 'ace2004'")),
    "W2NER: null for a label": (
        w2ner(index=[0], type=None), (FIRST, '"type" is None; expected a string'),
    ),
    "W2NER: discontinuous": (w2ner(index=[0, 2], type="PER"), {"discontinuous": 1}),
    "W2NER: twice": ({**W, "ner": W["ner"] * 2}, {"duplicate_entity": 1}),
    "W2NER: white space in a word": ({**W, "sentence": ["Ann Lee", "ran"]}, {"word_split": 1}),
    "mrc: no words": ({"context": "  ", "label": {}}, (FIRST, '"context" holds no words')),
    "mrc: a list of words": ({"context": ["Ann"], "label": {}}, (FIRST, "\"context\" is ['Ann']; expected a string")),
    "mrc: a list of labels": ({**C, "label": []}, (FIRST, '"label" is []; expected an object of lists')),
    "mrc: a span for a list": (
        {**C, "label": {"PER": "0;0"}}, (FIRST, "\"label\": \"PER\" is '0;0'; expected a list"),
    ),
    "mrc: a pair for a span": ({**C, "label": {"PER": [[0, 0]]}}, (FIRST, '[0, 0] where a span "first;last"')),
    "mrc: half a span": ({**C, "label": {"PER": ["0"]}}, (FIRST, "'0' where a span")),
    "mrc: negative": ({**C, "label": {"PER": ["-1;0"]}}, (FIRST, "'-1;0' where a span")),
    "mrc: end before start": ({**C, "label": {"PER": ["2;0"]}}, (FIRST, "words 2 to 0 is empty or outside")),
    "mrc: past the words": ({**C, "label": {"PER": ["2;3"]}}, (FIRST, "words 2 to 3 is empty or outside")),
    "mrc: unknown label": ({**C, "label": {"CAT": ["0;0"]}}, (FIRST, "label 'CAT' is not in schema")),
    "query: past the words": (
        {**C, "entity_label": "PER", "span_position": ["0;3"]}, (FIRST, "span '0;3' lies outside the 3 words"),
    ),
    "query: a number for a label": (
        {**C, "entity_label": 1, "span_position": []}, (FIRST, '"entity_label" is 1; expected a string'),
    ),
    "BARTNER: fewer lists": ({**S, "ners": [[]]}, (FIRST, '2 sentences but 1 lists in "ners"')),
    "BARTNER: a pair": (
        {**S, "ners": [[], [[0, 0]]]}, (f"{FIRST}: sentence 2", "expected [first, last, type]"),
    ),
    "BARTNER: past the sentence": (
        {**S, "ners": [[[0, 2, "PER"]], []]}, (f"{FIRST}: sentence 1", "words 0 to 2 is"),
    ),
    "BARTNER: end before start": (
        {**S, "ners": [[[1, 0, "PER"]], []]}, (f"{FIRST}: sentence 1", "words 1 to 0 is"),
    ),
    "BARTNER: text for a number": (
        {**S, "ners": [[["0", 0, "PER"]], []]}, (f"{FIRST}: sentence 1", "'0' is not a whole number"),
    ),
    "PURE: within the sentence": (
        {**S, "ner": [[], [[0, 0, "PER"]]]}, (f"{FIRST}: sentence 2", "words -2 to -2 is"),
    ),
    "PURE: a sentence that is text": (
        {"sentences": ["a"], "ner": [[]]}, (FIRST, "\"sentences\"[0] is 'a'; expected a list"),
    ),
    "PURE: a number for a document": (
        {**S, "ner": [[], []], "doc_key": 1}, (FIRST, '"doc_key" is 1; expected a string'),
    ),
    "CNN: no start": (cnn(end=1, entity_type="PER"), (FIRST, '"entity_mentions"[0]: has no "start"')),
    "CNN: empty span": (cnn(start=1, end=1, entity_type="PER"), (FIRST, "words 1 to 0 is empty or outside")),
    "CNN: past the words": (
        cnn(start=2, end=4, entity_type="PER"), (FIRST, "words 2 to 3 is empty or outside"),
    ),
    "CNN: a fraction": (
        cnn(start=0.5, end=1, entity_type="PER"), (FIRST, '"start": 0.5 is not a whole number'),
    ),
    "UIE: other text": (uie(offset=[2]), (FIRST, "\"entity\"[0]: 'Ann' is not what stands at its words, 'Bob'")),
    "UIE: past the words": (uie(offset=[2, 3], text="Bob"), (FIRST, "words 2 to 3 is empty or outside")),
    "UIE: a number for the offset": (uie(offset=0), (FIRST, '"offset" is 0; expected a list')),
    "UIE: discontinuous": (uie(offset=[0, 2], text="Ann Bob"), {"discontinuous": 1}),
    "characters: empty": ({"sentence": " ", "entities": []}, (FIRST, '"sentence" is empty')),
    "characters: past the text": (chars(8, 12), (FIRST, "span [8, 12)")),
    "characters: end before start": (chars(3, 0), (FIRST, "span [3, 0)")),
    "characters: negative": (chars(-3, 2), (FIRST, "span [-3, 2)")),
    "characters: white space": (chars(3, 4), (FIRST, "holds only white space")),
    "characters: space at the edge": (chars(0, 4), {"span_trimmed": 1}),
    "characters: inside a word": (chars(0, 2), {}),
    "characters: unknown label": (chars(0, 3, "CAT"), (FIRST, "label 'CAT' is not in schema")),
}  # fmt: skip


@pytest.mark.parametrize("case", JSON)
def test_json(tmp_path, case):
    content, expected = JSON[case]
    if isinstance(content, dict):
        content = json.dumps([content])
    assert isinstance(content, str | bytes)
    path = put(tmp_path, "x.json", content)
    check(expected, tmp_path, lambda: read_json_shapes(path, BUILTIN["ace2004"], "dev"))
