"""brat folders: literal files, JNLPBA's training abstracts, and what is written."""

from collections import Counter

import pytest
from shared_data import read as read_shared

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.brat import read_brat, write_brat
from toner_jax.errors import UserError
from toner_jax.schema import Entity, make_sentence

CONLL = BUILTIN["conll2003"]
BIO = BUILTIN["jnlpba"]

TEXT = "Rain 👩‍🚀 fell.\nIvan and\nPetra Lima saw Acme's\nTown Hall.\n"
# The astronaut is three code points.
ANNOTATIONS = """\
T1\tPER 15 19\tIvan
T2\tLOC 39 55\tAcme's Town Hall
R1\tlives_in Arg1:T1 Arg2:T2
E1\tPER:T1 Where:T2
A1\tNegated E1
M1\tNegated E1
N1\tReference T1 Wikipedia:534366\tIvan
*\tEquiv T1 T2
#1\tAnnotatorNotes T1\tno idea
T10\tORG 39 45\tAcme's
"""


@pytest.fixture
def folder(tmp_path):
    def write(text, annotations, name="a", folder="brat"):
        path = tmp_path / folder / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        if annotations is not None:
            path.with_suffix(".ann").write_bytes(annotations.encode())
        return tmp_path / folder

    return write


def found(read):
    return [(s.surface(e), e.type[:3]) for s in read.sentences for e in s.entities]


def test_entities_are_read_and_all_else_counted(folder):
    read = read_brat(folder(TEXT, ANNOTATIONS), CONLL, "dev")
    assert found(read) == [("Ivan", "per"), ("Acme 's Town Hall", "loc"), ("Acme 's", "org")]
    assert read.repairs == {"not_entities": 7}
    assert {(s.doc_id, s.id[:4]) for s in read.sentences} == {("a", "dev-")}
    (place,) = [e for s in read.sentences for e in s.entities if e.type == "location"]
    sentence = next(s for s in read.sentences if place in s.entities)
    assert sentence.span_json(place)["text"] == "Acme's\nTown Hall"


def test_line_ends_count_as_they_are(folder):
    read = read_brat(
        folder("Rain\r\nin Lima\r\n", "T1\tLOC 9 13\tLima\r\nT2\tMISC 0 8\tRain\r in\r\n"), CONLL
    )
    assert found(read) == [("Rain in", "mis"), ("Lima", "loc")]


@pytest.mark.parametrize(
    ("option", "entities"),
    [("join", [("left , right hand", "mis"), ("hand", "per")]), ("skip", [("hand", "per")])],
)
def test_discontinuous_entities(folder, option, entities):
    path = folder("left, right hand", "T1\tMISC 0 4;12 16\tleft hand\nT2\tPER 12 16\thand\n")
    read = read_brat(path, CONLL, discontinuous=option)
    assert found(read) == entities
    assert read.repairs == {"discontinuous": 1}
    with pytest.raises(
        UserError, match=r"a\.ann:1: this MISC is discontinuous.*data\.discontinuous to join or skip$"
    ):
        read_brat(path, CONLL)


@pytest.mark.parametrize("option", ["refuse", "join", "skip"])
@pytest.mark.parametrize(
    "ranges",
    ["0 4;5 9", "5 9;0 4", "0 4;4 9", "0 4;3 9", "0 2;2 4;5 9"],
    ids=["line-end", "order", "touch", "overlap", "three"],
)
def test_pieces_with_white_space_alone_between_them_are_one_entity(folder, option, ranges):
    text = "left\nhand hurts"
    pieces = [text[slice(*map(int, pair.split()))] for pair in ranges.split(";")]
    surface = " ".join(pieces).replace("\n", " ")
    read = read_brat(folder(text, f"T1\tMISC {ranges}\t{surface}\n"), CONLL, discontinuous=option)
    assert (found(read), read.repairs) == ([("left hand", "mis")], {})


def test_another_choice_is_refused(folder):
    with pytest.raises(UserError, match=r"^data\.discontinuous='split': choose one of refuse, join, skip$"):
        read_brat(folder("x", ""), CONLL, discontinuous="split")


def test_folders_are_read_with_their_subfolders_in_natural_order(folder):
    for name in ("b/doc-10", "b/doc-9", "a.b", "c"):
        path = folder(f"{name}.", "", name)
    folder("README", None, "README")
    folder("junk", "junk", ".hidden")
    read = read_brat(path, CONLL)
    assert list(dict.fromkeys(s.doc_id for s in read.sentences)) == ["a.b", "b/doc-9", "b/doc-10", "c"]
    assert read.repairs == {"text_without_annotations": 1}


@pytest.mark.parametrize(
    ("annotations", "problem"),
    [
        ("T1\tPER 0 4\tRain\nT2 LOC 8 12 Lima\n", "2: 'T2 LOC 8 12 Lima' is not an annotation"),
        ("T1\tPER 0 4\n", "1: 'T1\\tPER 0 4' is not an annotation"),
        ("T1\tPER 0-4\tRain\n", "1: 'T1\\tPER 0-4\\tRain' is not an annotation"),
        ("T1\tPER -1 4\tRain\n", "1: 'T1\\tPER -1 4\\tRain' is not an annotation"),
        ("Tx\tPER 0 4\tRain\n", "1: 'Tx\\tPER 0 4\\tRain' is not an annotation"),
        ("\n\nT1\tPER 4 0\tRain\n", "3: span [4, 0) is empty or outside its text of 12 characters"),
        ("T1\tPER 8 13\tLima\n", "1: span [8, 13) is empty or outside its text of 12 characters"),
        ("T1\tPER 0 3\tRain\n", "1: the text at [0, 3) is 'Rai', not 'Rain'; ranges count characters"),
        ("T1\tGPE 8 12\tLima\n", "1: label 'GPE' is not in schema 'conll2003'"),
        ("T1\tPER 0 4\tRain\nT1\tLOC 8 12\tLima\n", "2: T1 was already used in line 1"),
    ],
)
def test_a_line_that_does_not_fit_is_named(folder, annotations, problem):
    path = folder("Rain in Lima", annotations)
    with pytest.raises(UserError) as caught:
        read_brat(path, CONLL)
    assert str(caught.value).startswith(f"{path / 'a.ann'}:{problem}")


def test_annotations_without_their_text_are_refused(folder):
    path = folder("x", "")
    (path / "a.txt").unlink()
    with pytest.raises(UserError, match=r"a\.ann: there is no a\.txt beside it$"):
        read_brat(path, CONLL)


def test_a_folder_without_annotated_texts_is_refused(folder):
    path = folder("x", None)
    with pytest.raises(UserError, match=r"holds no \.txt file with an \.ann file$"):
        read_brat(path, CONLL)
    with pytest.raises(UserError, match="no such folder"):
        read_brat(path / "a.txt", CONLL)


def words(sentences):
    return [(s.id, s.words, s.entities, s.doc_id) for s in sentences]


def test_nested_data_reads_back(tmp_path, own, shared):
    read = read_shared(shared, "genia_nested/genia.dev.iob2", split="dev").sentences
    assert sum(len(s.entities) for s in read) > (30 if shared == own else 4000)
    write_brat(read, tmp_path / "out")
    back = read_brat(tmp_path / "out", BIO, "dev", pretokenized=True)
    # The columns name no documents, so all sentences went to one.
    assert words(back.sentences) == [(s.id, s.words, s.entities, "document") for s in read]
    assert back.repairs == {}


def test_written_documents_read_back(tmp_path):
    schema = BUILTIN["ontonotes"]
    entities = [Entity(0, 2, "work_of_art"), Entity(1, 2, "person")]
    made = [
        make_sentence(f"{i}", ["a", "b", "'s"], entities[: i % 3], schema, doc_id=name)
        for i, name in enumerate(("d-2", "d-2", "d-10", "x"))
    ]
    write_brat(made, tmp_path / "out")
    assert words(read_brat(tmp_path / "out", schema, pretokenized=True).sentences) == words(made)
    with pytest.raises(UserError, match="not an empty folder"):
        write_brat(made, tmp_path / "out")


@pytest.mark.parametrize("doc_id", ["../../up", "/root", ".hidden", "a/b", "CON:1", "x" * 50])
def test_no_document_is_written_elsewhere(tmp_path, doc_id):
    write_brat([make_sentence("0", ["a"], [], CONLL, doc_id=doc_id)], tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert [s.words for s in read_brat(tmp_path / "out", CONLL, pretokenized=True).sentences] == [("a",)]


@pytest.mark.slow
def test_jnlpba_training_abstracts(tmp_path, own, shared):
    """Our own three, or a tenth of the 2,000; every T line is an entity."""
    source, abstracts = shared / "data/jnlpba/brat_train", 3 if shared == own else 200
    begun: Counter[str] = Counter()
    for path in sorted(source.glob("*.ann"))[:: 1 if shared == own else 10]:
        (tmp_path / path.name).symlink_to(path)
        (tmp_path / path.with_suffix(".txt").name).symlink_to(path.with_suffix(".txt"))
        lines = path.read_text(encoding="utf-8").splitlines()
        begun += Counter(line.split("\t")[1].split(" ")[0].lower() for line in lines if line.startswith("T"))
    read = read_brat(tmp_path, BIO)
    assert Counter(e.type for s in read.sentences for e in s.gold) == begun
    assert (
        sum(len(s.unreachable) for s in read.sentences) <= 0.0015 * begun.total()
    )  # of all abstracts, 0.0002
    assert begun.total() > 2 * abstracts
    assert len({s.doc_id for s in read.sentences}) == abstracts
    assert read.repairs == {}
