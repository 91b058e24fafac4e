"""spaCy's DocBin: files made by spaCy itself."""

import builtins

import pytest

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.docbin import read_docbin
from toner_jax.errors import UserError

ONTONOTES = BUILTIN["ontonotes"]


@pytest.fixture
def save(tmp_path):
    spacy = pytest.importorskip("spacy")
    from spacy.tokens import Doc, DocBin, Span

    def save(*docs):
        """Each of (words, ents, sentence starts or None, overlapping spans), spans as (start, end, label)."""
        bin = DocBin()
        for words, ents, starts, spans in docs:
            doc = Doc(spacy.blank("en").vocab, words, spaces=[w != "(" for w in words], sent_starts=starts)
            doc.ents = [Span(doc, a, b, label) for a, b, label in ents]
            if spans:
                doc.spans["sc"] = [Span(doc, a, b, label) for a, b, label in spans]
            bin.add(doc)
        bin.to_disk(tmp_path / "data.spacy")
        return tmp_path / "data.spacy"

    return save


WORDS = ["Ivan", "slept", ".", "\n", "New", "York", "(", "NY", ")"]


def read(path):
    sentences, repairs = read_docbin(path, ONTONOTES, "dev")
    shown = [(s.id, s.doc_id, list(s.words), [(s.surface(e), e.type) for e in s.entities]) for s in sentences]
    return shown, repairs


def test_entities_tokens_and_sentences(save):
    starts = [True, False, False, False, True, False, False, False, False]
    path = save((WORDS, [(0, 1, "PERSON"), (4, 6, "GPE")], starts, []), (["x"], [], None, []))
    assert read(path) == (
        [
            ("dev-0", "dev-doc-0", WORDS[:3], [("Ivan", "person")]),
            ("dev-1", "dev-doc-0", WORDS[4:], [("New York", "gpe")]),
            ("dev-2", "dev-doc-1", ["x"], []),
        ],
        {},
    )


def test_unknown_sentence_bounds_are_found_in_the_text(save):
    found, _ = read(save((["Ivan", "slept", ".", "Nobody", "saw", "."], [], None, [])))
    assert [words for _, _, words, _ in found] == [["Ivan", "slept", "."], ["Nobody", "saw", "."]]


def test_overlapping_spans_stand_in_where_there_are_no_ents(save):
    spans = [(4, 6, "GPE"), (4, 9, "LOC"), (4, 9, "GPE")]
    (*_, (_, _, _, entities)), _ = read(save((WORDS, [], None, spans)))
    assert entities == [("New York ( NY )", "gpe"), ("New York ( NY )", "location"), ("New York", "gpe")]
    (*_, (_, _, _, entities)), _ = read(save((WORDS, [(7, 8, "GPE")], None, spans)))
    assert entities == [("NY", "gpe")]


def test_an_unknown_label_names_its_doc(save):
    path = save((["x"], [], None, []), (["y"], [(0, 1, "SHIP")], None, []))
    with pytest.raises(UserError, match=r"data\.spacy: doc 1: label 'SHIP' is not in schema"):
        read(path)


@pytest.mark.parametrize("keep", [0, 1, 20, -1])
def test_a_damaged_file_is_refused(save, keep):
    path = save((WORDS, [(0, 1, "PERSON")], None, []))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"^[^\n]*data\.spacy: not a spaCy DocBin, or damaged \([^\n]*\)$"):
        read(path)


def test_an_empty_file_and_a_missing_one(save, tmp_path):
    with pytest.raises(UserError, match=r"data\.spacy: empty"):
        read(save())
    with pytest.raises(UserError, match=r"absent\.spacy: no such file$"):
        read(tmp_path / "absent.spacy")


def test_without_spacy_it_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without_spacy(name, *rest):
        if name.split(".")[0] == "spacy":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_spacy)
    with pytest.raises(UserError) as caught:
        read(tmp_path / "a.spacy")
    assert str(caught.value).endswith('needs spaCy; install it with pip install "toner-jax[spacy]"')
