"""spaCy's DocBin: files made by spaCy itself."""

import builtins
import tracemalloc
import zlib
from dataclasses import replace

import pytest

from toner_jax.config import base
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats import docbin
from toner_jax.data.formats.docbin import read_docbin
from toner_jax.data.formats.registry import read_path
from toner_jax.data.options import DataOptions
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


def groups(tmp_path, *docs):
    """Saves docs of "New York left": (ents or None for never annotated, span groups), with words as ranges."""
    spacy = pytest.importorskip("spacy")
    bin = spacy.tokens.DocBin()
    for ents, spans in docs:
        doc = spacy.tokens.Doc(spacy.blank("en").vocab, ["New", "York", "left"])
        if ents is not None:
            doc.set_ents([spacy.tokens.Span(doc, a, b, label) for a, b, label in ents], default="missing")
        for key, found in spans.items():
            doc.spans[key] = [spacy.tokens.Span(doc, a, b, label) for a, b, label in found]
        bin.add(doc)
    bin.to_disk(tmp_path / "x.spacy")
    return tmp_path / "x.spacy"


CITY, STATE = (0, 2, "GPE"), (1, 2, "LOC")


@pytest.mark.parametrize(
    ("docs", "choice", "found", "counted"),
    [
        ([(None, {"sc": [CITY, STATE]})], "", ["New York", "York"], {}),
        ([(None, {"mine": [CITY], "sc": [STATE]})], "mine", ["New York"], {"other_spans": ["0: spans 'sc'"]}),
        ([([CITY], {"sc": [STATE]})], "sc", ["York"], {"other_spans": ["0: ents"]}),
        ([([CITY], {"sc": [STATE]})], "", ["New York"],
         {"other_spans": ["0: spans 'sc'"], "unknown_token": ["0: token 2"]}),
        ([([CITY], {"mine": [STATE]})], "ents", ["New York"],
         {"other_spans": ["0: spans 'mine'"], "unknown_token": ["0: token 2"]}),
        # Each doc for itself: written files have entities that overlap in the group.
        ([([CITY, (2, 3, "LOC")], {}), (None, {"sc": [CITY, STATE]}), (None, {"sc": []}), (None, {})], "",
         ["New York", "left", "New York", "York"], {"unknown_token": [f"3: token {i}" for i in range(3)]}),
        ([(None, {"mine": [CITY]}), (None, {"mine": []}), (None, {})], "mine", ["New York"], {}),
    ],
)  # fmt: skip
def test_what_holds_the_entities_is_chosen_and_all_else_counted(tmp_path, docs, choice, found, counted):
    path = groups(tmp_path, *docs)
    read = read_docbin(path, None, span_group=choice)
    assert [s.surface(e) for s in read.sentences for e in s.gold] == found
    assert read.repairs.to_json() == {
        reason: [f"{path}: doc {place}" for place in places] for reason, places in counted.items()
    }


@pytest.mark.parametrize(
    ("docs", "choice", "problem"),
    [
        (
            [(None, {"mine": [CITY]})],
            "",
            "docs have spans in groups of their own ('mine'); choose what holds the entities",
        ),
        (
            [([CITY], {"b": [STATE], "a": [CITY]})],
            "",
            "('a', 'b'); choose what holds the entities with data.span_group=a",
        ),
        (
            [(None, {"mine": [CITY]})],
            "sc",
            "no doc has spans in the group 'sc' (data.span_group); choose one of 'mine'",
        ),
        ([([CITY], {})], "sc", "no doc has spans in the group 'sc' (data.span_group)"),
    ],
)
def test_a_span_group_that_is_not_chosen_or_not_there_is_named(tmp_path, docs, choice, problem):
    with pytest.raises(UserError) as caught:
        read_docbin(groups(tmp_path, *docs), None, span_group=choice)
    assert problem in str(caught.value)


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


def test_the_option_reaches_the_reader(tmp_path):
    options = DataOptions.from_section(base().data)
    path = groups(tmp_path, ([CITY], {"mine": [STATE]}))
    read = read_path(path, "auto", None, "", replace(options, span_group="mine"))
    assert [e.type for s in read.sentences for e in s.gold] == ["LOC"]


@pytest.mark.slow
def test_a_file_that_expands_without_end_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(docbin, "_MOST_BYTES", 1 << 28)
    packer, path = zlib.compressobj(), tmp_path / "bomb.spacy"
    with path.open("wb") as file:
        for _ in range(280):
            file.write(packer.compress(b"\0" * (1 << 20)))
        file.write(packer.flush())
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(
        UserError, match=f"^{path}: holds more than 0.25 GiB when it is decompressed; write its docs"
    ):
        read_docbin(path, None)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_bytes_that_claim_to_be_long_are_damaged(tmp_path):
    path = tmp_path / "long.spacy"
    path.write_bytes(zlib.compress(b"\x81\xa7version" + b"\xdd\xff\xff\xff\xff" + b"\0" * 9))
    with pytest.raises(UserError, match=f"^{path}: (not a spaCy DocBin, or damaged|damaged, or too large)"):
        read_docbin(path, None)
