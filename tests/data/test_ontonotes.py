"""OntoNotes as it is distributed: CoNLL-2012 files, `.name` files, folders of them and lists of documents."""

import re
from collections import Counter
from pathlib import Path

import pytest

from toner_jax.data.corpora.ontonotes import read_ontonotes
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.errors import UserError
from toner_jax.schema import Entity

ONTO = BUILTIN["ontonotes"]


def conll(document: str, *sentences: list[tuple[str, str]], part: str = "000") -> str:
    """A document of the shared task: its sentences' words and cells of column 10."""
    rows = [
        "".join(
            f"{document}   0   {i}   {word}   NNP   (TOP*   -   -   -   Speaker   {cell}   (V*)   *   -\n"
            for i, (word, cell) in enumerate(sentence)
        )
        + "\n"
        for sentence in sentences
    ]
    return f"#begin document ({document}); part {part}\n{''.join(rows)}#end document\n"


def name_file(document: str, *lines: str) -> str:
    return "\n".join([f'<DOC DOCNO="{document}@0001@{document}@nw@en@on">', *lines, "</DOC>", ""])


def put(root: Path, path: str, content: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    return file


def found(read) -> list[tuple[str, list[tuple[int, int, str]]]]:
    return [(s.text, [(e.start, e.end, e.type) for e in s.entities]) for s in read.sentences]


def words(read) -> list[str]:
    return [s.text for s in read.sentences]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("* * *", []),
        ("- - -", []),
        ("(GPE) * *", [(0, 1, "gpe")]),
        ("(PERSON* *) *", [(0, 2, "person")]),
        ("(PERSON* * *)", [(0, 3, "person")]),
        ("(GPE) (GPE) (NORP)", [(0, 1, "gpe"), (1, 2, "gpe"), (2, 3, "norp")]),
        ("* (WORK_OF_ART* *)", [(1, 3, "work_of_art")]),
        ("(DATE(CARDINAL) * *)", [(0, 3, "date"), (0, 1, "cardinal")]),
        ("(DATE(CARDINAL* *) *)", [(0, 3, "date"), (0, 2, "cardinal")]),
        ("(ORG* (GPE) *)", [(0, 3, "organization"), (1, 2, "gpe")]),
        ("(ORG* (GPE*)) *", [(0, 2, "organization"), (1, 2, "gpe")]),
        ("(LAW(ORG(GPE))) * *", [(0, 1, "organization"), (0, 1, "gpe"), (0, 1, "law")]),  # schema order
    ],
)  # fmt: skip
def test_brackets(tmp_path, cells, expected):
    file = put(tmp_path, "x.gold_conll", conll("bc/x", list(zip("abc", cells.split(), strict=True))))
    assert found(read_ontonotes(file, ONTO, root=tmp_path, split="dev")) == [("a b c", expected)]


def test_words_stay_as_the_file_spells_them(tmp_path):
    content = conll("nw/x", [("-LRB-", "*"), ("/.", "*"), ("%um", "*"), ("``", "*"), ("[WORD]", "*")])
    file = put(tmp_path, "x.gold_skel", content)
    assert words(read_ontonotes(file, ONTO, root=tmp_path, split="dev")) == ["-LRB- /. %um `` [WORD]"]


def test_documents_parts_and_ids(tmp_path):
    content = conll("nw/b", [("one", "*")]) + conll(
        "nw/b", [("two", "(CARDINAL)")], [("three", "*")], part="001"
    )
    file = put(tmp_path, "b.v4_gold_conll", content)
    read = read_ontonotes(file, ONTO, root=tmp_path, split="train")
    assert [(s.id, s.doc_id, s.text) for s in read.sentences] == [
        ("train-0", "nw/b", "one"),
        ("train-1", "nw/b", "two"),
        ("train-2", "nw/b", "three"),
    ]
    assert read.sentences[1].entities == (Entity(0, 1, "cardinal"),)


@pytest.fixture
def v12(tmp_path):
    """A folder like `conll-formatted-ontonotes-5.0`, with what must not be read beside what must."""
    english = "data/{}/data/english/annotations/{}.gold_conll"
    for split, document, word in (
        ("train", "nw/b", "b"), ("train", "bc/a", "a"), ("train", "pt/nt/z", "z"), ("development", "mz/c", "c"),
        ("test", "wb/d", "d"), ("conll-2012-test", "wb/e", "e"),
    ):  # fmt: skip
        put(tmp_path, english.format(split, document), conll(document, [(word, "(GPE)")], [("end", "*")]))
    put(tmp_path, "data/train/data/english/annotations/nw/b.auto_conll", conll("nw/b", [("auto", "*")]))
    put(tmp_path, "data/train/data/english/annotations/nw/b.gold_skel", conll("nw/b", [("[WORD]", "*")]))
    put(tmp_path, "data/train/data/chinese/annotations/nw/q.gold_conll", conll("nw/q", [("q", "*")]))
    return tmp_path


@pytest.mark.parametrize(
    ("split", "expected", "repairs"),
    [
        ("train", ["a", "end", "b", "end"], {"genre_left_out": 2}),
        ("dev", ["c", "end"], {}),
        ("test", ["e", "end"], {}),
    ],
)
def test_split_folders_are_found_anywhere(v12, split, expected, repairs):
    read = read_ontonotes(None, ONTO, root=v12, split=split)
    assert (words(read), read.repairs) == (expected, repairs)


def test_without_the_shared_tasks_test_folder_test_is_read(v12):
    (v12 / "data/conll-2012-test").rename(v12 / "data/unused")
    assert words(read_ontonotes(None, ONTO, root=v12, split="test")) == ["d", "end"]


@pytest.mark.parametrize(
    ("genres", "exclude", "expected", "left_out"),
    [
        ((), (), ["a", "b", "z"], 0),
        ((), ("pt",), ["a", "b"], 2),
        (("nw",), (), ["b"], 4),
        (("nw", "pt"), ("pt",), ["b"], 4),
        ((), ("nw", "bc"), ["z"], 4),
    ],
)
def test_genres(v12, genres, exclude, expected, left_out):
    read = read_ontonotes(None, ONTO, root=v12, split="train", genres=genres, exclude_genres=exclude)
    assert [w for w in words(read) if w != "end"] == expected
    assert read.repairs.get("genre_left_out", 0) == left_out


def test_a_flat_folder_and_a_list_of_documents(tmp_path):
    for name in "abc":
        put(tmp_path, f"{name}.gold_conll", conll(f"nw/{name}", [(name, "*")]))
    lists = put(tmp_path, "train.id", "nw/c\n\nnw/a\tsome note\n")
    assert words(read_ontonotes(tmp_path, ONTO, root=tmp_path, split="train")) == ["a", "b", "c"]
    assert words(read_ontonotes(lists, ONTO, root=tmp_path, split="train")) == ["a", "c"]
    lists.write_text("nw/a\nnw/y\nnw/x\n")
    with pytest.raises(
        UserError, match=r"train\.id: 2 of its 3 documents are not in .*, the first is 'nw/y';"
    ):
        read_ontonotes(lists, ONTO, root=tmp_path, split="train")


def test_a_document_in_two_files_is_refused(tmp_path):
    put(tmp_path, "v4/a.gold_conll", conll("nw/a", [("a", "*")]))
    put(tmp_path, "v9/a.gold_conll", conll("nw/a", [("a", "*")]))
    with pytest.raises(
        UserError, match=r"v9/a\.gold_conll: part 000 of 'nw/a' stands in .*v4/a\.gold_conll, too"
    ):
        read_ontonotes(tmp_path, ONTO, root=tmp_path, split="train")


NAMES = [
    # line, words, entities
    ("No names here .", "No names here .", []),
    ('<ENAMEX TYPE="GPE">China</ENAMEX> won', "China won", [(0, 1, "gpe")]),
    ('in <ENAMEX TYPE="ORG">New York Times</ENAMEX> .', "in New York Times .", [(1, 4, "organization")]),
    ('<ENAMEX TYPE="NORP" S_OFF="4">non-Japanese</ENAMEX> men', "non- Japanese men", [(1, 2, "norp")]),
    ('a <ENAMEX TYPE="GPE" E_OFF="6">US-based</ENAMEX> x', "a US -based x", [(1, 2, "gpe")]),
    ('<ENAMEX TYPE="DATE" S_OFF="4" E_OFF="3">mid-1990s/ce</ENAMEX>', "mid- 1990s /ce", [(1, 2, "date")]),
    ('<ENAMEX TYPE="GPE" S_OFF="4" E_OFF="5">pro-South Korea-like</ENAMEX>', "pro- South Korea -like",
     [(1, 3, "gpe")]),
    ('<ENAMEX TYPE="ORG">Bank of <ENAMEX TYPE="GPE">Iran</ENAMEX></ENAMEX> .', "Bank of Iran .",
     [(0, 3, "organization"), (2, 3, "gpe")]),
    ('<ENAMEX TYPE="ORG" E_OFF="1"><ENAMEX TYPE="GPE" E_OFF="3">USA/F</ENAMEX></ENAMEX>', "US A/ F",
     [(0, 2, "organization"), (0, 1, "gpe")]),
    ("AT&amp;T -AMP- R-AMP-D -LAB- -RAB- -LRB-", "AT&T & R&D < > -LRB-", []),
    ('<ENAMEX TYPE="ORG">AT-AMP-T</ENAMEX> .', "AT&T .", [(0, 1, "organization")]),
    ('<ENAMEX TYPE="GPE">U.S.</ENAMEX> <ENAMEX TYPE="GPE">Iraq</ENAMEX>', "U.S. Iraq",
     [(0, 1, "gpe"), (1, 2, "gpe")]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "text", "entities"), NAMES)
def test_name_files(tmp_path, line, text, entities):
    file = put(tmp_path, "x.name", name_file("nw/wsj/00/wsj_0001", line))
    read = read_ontonotes(file, ONTO, root=tmp_path, split="test")
    assert found(read) == [(text, entities)]
    assert read.sentences[0].doc_id == "nw/wsj/00/wsj_0001"


def test_the_release_is_split_by_lists_of_documents(tmp_path):
    for name in ("nw/a", "nw/b", "pt/c"):
        put(tmp_path, f"data/files/data/english/annotations/{name}.name", name_file(name, name, ""))
    lists = put(tmp_path, "development.id", "nw/b\npt/c\npt/without-names\n")
    read = read_ontonotes(lists, ONTO, root=tmp_path, split="dev")
    assert (words(read), read.repairs) == (["nw/b"], {"genre_left_out": 1})


@pytest.mark.parametrize(
    ("exclude", "of_our_own", "of_ontonotes"),
    [((), (6, 11), (320, 187)), (("pt",), (4, 11), (250, 187))],
)
def test_the_skeleton_has_as_many_entities_as_opening_brackets(
    own, shared, exclude, of_our_own, of_ontonotes
):
    """Counted apart from the reader: opening brackets in column 10, and rows that end a block."""
    folder = shared / "data" / "ontonotes_skeleton"
    sentences = 0
    types: Counter[str] = Counter()
    for path in folder.rglob("*.gold_skel"):
        if path.relative_to(folder).parts[0] not in exclude:
            text = path.read_text()
            sentences += len(re.findall(r"^[^#\n].*\n(?=\n|#)", text, re.M))
            cells = " ".join(re.findall(r"^(?!#)(?:\S+ +){10}(\S+)", text, re.M))
            types.update(re.findall(r"\(([A-Z_]+)", cells))
    assert (sentences, types.total()) == (of_our_own if shared == own else of_ontonotes)
    read = read_ontonotes(folder, ONTO, root=folder, split="test", exclude_genres=exclude)
    assert len(read.sentences) == sentences
    assert Counter(e.type for s in read.sentences for e in s.entities) == {
        ONTO.resolve(label): n for label, n in types.items()
    }
