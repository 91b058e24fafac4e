"""CSV: the forms that are about, and what is no CSV."""

import pytest

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.csv_columns import read_csv_columns
from toner_jax.errors import UserError
from toner_jax.schema import EntityType, Schema

SCHEMA = Schema("kaggle", (EntityType("location", "", ("geo",)), *BUILTIN["conll2003"].types[:2]))

KAGGLE = """\
Sentence #,Word,POS,Tag
Sentence: 1,Rain,NN,O
,in,IN,O
,New,NNP,B-geo
,York,NNP,I-geo
Sentence: 2,"He said ""no"", twice",X,O
,",",",",O
"""
SPANS = [(["Rain", "in", "New", "York"], ["New York"]), (['He said "no", twice', ","], [])]


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "data.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def read(path, **options):
    sentences, repairs = read_csv_columns(path, SCHEMA, "dev", **options)
    return [([*s.words], [s.surface(e) for e in s.entities]) for s in sentences], repairs


@pytest.mark.parametrize(
    "content",
    [
        KAGGLE,
        "\ufeff" + KAGGLE,
        KAGGLE.replace("\n", "\r\n"),
        KAGGLE.replace("\n,", "\nSentence: 1,", 3).replace('\n,",', '\nSentence: 2,",'),
        KAGGLE.replace("Sentence #,Word,POS,Tag", "SENTENCE_ID,token,pos, NER_Tag "),
        KAGGLE.replace("Sentence: 2", "\n,,,\nSentence: 2"),
        "Word,Tag\nRain,O\nin,O\nNew,B-geo\nYork,I-geo\n\n\"He said \"\"no\"\", twice\",O\n\",\",O\n",
        "Word;Tag\nRain;O\nin;O\nNew;B-geo\nYork;E-geo\n\n\"He said \"\"no\"\", twice\";O\n,;O\n",
        "\tWord\tTag\n1\tRain\tO\n2\tin\tO\n3\tNew\tB-geo\n4\tYork\tI-geo\n\t\t\n"
        "1\t\"He said \"\"no\"\", twice\"\tO\n2\t,\tO",
    ],
    ids=["kaggle", "bom", "crlf", "repeated", "other names", "blank rows", "no sentences", "semicolons", "tabs"],
)  # fmt: skip
def test_copies_of_one_file_read_alike(write, content):
    assert read(write(content)) == (SPANS, {})


def test_ids_and_text(write):
    sentences, _ = read_csv_columns(write(KAGGLE), SCHEMA, "dev")
    assert [(s.id, s.doc_id, s.text) for s in sentences] == [
        ("dev-0", None, "Rain in New York"),
        ("dev-1", None, 'He said "no", twice ,'),
    ]


def test_columns_are_chosen(write):
    path = write("s,a,b,Word\n1,Rain,O,x\n2,Lima,B-geo,y\n")
    found = [(["Rain"], []), (["Lima"], ["Lima"])]
    assert read(path, columns=("A", "b", "s"))[0] == found
    assert read(path, columns=("a", "b"))[0] == [(["Rain", "Lima"], ["Lima"])]


def test_faults_of_the_scheme_are_counted(write):
    assert read(write("Word,Tag\na,B-geo\nb,O\nc,I-geo\n"))[1] == {"i_without_b": 1}


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("Wort,Marke\na,O\n", 1, "no column of words; the header is 'Wort, Marke': name the columns"),
        ("Word,POS\na,O\n", 1, "no column of tags"),
        ("Word,Token,Tag\na,b,O\n", 1, "several columns may hold words"),
        ("Word,Tag\na,O\n\nWord,Tag\nb,O\n", 4, "the header stands here again; remove the row"),
        ("Word,Tag\na,O,x\n", 2, "3 fields where the header has 2"),
        ("Word,Tag\n\na,O\nb\n", 4, "1 fields where the header has 2"),
        ("Word,Tag\na,O\n,O\n", 3, "the word is empty"),
        ('Word,Tag\na,O\n"b,O\nc,O\n', 3, "not CSV (unexpected end of data)"),
        ('Word,Tag\n"a"b,O\n', 2, "not CSV (',' expected after '\"')"),
        ('Word,Tag\n"a\nb",O\n', 2, "the word holds a line end; is a quote not closed?"),
        ('Word,Tag\nx,O\n"a\nb",c,O\n', 3, "3 fields where the header has 2"),
        ("Word,Tag\na,PER\n", 2, "tag 'PER' has no prefix"),
        ("Word,Tag\na,\n", 2, "the tag is empty"),
        ("Word,Tag\na,B-ship\n", 2, "label 'ship' is not in schema 'kaggle'"),
        (b"Word,Tag\na,O\ncaf\xe9,O\n", 3, "byte 0xe9 is not UTF-8; convert the file"),
        ("Word,Tag\n" + "a,O\n" * 1001, 2, "a sentence of 1001 words; put blank rows between sentences"),
        ("Word,Tag\na," + "x" * 200_000 + "\n", 2, "not CSV (field larger than field limit (131072))"),
    ],
)
def test_a_malformed_row_is_named(write, content, line, problem):
    path = write(content)
    with pytest.raises(UserError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:{line}: {problem}")


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("Doc_ID,Sent_ID,Word,Tag", "a,1,{}|b,1,{}|b,2,{}"),
        ("Sentence #,Word,Tag,File", "1,{},x|1,{},y|2,{},y"),
    ],
)
def test_sentences_that_each_document_numbers_anew_part(write, header, values):
    words = ["Rain,B-geo", "Lima,B-geo", "Oslo,I-geo"]
    rows = [row.format(word) for row, word in zip(values.split("|"), words, strict=True)]
    assert [words for words, _ in read(write("\n".join([header, *rows])))[0]] == [
        ["Rain"],
        ["Lima"],
        ["Oslo"],
    ]


def test_a_document_named_once_and_without_sentences(write):
    path = write("document,token,tag\na,New,B-geo\n,York,I-geo\nb,Rain,O\n\n,Lima,B-geo\n")
    assert read(path)[0] == [(["New", "York"], ["New York"]), (["Rain"], []), (["Lima"], ["Lima"])]


@pytest.mark.parametrize(
    "content",
    [
        "Word,Tag\n" + "a,O\n" * 201,
        "Word,Tag\n\n" + "a,O\n" * 201 + ",\n\n",
        "doc,Word,Tag\n" + "1,a,O\n" * 201,
    ],
)
def test_many_words_without_any_end_of_a_sentence_are_refused(write, content):
    path = write(content)
    with pytest.raises(UserError, match=r": a sentence of 201 words; put blank rows .* in data\.columns$"):
        read(path)
    assert len(read(write("Word,Tag\n" + "a,O\n" * 200))[0]) == 1
    assert len(read(write("Word,Tag\nb,O\n\n" + "a,O\n" * 201))[0]) == 2
    assert len(read(write("sent,Word,Tag\n" + "1,a,O\n" * 201))[0]) == 1


@pytest.mark.parametrize(
    "header",
    [
        "row,id,start,end,text,label,score,error",
        "id,text,label,annotator,lead_time",
        "doc,begin,end,type",
    ],
)
def test_rows_of_entities_or_tasks_are_refused_by_name(write, header):
    path = write(header + "\n" + "1," * header.count(",") + "2\n")
    with pytest.raises(UserError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:1: the header is '")
    assert "': rows are entities or tasks, not words; export JSON, or name" in str(caught.value)


def test_words_beside_their_places_are_words(write):
    assert read(write("token,start,end,tag\nLima,0,4,B-geo\n"))[0] == [(["Lima"], ["Lima"])]
    assert read(write("text,start,end,tag\nLima,0,4,B-geo\n"), columns=("text", "tag"))[0] == [
        (["Lima"], ["Lima"])
    ]


@pytest.mark.parametrize("content", ["", "Word,Tag\n", "\n\n", "Word,Tag\n,\n\n"])
def test_a_file_without_sentences_is_refused(write, content):
    path = write(content)
    with pytest.raises(UserError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: empty")


@pytest.mark.parametrize("columns", [("Word",), ("a", "b", "c", "d")])
def test_wrong_options_name_the_key(write, columns):
    with pytest.raises(UserError, match=r"^data\.columns="):
        read(write(KAGGLE), columns=columns)
    with pytest.raises(UserError, match=r"no column of sentences called 'nr'"):
        read(write(KAGGLE), columns=("Word", "Tag", "nr"))
