"""Column files of benchmark sets: their published counts, and our own in the same formats."""

from collections import Counter

import pytest
from shared_data import SHARED, needs_shared, read


def counts(folder, file):
    """The numbers of sentences and entities of a file, in which nothing needed a repair."""
    found, repairs = read(folder, file)
    assert repairs == {}, file
    for s in found:
        assert all(s.text[a:b] == w for w, (a, b) in zip(s.words, s.offsets, strict=True)), (file, s)
    return len(found), sum(len(s.entities) for s in found)


def types(folder, file):
    return Counter(e.type for s in read(folder, file).sentences for e in s.entities)


def documents(folder):
    """The number of documents, and the first words."""
    found = read(folder, "jnlpba/devel.tsv", split="dev").sentences
    return len({s.doc_id for s in found}), found[0].words[:3]


def test_files_of_our_own_have_the_counts_that_we_wrote(own):
    expected = {
        "wnut17/wnut17train.conll": (10, 19),
        "wnut17/emerging.dev.conll": (4, 6),
        "wnut17/emerging.test.annotated": (5, 10),
        "jnlpba/Genia4EReval1.iob2": (6, 14),
    }
    assert {file: counts(own, file) for file in expected} == expected
    assert types(own, "jnlpba/Genia4EReval1.iob2") == {
        "protein": 6,
        "dna": 1,
        "cell_type": 4,
        "cell_line": 1,
        "rna": 2,
    }
    assert documents(own) == (2, ("Loss", "of", "the"))


@pytest.mark.slow
@needs_shared
def test_benchmarks_have_their_published_counts():
    expected = {
        "wnut17/wnut17train.conll": (3394, 1975),
        "wnut17/emerging.dev.conll": (1009, 836),
        "wnut17/emerging.test.annotated": (1287, 1079),
        "jnlpba/Genia4EReval1.iob2": (3856, 8662),
    }
    assert {file: counts(SHARED, file) for file in expected} == expected
    assert types(SHARED, "jnlpba/Genia4EReval1.iob2") == {
        "protein": 5067,
        "dna": 1056,
        "cell_type": 1921,
        "cell_line": 500,
        "rna": 118,
    }
    assert documents(SHARED) == (200, ("Disruption", "of", "the"))
    nested = ("genia_nested/genia.dev.iob2", "genia_nested/genia.test.iob2")
    assert [counts(SHARED, file)[0] for file in nested] == [1669, 1854]
    assert types(SHARED, nested[1]) == begun(SHARED, nested[1])


def begun(folder, file):
    tags = (
        tag
        for row in (folder / "data" / file).read_text(encoding="utf-8").split("\n")
        for tag in row.split("\t")[1:]
    )
    return Counter(tag[2:].lower() for tag in tags if tag.startswith("B-"))


def test_nested_columns_have_an_entity_for_every_b(shared):
    file = "genia_nested/genia.dev.iob2"
    counts(shared, file)
    assert types(shared, file) == begun(shared, file)
    assert begun(shared, file).total() > 30
