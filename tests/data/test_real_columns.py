"""Column files of benchmark sets: their published counts."""

from collections import Counter

import pytest
from shared_data import SHARED, needs_shared

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.columns import read_columns

WNUT = BUILTIN["wnut17"]
BIO = BUILTIN["jnlpba"]


@needs_shared
@pytest.mark.parametrize(
    ("name", "sentences", "entities"),
    [
        ("wnut17train.conll", 3394, 1975),
        ("emerging.dev.conll", 1009, 836),
        ("emerging.test.annotated", 1287, 1079),
    ],
)
def test_wnut17_has_its_published_counts(name, sentences, entities):
    read, report = read_columns(SHARED / "data" / "wnut17" / name, WNUT)
    assert (len(read), sum(len(s.entities) for s in read)) == (sentences, entities)
    assert report == {}
    assert all(s.text[a:b] == w for s in read for w, (a, b) in zip(s.words, s.offsets, strict=True))


@needs_shared
def test_jnlpba_has_its_published_counts():
    read, report = read_columns(SHARED / "data" / "jnlpba" / "Genia4EReval1.iob2", BIO)
    assert len(read) == 3856
    assert Counter(e.type for s in read for e in s.entities) == {
        "protein": 5067,
        "dna": 1056,
        "cell_type": 1921,
        "cell_line": 500,
        "rna": 118,
    }
    assert report == {}


@needs_shared
def test_jnlpba_documents():
    read, _ = read_columns(SHARED / "data" / "jnlpba" / "devel.tsv", BIO, split="dev")
    assert len({s.doc_id for s in read}) == 200
    assert read[0].words[:3] == ("Disruption", "of", "the")


@needs_shared
@pytest.mark.parametrize(("name", "sentences"), [("genia.dev.iob2", 1669), ("genia.test.iob2", 1854)])
def test_genia_nested_has_an_entity_for_every_b(name, sentences):
    path = SHARED / "data" / "genia_nested" / name
    begun = Counter(
        tag[2:].lower()
        for row in path.read_text(encoding="utf-8").split("\n")
        for tag in row.split("\t")[1:]
        if tag.startswith("B-")
    )
    read, report = read_columns(path, BIO, tag_columns=())
    assert len(read) == sentences
    assert Counter(e.type for s in read for e in s.entities) == begun
    assert report == {}
