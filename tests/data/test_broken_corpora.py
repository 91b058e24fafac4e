"""Damaged benchmark files: each gives one error of one line that names its place, or loads with what was
mended counted. The table says which."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from test_ontonotes import conll, name_file

from toner_jax.data.corpora.ace import read_ace
from toner_jax.data.corpora.ontonotes import read_ontonotes
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.json_shapes import read_json_shapes
from toner_jax.data.reading import Read
from toner_jax.errors import UserError

Content = str | bytes
# What comes of it: (place, words of the message), or what is counted.
Expected = tuple[str, str] | Mapping[str, int]

ONE = conll("nw/a", [("Ann", "(PERSON*"), ("Lee", "*)"), ("ran", "*")])


def rows(*cells: str) -> str:
    """Two words a sentence, one cell each; the first row is line 2."""
    return conll("nw/a", list(zip("ab", cells, strict=True)))


CONLL: dict[str, tuple[Content, Expected]] = {
    "empty": ("", ("x.gold_conll", "empty: it holds no sentence")),
    "blank": ("\n \n\t\n", ("x.gold_conll", "empty: it holds no sentence")),
    "byte order mark": ("\ufeff" + ONE, {}),
    "crlf": (ONE.replace("\n", "\r\n"), {}),
    "tabs": (ONE.replace("   ", "\t"), {}),
    "no last line end": (ONE.rstrip("\n"), {}),
    "carriage return inside": (ONE.replace("Ann", "A\rnn"), ("x.gold_conll:2", "carriage return")),
    "old line ends": (ONE.replace("\n", "\r"), ("x.gold_conll:1", "carriage return")),
    "utf-16": (ONE.encode("utf-16"), ("x.gold_conll:1", "byte 0xff is not UTF-8")),
    "latin-1": (ONE.replace("Lee", "Léo").encode("latin-1"), ("x.gold_conll:3", "byte 0xe9 is not UTF-8")),
    "NUL": (ONE.replace("ran", "r\0n"), ("x.gold_conll:4", "NUL")),
    "no end of document": (ONE.replace("#end document\n", ""), ("x.gold_conll:6", "has no `#end document`")),
    "cut off in a row": (ONE[: ONE.index("ran") + 4], ("x.gold_conll:4", "4 columns")),
    "cut off after a row": (
        ONE[: ONE.index("ran")].rsplit("\n", 1)[0], ("x.gold_conll:3", "is the file cut off?"),
    ),
    "no beginning": (ONE.split("\n", 1)[1], ("x.gold_conll:1", "a row before any `#begin document")),
    "two beginnings": (ONE.split("\n", 1)[0] + "\n" + ONE, ("x.gold_conll:2", "begun on line 1 has no")),
    "two ends": (ONE + "#end document\n", ("x.gold_conll:7", "where none has begun")),
    "beginning without an id": (
        ONE.replace("(nw/a)", "()"), ("x.gold_conll:1", "expected `#begin document (ID)"),
    ),
    "another comment": (ONE.replace("#end", "# note\n#end"), ("x.gold_conll:6", "not '# note'")),
    "a short row": (
        ONE.replace("   (V*)   *   -\n", "\n", 1), ("x.gold_conll:3", "14 columns where the sentence"),
    ),
    "a long row": (ONE.replace("ran", "ran off"), ("x.gold_conll:4", "15 columns where the sentence has 14")),
    "four columns": ("#begin document (a); part 000\nEU NNP I-NP I-ORG\n", ("x.gold_conll:2", "4 columns;")),
    "opened, not closed": (rows("(GPE*", "*"), ("x.gold_conll:2", "the gpe that begins here is not closed")),
    "closed, not opened": (rows("*", "*)"), ("x.gold_conll:3", "`)` in '*)' closes no entity")),
    "closed twice": (rows("(GPE*", "*))"), ("x.gold_conll:3", "`)` in '*))' closes no entity")),
    "two opened, one closed": (
        rows("(ORG(GPE*", "*)"), ("x.gold_conll:2", "the organization that begins here"),
    ),
    "closed in the next sentence": (
        conll("nw/a", [("a", "(GPE*")], [("b", "*)")]), ("x.gold_conll:2", "is not closed in its sentence"),
    ),
    "a label alone": (rows("GPE", "*"), ("x.gold_conll:2", "named entities 'GPE': write (TYPE")),
    "an IOB tag": (rows("B-GPE", "*"), ("x.gold_conll:2", "named entities 'B-GPE'")),
    "a bracket without a label": (rows("(", "*)"), ("x.gold_conll:2", "named entities '('")),
    "garbage after a bracket": (rows("(GPE)x", "*"), ("x.gold_conll:2", "named entities '(GPE)x'")),
    "unknown label": (rows("(ANIMAL)", "*"), ("x.gold_conll:2", "label 'ANIMAL' is not in schema 'ontonotes'")),
    "the same entity twice": (rows("(GPE(GPE))", "*"), {"duplicate_entity": 1}),
    "only the genre pt": (conll("pt/a", [("a", "*")]), ("x.gold_conll", "no sentence of the genres to keep")),
}  # fmt: skip

TAGGED = 'in <ENAMEX TYPE="GPE">Iran</ENAMEX> .'


def tag(attributes: str) -> str:
    return name_file("nw/a", f"<ENAMEX {attributes}>Iran</ENAMEX> .")


NAME: dict[str, tuple[Content, Expected]] = {
    "empty": ("", ("x.name", "empty: it holds no sentence")),
    "byte order mark, crlf": ("\ufeff" + name_file("nw/a", TAGGED).replace("\n", "\r\n"), {}),
    "latin-1": (name_file("nw/a", "é").encode("latin-1"), ("x.name:2", "byte 0xe9 is not UTF-8")),
    "NUL": (name_file("nw/a", "a\0"), ("x.name:2", "NUL")),
    "no DOC": (TAGGED, ("x.name:1", "text before `<DOC")),
    "DOC without a number": ("<DOC>\na\n</DOC>\n", ("x.name:1", 'expected one `<DOC DOCNO="ID')),
    "DOC in DOC": (name_file("nw/a", '<DOC DOCNO="nw/b">'), ("x.name:2", "expected one `<DOC")),
    "no end": (name_file("nw/a", TAGGED).replace("</DOC>\n", ""), ("x.name:3", "is the file cut off?")),
    "cut off in a tag": ('<DOC DOCNO="a">\nin <ENAMEX TYPE="GP', ("x.name:2", "a stray `<` or `>`")),
    "not closed": (
        name_file("nw/a", 'in <ENAMEX TYPE="GPE">Iran .'), ("x.name:2", "an ENAMEX of type gpe is not closed"),
    ),
    "closed twice": (name_file("nw/a", TAGGED + "</ENAMEX>"), ("x.name:2", "closes no entity")),
    "without words": (
        name_file("nw/a", 'a <ENAMEX TYPE="GPE"> </ENAMEX>'), ("x.name:2", "an entity without words"),
    ),
    "inside a word": (
        name_file("nw/a", 'a<ENAMEX TYPE="GPE">b</ENAMEX>'), ("x.name:2", "stands inside a word"),
    ),
    "glued": (name_file("nw/a", '<ENAMEX TYPE="GPE">b</ENAMEX>c'), ("x.name:2", "'c' is glued to an entity")),
    "another tag": (name_file("nw/a", "<TIMEX>now</TIMEX>"), ("x.name:2", "unknown tag '<TIMEX>'")),
    "no type": (tag('S_OFF="1"'), ("x.name:2", 'an ENAMEX has TYPE="')),
    "unknown attribute": (tag('TYPE="GPE" OFF="1"'), ("x.name:2", 'an ENAMEX has TYPE="')),
    "offset that is no number": (tag('TYPE="GPE" S_OFF="x"'), ("x.name:2", 'an ENAMEX has TYPE="')),
    "negative offset": (tag('TYPE="GPE" S_OFF="-1"'), ("x.name:2", 'an ENAMEX has TYPE="')),
    "offset past the word": (tag('TYPE="GPE" S_OFF="4"'), ("x.name:2", "leave nothing of 'Iran'")),
    "offsets that meet": (tag('TYPE="GPE" S_OFF="2" E_OFF="2"'), ("x.name:2", "leave nothing of 'Iran'")),
    "unquoted": (tag("TYPE=GPE"), ("x.name:2", "unknown tag")),
    "unknown label": (tag('TYPE="ANIMAL"'), ("x.name:2", "label 'ANIMAL' is not in schema")),
    "the same entity twice": (
        name_file("nw/a", '<ENAMEX TYPE="GPE"><ENAMEX TYPE="GPE">Iran</ENAMEX></ENAMEX>'), {"duplicate_entity": 1},
    ),
}  # fmt: skip

SGM = "<DOC>\n<DOCID> x </DOCID>\n<HEADLINE>\nUp\n</HEADLINE>\n<TEXT>\nAnn met Bob.\n</TEXT>\n</DOC>\n"
# Without the tags: "\n x \n\nUp\n\n\nAnn met Bob.\n\n\n": Ann is 11 to 13.


def apf(attributes: str = 'START="11" END="13"', text: str = "Ann", label: str = 'TYPE="PER"') -> str:
    return (
        f'<source_file>\n<document DOCID="x">\n<entity ID="E1" {label}>\n<entity_mention ID="M1" TYPE="NAM"><extent>\n'
        f"<charseq {attributes}>{text}</charseq>\n</extent></entity_mention></entity></document></source_file>\n"
    )


AT = "x.apf.xml: mention 'M1'"
ACE: dict[str, tuple[Content | None, Content | None, Expected]] = {
    "as it should be": (SGM, apf(), {}),
    "byte order mark": ("\ufeff" + SGM, "\ufeff" + apf(), {}),
    "no text file": (None, apf(), ("x.apf.xml", "x.sgm is not beside it")),
    "no annotation": (SGM, None, ("", "no .apf.xml files in it")),
    "empty text file": ("", apf(), ("x.sgm", "no <TEXT>")),
    "text cut off": (SGM[: SGM.index("Bob")], apf(), ("x.sgm", "is the file cut off?")),
    "two texts": (SGM.replace("</DOC>", "<TEXT>b</TEXT></DOC>"), apf(), ("x.sgm", "<TEXT> occurs twice")),
    "text ends first": ("<DOC></TEXT>a<TEXT></DOC>", apf(), ("x.sgm", "no <TEXT>")),
    "latin-1 text": (SGM.replace("Bob", "Bób").encode("latin-1"), apf(), ("x.sgm:7", "is not UTF-8")),
    "NUL in text": (SGM.replace("Bob", "B\0b"), apf(), ("x.sgm:7", "NUL")),
    "empty annotation": (SGM, "", ("x.apf.xml:1", "not well-formed XML (no element found")),
    "annotation cut off": (SGM, apf()[:150], ("x.apf.xml:6", "not well-formed XML (no element")),
    "not XML": (SGM, "ID\tPER\n", ("x.apf.xml:1", "not well-formed XML (syntax error")),
    "another XML": (SGM, "<html/>", ("x.apf.xml", "no <document>; is it an APF file?")),
    "undeclared escape": (SGM, apf(text="&ann;"), ("x.apf.xml:5", "undefined entity")),
    "no entity type": (SGM, apf(label=""), ("x.apf.xml: entity 'E1'", "it has no TYPE")),
    "unknown type": (SGM, apf(label='TYPE="CAT"'), (AT, "label 'CAT' is not in schema 'ace2004'")),
    "no extent": (SGM, apf().replace("extent", "head"), (AT, "no extent with a charseq")),
    "no start": (SGM, apf('END="13"'), (AT, "START='' END='13': expected two character offsets")),
    "start that is no number": (SGM, apf('START="eleven" END="13"'), (AT, "expected two character offsets")),
    "negative start": (SGM, apf('START="-1" END="13"'), (AT, "expected two character offsets")),
    "end before start": (SGM, apf('START="13" END="11"'), (AT, "it ends (11) before it begins (13)")),
    "past the text": (
        SGM, apf('START="511" END="513"'), (AT, "its text 'Ann' is not what stands at [511, 513] of x.sgm: ''"),
    ),
    "end past the text": (SGM, apf('START="11" END="999"'), (AT, "is not what stands at [11, 999]")),
    "one off": (
        SGM, apf('START="12" END="14"'), (AT, "its text 'Ann' is not what stands at [12, 14] of x.sgm: 'nn'"),
    ),
    "tags counted": (SGM, apf('START="57" END="59"'), (AT, "is not what stands at")),
    "other text": (SGM, apf(text="Bob"), (AT, "its text 'Bob' is not what stands at")),
    "no text in the mention": (SGM, apf(text=""), (AT, "its text '' is not what stands at")),
    "in the headline": (SGM, apf('START="6" END="7"', "Up"), {"outside_text": 1}),
    "across words": (SGM, apf('START="11" END="15"', "Ann m"), {"word_split": 1}),
    "with a line end": (SGM, apf('START="10" END="13"', "\nAnn"), {"span_trimmed": 1}),
    "inside an escape": (
        SGM.replace("Ann met", "A&amp; met"), apf('START="11" END="12"', "A&amp;"),
        (AT, "it begins or ends inside an escape"),
    ),
    "text without words": (
        "<DOC><TEXT>\n \n</TEXT></DOC>", "<source_file><document/></source_file>", ("", "empty: it holds no sentence"),
    ),
}  # fmt: skip

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


FIRST = "x.json: record 1"
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
    "escaped NUL": ({**W, "sentence": ["a\0"]}, (FIRST, "half a surrogate pair or a NUL")),
    "half a surrogate pair": ('[{"sentence": ["\\ud83d"], "ner": []}]', (FIRST, "half a surrogate pair")),
    "array cut off": (json.dumps([W, W], indent=0)[:-9], ("x.json:28", "not JSON (Unterminated string")),
    "line cut off": (json.dumps(W) + "\n" + json.dumps(W)[:-5], ("x.json:2", "not JSON")),
    "two objects on a line": (json.dumps(W) * 2, ("x.json:1", "not JSON (Extra data)")),
    "columns": ("Ann B-PER\n", ("x.json:1", "not JSON (Expecting value)")),
    "nested too deep": ("[" * 100_000, ("x.json:1", "not JSON that can be read")),
    "too long a number": ("[" + "9" * 5_000 + "]", ("x.json:1", "not JSON that can be read")),
    "a number for a record": ("[1]", (FIRST, "expected an object, not a number")),
    "null for a record": ("null\n", ("x.json:1", "expected an object, not null")),
    "a list for a record": ("[[]]", (FIRST, "expected an object, not a list")),
    "no known keys": ({"text": "a", "label": []}, (FIRST, "its keys ('text', 'label') are of no known shape")),
    "no keys": ({}, (FIRST, "its keys () are of no known shape")),
    "a data set wrapped": ({"data": [W]}, (FIRST, "its keys ('data') are of no known shape")),
    "relations": ({**S, "ner": [[], []], "relations": [[], []]}, (FIRST, "marks the heads of mentions")),
    "shapes mixed": (
        json.dumps([W, cnn()]), ("x.json: record 2", "of shape CNN_Nested_NER after records of shape W2NER"),
    ),
    "W2NER: no words": ({**W, "sentence": []}, (FIRST, "'sentence' holds no words")),
    "W2NER: an empty word": ({**W, "sentence": ["a", ""]}, (FIRST, "'sentence' holds a word that is empty")),
    "W2NER: a word of white space": (
        {**W, "sentence": ["a", "\u3000"]}, (FIRST, "a word that is empty or white space"),
    ),
    "W2NER: a number for a word": (
        {**W, "sentence": ["a", 3]}, (FIRST, "'sentence' holds a number where text is"),
    ),
    "W2NER: an object for ner": ({**W, "ner": {}}, (FIRST, "'ner' is an object, not a list")),
    "W2NER: no index": (w2ner(type="PER"), (FIRST, "an entity without 'index'")),
    "W2NER: no type": (w2ner(index=[0]), (FIRST, "an entity without 'type'")),
    "W2NER: an empty index": (w2ner(index=[], type="PER"), (FIRST, "'index' is [], not word numbers")),
    "W2NER: descending": (
        w2ner(index=[1, 0], type="PER"), (FIRST, "'index' is [1, 0], not word numbers in ascending"),
    ),
    "W2NER: a word twice": (w2ner(index=[1, 1], type="PER"), (FIRST, "not word numbers in ascending order")),
    "W2NER: past the words": (
        w2ner(index=[2, 3], type="PER"), (FIRST, "words 2 to 3 is empty or outside its 3 words"),
    ),
    "W2NER: negative": (w2ner(index=[-1], type="PER"), (FIRST, "words -1 to -1 is empty or outside")),
    "W2NER: true for a number": (w2ner(index=[True], type="PER"), (FIRST, "'index' holds true or false where")),
    "W2NER: unknown label": (w2ner(index=[0], type="CAT"), (FIRST, "label 'CAT' is not in schema 'ace2004'")),
    "W2NER: null for a label": (
        w2ner(index=[0], type=None), (FIRST, "'type' holds null where text is expected"),
    ),
    "W2NER: discontinuous": (w2ner(index=[0, 2], type="PER"), {"discontinuous": 1}),
    "W2NER: twice": ({**W, "ner": W["ner"] * 2}, {"duplicate_entity": 1}),
    "W2NER: white space in a word": ({**W, "sentence": ["Ann Lee", "ran"]}, {"word_split": 1}),
    "mrc: no words": ({"context": "  ", "label": {}}, (FIRST, "'context' holds no words")),
    "mrc: a list of words": ({"context": ["Ann"], "label": {}}, (FIRST, "'context' holds a list where text")),
    "mrc: a list of labels": ({**C, "label": []}, (FIRST, "'label' is a list, not an object of lists")),
    "mrc: a span for a list": (
        {**C, "label": {"PER": "0;0"}}, (FIRST, "\"label of 'PER'\" is a string, not a list"),
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
        {**C, "entity_label": 1, "span_position": []}, (FIRST, "'entity_label' holds a number"),
    ),
    "BARTNER: fewer lists": ({**S, "ners": [[]]}, (FIRST, "2 sentences but 1 lists in 'ners'")),
    "BARTNER: a pair": (
        {**S, "ners": [[], [[0, 0]]]}, (f"{FIRST}: sentence 2", "where [first, last, type] is expected"),
    ),
    "BARTNER: past the sentence": (
        {**S, "ners": [[[0, 2, "PER"]], []]}, (f"{FIRST}: sentence 1", "words 0 to 2 is"),
    ),
    "BARTNER: end before start": (
        {**S, "ners": [[[1, 0, "PER"]], []]}, (f"{FIRST}: sentence 1", "words 1 to 0 is"),
    ),
    "BARTNER: text for a number": (
        {**S, "ners": [[["0", 0, "PER"]], []]}, (f"{FIRST}: sentence 1", "holds a string where"),
    ),
    "PURE: within the sentence": (
        {**S, "ner": [[], [[0, 0, "PER"]]]}, (f"{FIRST}: sentence 2", "words -2 to -2 is"),
    ),
    "PURE: a sentence that is text": (
        {"sentences": ["a"], "ner": [[]]}, (FIRST, "'sentences' is a string, not a list"),
    ),
    "PURE: a number for a document": (
        {**S, "ner": [[], []], "doc_key": 1}, (FIRST, "'doc_key' holds a number"),
    ),
    "CNN: no start": (cnn(end=1, entity_type="PER"), (FIRST, "an entity without 'start'")),
    "CNN: empty span": (cnn(start=1, end=1, entity_type="PER"), (FIRST, "words 1 to 0 is empty or outside")),
    "CNN: past the words": (
        cnn(start=2, end=4, entity_type="PER"), (FIRST, "words 2 to 3 is empty or outside"),
    ),
    "CNN: a fraction": (
        cnn(start=0.5, end=1, entity_type="PER"), (FIRST, "'start' holds a number where a whole"),
    ),
    "UIE: other text": (uie(offset=[2]), (FIRST, "entity 'Ann' is not what stands at its words [2]")),
    "UIE: past the words": (uie(offset=[2, 3], text="Bob"), (FIRST, "words 2 to 3 is empty or outside")),
    "UIE: a number for the offset": (uie(offset=0), (FIRST, "'offset' is a number, not a list")),
    "UIE: discontinuous": (uie(offset=[0, 2], text="Ann Bob"), {"discontinuous": 1}),
    "characters: empty": ({"sentence": " ", "entities": []}, (FIRST, "the sentence is empty")),
    "characters: past the text": (chars(8, 12), (FIRST, "span [8, 12)")),
    "characters: end before start": (chars(3, 0), (FIRST, "span [3, 0)")),
    "characters: negative": (chars(-3, 2), (FIRST, "span [-3, 2)")),
    "characters: white space": (chars(3, 4), (FIRST, "holds only white space")),
    "characters: space at the edge": (chars(0, 4), {"span_trimmed": 1}),
    "characters: inside a word": (chars(0, 2), {"word_split": 1}),
    "characters: unknown label": (chars(0, 3, "CAT"), (FIRST, "label 'CAT' is not in schema")),
}  # fmt: skip

LISTS: dict[str, tuple[Content, Expected]] = {
    "empty": ("\n\n", ("train.id", "empty: it holds no sentence")),
    "not UTF-8": (b"nw/\xff\n", ("train.id:1", "is not UTF-8")),
    "a document twice": ("nw/a\n\nnw/a\n", ("train.id:3", "document 'nw/a' stands on line 1 already")),
    "an absent document": ("nw/a\nnw/b\n", ("train.id", "1 of its 2 documents are not in")),
    "byte order mark, crlf": ("\ufeffnw/a\r\n", {}),
}


def check(expected: Expected, folder: Path, read) -> None:
    """The error or the counts that the table names."""
    if isinstance(expected, Mapping):
        found: Read = read()
        assert found.repairs == expected
        assert found.sentences
        return
    with pytest.raises(UserError) as caught:
        read()
    place, words = expected
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{folder / place}: " if place else str(folder))
    assert words in message
    assert len(message) < 600


def put(folder: Path, name: str, content: Content) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("case", CONLL)
def test_conll2012(tmp_path, case):
    content, expected = CONLL[case]
    path = put(tmp_path, "x.gold_conll", content)
    check(expected, tmp_path, lambda: read_ontonotes(path, BUILTIN["ontonotes"], root=tmp_path, split="dev"))


@pytest.mark.parametrize("case", NAME)
def test_name_files(tmp_path, case):
    content, expected = NAME[case]
    path = put(tmp_path, "x.name", content)
    check(expected, tmp_path, lambda: read_ontonotes(path, BUILTIN["ontonotes"], root=tmp_path, split="dev"))


@pytest.mark.parametrize("case", ACE)
def test_ace(tmp_path, case):
    source, annotation, expected = ACE[case]
    for name, content in (("x.sgm", source), ("x.apf.xml", annotation)):
        if content is not None:
            put(tmp_path, name, content)
    check(expected, tmp_path, lambda: read_ace(tmp_path, BUILTIN["ace2004"], root=tmp_path, split="dev"))


@pytest.mark.parametrize("case", JSON)
def test_json(tmp_path, case):
    content, expected = JSON[case]
    if isinstance(content, dict):
        content = json.dumps([content])
    assert isinstance(content, str | bytes)
    path = put(tmp_path, "x.json", content)
    check(expected, tmp_path, lambda: read_json_shapes(path, BUILTIN["ace2004"], "dev"))


@pytest.mark.parametrize("case", LISTS)
def test_lists(tmp_path, case):
    content, expected = LISTS[case]
    put(tmp_path, "a.gold_conll", ONE)
    path = put(tmp_path, "train.id", content)
    check(
        expected, tmp_path, lambda: read_ontonotes(path, BUILTIN["ontonotes"], root=tmp_path, split="train")
    )
