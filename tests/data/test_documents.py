"""Character spans to entities of words: literal tables, and a reading of real text."""

import pytest

from toner_jax.atoms import GLUE, bare
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.documents import Document, Span, read_documents
from toner_jax.errors import UserError
from toner_jax.text.words import Reading

CONLL = BUILTIN["conll2003"]
TEXT = "Rain fell. Ivan  Lima left New-York!\n\nNobody saw."


def document(text, *spans, **more):
    return Document("d", text, tuple(Span(a, b, label, "f:3") for a, b, label in spans), **more)


def read(*documents, **options):
    sentences, repairs = read_documents(documents, CONLL, "dev", **options)
    return [([*s.words], [(s.surface(e), e.type[:3]) for e in s.entities]) for s in sentences], repairs


def test_sentences_words_and_entities():
    found, repairs = read(document(TEXT, (11, 21, "PER"), (27, 35, "LOC")))
    assert found == [
        (["Rain", "fell", "."], []),
        (
            ["Ivan", "Lima", "left", "New", f"{GLUE}-", f"{GLUE}York", "!"],
            [("Ivan Lima", "per"), ("New-York", "loc")],
        ),
        (["Nobody", "saw", "."], []),
    ]
    assert repairs == {}


def test_ids_texts_and_offsets():
    sentences, _ = read_documents([document(TEXT, (11, 21, "PER")), document("So.")], CONLL, "dev")
    assert [(s.id, s.doc_id, s.text) for s in sentences] == [
        ("dev-0", "d", "Rain fell."),
        ("dev-1", "d", "Ivan  Lima left New-York!"),
        ("dev-2", "d", "Nobody saw."),
        ("dev-3", "d", "So."),
    ]
    assert all(
        s.text[a:b] == bare(w) for s in sentences for w, (a, b) in zip(s.words, s.offsets, strict=True)
    )
    (entity,) = sentences[1].entities
    assert sentences[1].char_span(entity) == (0, 10)


@pytest.mark.parametrize(
    ("spans", "found", "repairs"),
    [
        ([(10, 22, "PER")], [("Ivan Lima", "per")], {"span_trimmed": 1}),
        ([(27, 30, "LOC")], [("New", "loc")], {}),
        ([(31, 35, "LOC")], [("York", "loc")], {}),
        ([(27, 30, "LOC"), (31, 35, "LOC")], [("New", "loc"), ("York", "loc")], {}),
        ([(11, 21, "PER"), (11, 21, "person")], [("Ivan Lima", "per")], {"duplicate_entity": 1}),
        ([(11, 21, "PER"), (17, 21, "LOC")], [("Ivan Lima", "per"), ("Lima", "loc")], {}),
        ([(11, 21, "PER"), (17, 26, "LOC")], [("Ivan Lima", "per"), ("Lima left", "loc")], {}),
    ],
)
def test_entities_are_kept_and_mending_is_counted(spans, found, repairs):
    sentences, counted = read(document(TEXT, *spans))
    assert sentences[1][1] == found
    assert counted == repairs


def test_a_sentence_boundary_gives_way_to_no_entity():
    sentences, repairs = read_documents(
        [document(TEXT, (5, 15, "PER"), (36 + 2, 44, "PER"))], CONLL, "dev", reading=Reading("words")
    )
    assert [s.words for s in sentences] == [
        ("Rain", "fell", "."),
        ("Ivan", "Lima", "left", "New-York", "!"),
        ("Nobody", "saw", "."),
    ]
    assert [[s.surface(e) for e in s.entities] for s in sentences] == [[], [], ["Nobody"]]
    (lost,) = sentences[0].unreachable
    assert sentences[0].span_json(lost) == {"start": 5, "end": 10, "text": "fell.", "label": "person"}
    assert sentences[0].gold == (lost,)
    assert repairs == {}


@pytest.mark.parametrize("edges", ["words", "atoms"])
def test_annotation_changes_neither_words_nor_sentences(edges):
    """With and without gold the same is read."""
    text = "It binds NF-kappa B. LPS in 663mg does, too. 北京大学很好。Mk. 5 flew."
    bare_ones, _ = read_documents([document(text)], CONLL, "dev", reading=Reading(edges))
    for start, end in ((9, 19), (17, 25), (28, 31), (31, 33), (45, 49), (46, 48), (52, 57)):
        annotated, _ = read_documents(
            [document(text, (start, end, "PER"))], CONLL, "dev", reading=Reading(edges)
        )
        assert [(s.words, s.offsets, s.text) for s in annotated] == [
            (s.words, s.offsets, s.text) for s in bare_ones
        ]
        assert sum(len(s.gold) for s in annotated) == 1
        reached = [s.text[slice(*s.char_span(e))] for s in annotated for e in s.entities]
        assert reached in ([], [text[start:end].strip()])
        assert reached or edges == "words"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_blank_line_ends_a_sentence(line_end):
    found, _ = read(document(f"no stop{line_end}{line_end}another{line_end}line"))
    assert [words for words, _ in found] == [["no", "stop"], ["another", "line"]]


def test_the_files_own_sentences_replace_the_splitting():
    found, _ = read(document("A. B. C.", (3, 5, "PER"), sentences=((0, 5), (6, 8))))
    assert found == [(["A", f"{GLUE}.", "B", "."], [("B .", "per")]), (["C", "."], [])]


def test_pretokenized_text_is_split_at_white_space_alone():
    found, repairs = read(
        document("A.B c!\r\n\n\td\u00a0e f", (0, 3, "PER"), (10, 13, "LOC")), pretokenized=True
    )
    assert found == [(["A.B", "c!"], [("A.B", "per")]), (["d\u00a0e", "f"], [("d\u00a0e", "loc")])]
    assert repairs == {}


def test_the_files_own_words_keep_the_whole_text():
    words = (((2, 4), (4, 6)),)
    sentences, repairs = read_documents(
        [document("  abcd ", (2, 6, "PER"), words=words, sentence_id="s")], CONLL, "dev"
    )
    (s,) = sentences
    assert (s.id, s.text, s.words, s.offsets) == ("s", "  abcd ", ("ab", "cd"), ((2, 4), (4, 6)))
    assert s.surface(s.entities[0]) == "ab cd"
    assert repairs == {}


@pytest.mark.parametrize("start", [4, 5])
@pytest.mark.parametrize("end", [9, 10])
def test_white_space_is_trimmed_unless_words_hold_it(start, end):
    words = (((0, 4), (5, 9), (10, 11)),)
    found, repairs = read(document("Ivan Lima x", (start, end, "PER"), words=words))
    assert found == [(["Ivan", "Lima", "x"], [("Lima", "per")])]
    assert repairs == ({} if (start, end) == (5, 9) else {"span_trimmed": 1})
    spaced = (((0, 4), (4, 10), (10, 11)),)
    found, repairs = read(document("Ivan Lima x", (4, 10, "PER"), words=spaced))
    assert (found, repairs) == ([(["Ivan", " Lima ", "x"], [(" Lima ", "per")])], {})
    found, repairs = read(document("a \u3000 b", (2, 3, "PER")), pretokenized=True)
    assert (found, repairs) == ([(["a", "\u3000", "b"], [("\u3000", "per")])], {})


def test_an_entity_in_several_sentences_of_words_is_out_of_reach():
    words = (((0, 1),), ((2, 3),), ((4, 5),))
    sentences, repairs = read_documents([document("a b c", (2, 5, "PER"), words=words)], CONLL, "dev")
    assert [(s.words, len(s.entities), len(s.unreachable)) for s in sentences] == [
        (("a",), 0, 0), (("b",), 0, 1), (("c",), 0, 0),
    ]  # fmt: skip
    assert repairs == {}


def test_a_document_without_words_is_counted():
    assert read(document(" \n "), document(""), document("x")) == ([(["x"], [])], {"empty_text": 2})


@pytest.mark.parametrize(
    ("spans", "more", "problem"),
    [
        ([(3, 3, "PER")], {}, "span [3, 3) is empty or outside its text of 8 characters"),
        ([(4, 3, "PER")], {}, "span [4, 3) is empty or outside its text of 8 characters"),
        ([(-1, 3, "PER")], {}, "span [-1, 3) is empty or outside its text of 8 characters"),
        ([(0, 9, "PER")], {}, "span [0, 9) is empty or outside its text of 8 characters"),
        ([(2, 3, "PER")], {}, "span [2, 3) holds only white space"),
        ([(0, 1, "GPE")], {}, "label 'GPE' is not in schema 'conll2003'"),
        ([(6, 8, "PER")], {"sentences": ((0, 5),)}, "span [6, 8) lies outside the sentences of its text"),
        ([(0, 2, "PER")], {"words": (((0, 1), (3, 5)),)}, "span [0, 2) begins or ends between the words"),
    ],
)
def test_a_span_that_fits_nothing_is_refused(spans, more, problem):
    with pytest.raises(UserError) as caught:
        read(document("A. B. C.", *spans, **more))
    assert str(caught.value).startswith(f"f:3: {problem}")


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_characters_that_are_none_are_refused(text):
    with pytest.raises(UserError, match=r"^f:9: .* at 1 of the text"):
        read(Document("d", text, location="f:9"))
