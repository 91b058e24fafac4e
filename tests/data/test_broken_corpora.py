"""Damaged benchmark files: each gives one error of one line that names its place, or loads with what was
mended counted. The table says which."""

from __future__ import annotations

import pytest
from broken import Content, Expected, check, put
from test_ontonotes import conll, name_file

from toner_jax.data.corpora.ace import read_ace
from toner_jax.data.corpora.ontonotes import read_ontonotes
from toner_jax.data.corpora.schemas import BUILTIN

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
    "across words": (SGM, apf('START="11" END="15"', "Ann m"), {}),
    "with a line end": (SGM, apf('START="10" END="13"', "\nAnn"), {"span_trimmed": 1}),
    "inside an escape": (
        SGM.replace("Ann met", "A&amp; met"), apf('START="11" END="12"', "A&amp;"),
        (AT, "it begins or ends inside an escape"),
    ),
    "text without words": (
        "<DOC><TEXT>\n \n</TEXT></DOC>", "<source_file><document/></source_file>", ("", "empty: it holds no sentence"),
    ),
}  # fmt: skip

LISTS: dict[str, tuple[Content, Expected]] = {
    "empty": ("\n\n", ("train.id", "empty: it holds no sentence")),
    "not UTF-8": (b"nw/\xff\n", ("train.id:1", "is not UTF-8")),
    "a document twice": ("nw/a\n\nnw/a\n", ("train.id:3", "document 'nw/a' stands on line 1 already")),
    "an absent document": ("nw/a\nnw/b\n", ("train.id", "1 of its 2 documents are not in")),
    "byte order mark, crlf": ("\ufeffnw/a\r\n", {}),
}


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


@pytest.mark.parametrize("case", LISTS)
def test_lists(tmp_path, case):
    content, expected = LISTS[case]
    put(tmp_path, "a.gold_conll", ONE)
    path = put(tmp_path, "train.id", content)
    check(
        expected, tmp_path, lambda: read_ontonotes(path, BUILTIN["ontonotes"], root=tmp_path, split="train")
    )
