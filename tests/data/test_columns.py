"""Column files: literal tables of what is read and what is refused."""

import re
from pathlib import Path

import pytest

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.columns import read_columns
from toner_jax.data.tag_names import Tagging
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Sentence

CONLL = BUILTIN["conll2003"]
WNUT = BUILTIN["wnut17"]
BIO = BUILTIN["jnlpba"]

# Two documents; `Acme` and `Ajax` are adjacent entities of one type, `Ajax` and `Lima` of two.
IOB1 = """\
-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
German JJ I-NP I-MISC
call NN I-NP O

Acme NNP I-NP I-ORG
Ajax NNP I-NP B-ORG
Ltd NNP I-NP I-ORG
Lima NNP I-NP I-LOC

-DOCSTART- -X- O O

Peter NNP I-NP I-PER
Blackburn NNP I-NP I-PER
"""
IOB2 = (
    IOB1.replace("I-ORG\nrejects", "B-ORG\nrejects")
    .replace("I-MISC", "B-MISC")
    .replace("Acme NNP I-NP I-ORG", "Acme NNP I-NP B-ORG")
    .replace("I-LOC", "B-LOC")
    .replace("Peter NNP I-NP I-PER", "Peter NNP I-NP B-PER")
)
CONLL_SENTENCES = [
    Sentence(
        "dev-0",
        ("EU", "rejects", "German", "call"),
        ((0, 2), (3, 10), (11, 17), (18, 22)),
        "EU rejects German call",
        (Entity(0, 1, "organization"), Entity(2, 3, "miscellaneous")),
        "dev-doc-1",
    ),
    Sentence(
        "dev-1",
        ("Acme", "Ajax", "Ltd", "Lima"),
        ((0, 4), (5, 9), (10, 13), (14, 18)),
        "Acme Ajax Ltd Lima",
        (Entity(0, 1, "organization"), Entity(1, 3, "organization"), Entity(3, 4, "location")),
        "dev-doc-1",
    ),
    Sentence(
        "dev-2",
        ("Peter", "Blackburn"),
        ((0, 5), (6, 15)),
        "Peter Blackburn",
        (Entity(0, 2, "person"),),
        "dev-doc-2",
    ),
]


@pytest.fixture
def write(tmp_path):
    """Writes a column file, byte for byte, and gives its path."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "file.conll"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        IOB1,
        IOB2,
        IOB1.replace("\n", "\r\n"),
        IOB2.replace("\n", "\r\n"),
        "\ufeff" + IOB2,
        IOB2.replace(" ", "\t"),
        IOB2.replace(" ", "   "),
        IOB2.rstrip("\n"),
        "\n\n" + IOB2.replace("\n\n", "\n \t\n\n") + "\n\n",
        IOB2.replace("-DOCSTART- -X- O O", "-DOCSTART-"),
        IOB2.replace("-DOCSTART- -X- O O\n\n", "-DOCSTART- -X- -X- O\n"),
    ],
    ids=[
        "iob1",
        "iob2",
        "iob1-crlf",
        "iob2-crlf",
        "bom",
        "tabs",
        "wide",
        "no-end",
        "blanks",
        "bare-doc",
        "tight-doc",
    ],
)
def test_copies_of_one_file_read_alike(write, content):
    sentences, report = read_columns(write(content), CONLL, split="dev")
    assert list(sentences) == CONLL_SENTENCES
    assert report == {}


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("O O", []),
        ("B-PER", [(0, 1, "person")]),
        ("B-PER I-PER O", [(0, 2, "person")]),
        ("O B-PER", [(1, 2, "person")]),
        ("B-PER B-PER", [(0, 1, "person"), (1, 2, "person")]),
        ("B-PER I-PER B-PER I-PER", [(0, 2, "person"), (2, 4, "person")]),
        ("B-PER B-LOC", [(0, 1, "person"), (1, 2, "location")]),
        ("B-PER I-LOC I-LOC", [(0, 1, "person"), (1, 3, "location")]),
        ("I-PER I-PER O I-PER", [(0, 2, "person"), (3, 4, "person")]),
        ("I-PER I-LOC", [(0, 1, "person"), (1, 2, "location")]),
        ("I-PER B-PER I-PER", [(0, 1, "person"), (1, 3, "person")]),
        ("B-PER O I-PER", [(0, 1, "person"), (2, 3, "person")]),
        ("B-PER I-person", [(0, 2, "person")]),
    ],
)
def test_spans_of_a_tag_sequence(write, tags, spans):
    content = "".join(f"w {tag}\n" for tag in tags.split())
    (sentence,), _ = read_columns(write(content), CONLL)
    assert [(e.start, e.end, e.type) for e in sentence.entities] == spans


@pytest.mark.parametrize(
    ("tags", "repairs"),
    [
        ("I-PER O I-LOC I-ORG", {}),  # IOB1 throughout
        ("I-PER B-PER O I-LOC", {}),  # IOB1: its B- follows an entity of the same type
        ("B-PER O B-LOC B-LOC", {}),  # IOB2 throughout
        ("B-PER O I-LOC", {"i_without_b": 1}),
        ("B-PER I-LOC I-LOC O I-PER", {"i_without_b": 2}),
        ("I-PER B-LOC", {"i_without_b": 1}),  # IOB1 would have written I-LOC
    ],
)
def test_an_entity_that_begins_with_i_is_a_repair_only_in_iob2(write, tags, repairs):
    content = "".join(f"w {tag}\n" for tag in tags.split())
    _, report = read_columns(write(content), CONLL)
    assert report == repairs


def test_the_scheme_is_that_of_the_whole_file(write):
    _, report = read_columns(write("a I-PER\n\nb I-PER\n\nc B-PER\n"), CONLL)
    assert report == {"i_without_b": 2}


def test_an_entity_ends_with_its_sentence(write):
    sentences, _ = read_columns(write("a B-PER\n\nb I-PER\n"), CONLL)
    assert [s.entities for s in sentences] == [(Entity(0, 1, "person"),)] * 2


@pytest.mark.parametrize(
    "token",
    [
        "watched\u200bwas",
        "a\u00a0b",
        "a\u3000b",
        "\u3000",
        "a\u2028b",
        "a\u0085b",
        "a\x0bb",
        "a\x1cb",
        "\ufeff",
        "#",
        '"',
        "👩‍🚀",
    ],
)
@pytest.mark.parametrize("separator", ["\t", " "])
def test_only_ascii_space_and_line_feed_separate(write, token, separator):
    content = f"x{separator}O\n{token}{separator}B-person\ny{separator}O\n"
    (sentence,), _ = read_columns(write(content), WNUT)
    assert sentence.words == ("x", token, "y")
    assert sentence.text == f"x {token} y"
    assert [sentence.surface(e) for e in sentence.entities] == [token]
    start, end = sentence.char_span(sentence.entities[0])
    assert sentence.text[start:end] == token


def test_a_tab_separated_token_may_hold_spaces(write):
    (sentence,), _ = read_columns(write("1 1/2\tO\n Ajax \tB-group\n"), WNUT)
    assert sentence.words == ("1 1/2", "Ajax")
    assert sentence.offsets == ((0, 5), (6, 10))


def test_medline_lines_name_the_documents(write):
    content = (
        "IL-2\tB-protein\n\n###MEDLINE:95369245\n\ngene\tB-DNA\nx\tO\n\ny\tO\n\n###MEDLINE:95369246\n\nz\tO\n"
    )
    sentences, _ = read_columns(write(content), BIO, split="test")
    assert [(s.id, s.doc_id, s.words) for s in sentences] == [
        ("test-0", "test-doc-0", ("IL-2",)),
        ("test-1", "95369245", ("gene", "x")),
        ("test-2", "95369245", ("y",)),
        ("test-3", "95369246", ("z",)),
    ]


def test_a_document_line_ends_the_sentence_before_it(write):
    sentences, _ = read_columns(write("a B-PER\n-DOCSTART- O\nb I-PER\n"), CONLL)
    assert [(s.words, s.doc_id) for s in sentences] == [(("a",), "doc-0"), (("b",), "doc-1")]
    assert [s.entities for s in sentences] == [(Entity(0, 1, "person"),)] * 2


def test_no_document_lines_no_documents(write):
    sentences, _ = read_columns(write("a O\n\nb O\n"), CONLL)
    assert [(s.id, s.doc_id) for s in sentences] == [("0", None), ("1", None)]


NESTED = """\
the\tO\tO\tO
IL-2\tB-DNA\tB-protein\tO
gene\tI-DNA\tO\tO
promoter\tI-DNA\tO\tB-DNA
IL-2\tB-protein\tB-protein\tO
"""


def test_nested_columns(write):
    (sentence,), report = read_columns(write(NESTED), BIO, tag_columns=())
    assert sentence.entities == (
        Entity(1, 4, "dna"),
        Entity(1, 2, "protein"),
        Entity(3, 4, "dna"),
        Entity(4, 5, "protein"),
    )
    assert report == {"duplicate_entity": 1}


@pytest.mark.parametrize(
    ("token_column", "tag_columns", "words", "entities"),
    [
        (0, (1,), ("EU", "in"), (Entity(0, 1, "organization"),)),
        (0, (-1,), ("EU", "in"), (Entity(0, 1, "location"),)),
        (0, (-1, 1), ("EU", "in"), (Entity(0, 1, "organization"), Entity(0, 1, "location"))),
        (2, (3,), ("NNP", "IN"), (Entity(0, 1, "location"),)),
        (-2, (), ("NNP", "IN"), (Entity(0, 1, "location"),)),
    ],
)
def test_columns_are_chosen(write, token_column, tag_columns, words, entities):
    path = write("EU B-ORG NNP B-LOC\nin O IN O\n")
    (sentence,), _ = read_columns(path, CONLL, token_column=token_column, tag_columns=tag_columns)
    assert sentence.words == words
    assert sentence.entities == entities


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("a O\n\nb x O\n", 3, "3 columns where line 1 has 2; give every line the same columns"),
        ("a x O\nb O\n", 2, "2 columns where line 1 has 3; give every line the same columns"),
        ("\n-DOCSTART-\n\na x O\nb\n", 5, "1 column where line 4 has 3; give every line the same columns"),
        ("a\nb\n", 1, "1 column, which leaves none for the tag beside the token; add the tags"),
        (
            "a O\nb B-LOC\nc PER\n",
            3,
            "tag 'PER' has no prefix, unlike 'B-LOC' ({path}:2); write O, B-TYPE or I-TYPE, or set "
            "data.tag_prefix=none if tags are labels alone",
        ),
        (
            "a O\r\nb X-PER\r\n",
            2,
            "tag 'X-PER' has the unknown prefix 'X'; write O, B-TYPE or I-TYPE, or set data.tag_prefix=none if "
            "tags are labels alone",
        ),
        ("a B-\n", 1, "tag 'B-' names no type; write O, B-TYPE or I-TYPE"),
        ("a\tO\nb\t\n", 2, "the tag is empty; write O, B-TYPE or I-TYPE"),
        ("a\tO\n\tO\n", 2, "the token is empty; remove the line or write its token"),
        (
            "a B-PER,B-ORG\n",
            1,
            "tag 'B-PER,B-ORG' holds several annotations; keep one "
            "(WNUT-17's emerging.test.annotated is such a copy)",
        ),
        (
            "a B-PER\nb I-GPE\n",
            2,
            "label 'GPE' is not in schema 'conll2003' "
            "(types: organization, person, miscellaneous, location); "
            "use this data's schema, or add the label to the tags of a type",
        ),
        (b"a O\n\nc O\nd\xe9 O\n", 4, "byte 0xe9 is not UTF-8; convert the file"),
        (b"\xff\xfea\x00 \x00", 1, "byte 0xff is not UTF-8; convert the file"),
        ("a O\nb\0c O\n", 2, "NUL character; the file is not plain UTF-8 text"),
        ("a O\rb O\n", 1, "carriage return inside the line; end lines with LF or CRLF"),
    ],
)
def test_a_malformed_line_is_named(write, content, line, problem):
    path = write(content)
    with pytest.raises(UserError) as caught:
        read_columns(path, CONLL)
    assert str(caught.value) == f"{path}:{line}: {problem.replace('{path}', str(path))}"


@pytest.mark.parametrize("content", ["", "\n \n\r\n", "\ufeff", "-DOCSTART- -X- O O\n\n"])
def test_a_file_without_sentences_is_refused(write, content):
    path = write(content)
    for prefix in ("auto", "none"):
        with pytest.raises(UserError, match=f"^{re.escape(str(path))}: empty"):
            read_columns(path, CONLL, tagging=Tagging(prefix))


@pytest.mark.parametrize(("name", "problem"), [("absent.conll", "no such file$"), ("", "cannot be read")])
def test_what_is_no_file_is_named(tmp_path, name, problem):
    with pytest.raises(UserError, match=f"^{re.escape(str(tmp_path / name))}: {problem}"):
        read_columns(tmp_path / name, CONLL)


@pytest.mark.parametrize(
    ("token_column", "tag_columns", "problem"),
    [
        (2, (-1,), "2 columns, but the token is expected in column 2"),
        (0, (3,), "2 columns, but the tag is expected in column 3"),
        (0, (-3,), "2 columns, but the tag is expected in column -3"),
        (1, (), "2 columns, which leaves none for the tag beside the token; add the tags"),
        (1, (-1,), "2 columns, which leaves none for the tag beside the token; add the tags"),
    ],
)
def test_a_column_that_the_file_lacks_is_refused(write, token_column, tag_columns, problem):
    path = write("\na O\n")
    with pytest.raises(UserError) as caught:
        read_columns(path, CONLL, token_column=token_column, tag_columns=tag_columns)
    assert str(caught.value) == f"{path}:2: {problem}"
