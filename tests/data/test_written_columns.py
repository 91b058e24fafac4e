"""Column files that we write: what they hold, and that they read back."""

from itertools import pairwise

import pytest
from shared_data import read as read_shared
from shared_data import schema_of

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.columns import read_columns, write_columns
from toner_jax.errors import UserError
from toner_jax.schema import Entity, make_sentence

BIO = BUILTIN["jnlpba"]

NESTED_SENTENCES = [
    make_sentence("0", ["the", "IL-2", "gene", "x y"], [], BIO, doc_id="a"),
    make_sentence(
        "1",
        ["IL-2", "gene", "B", "\u3000"],
        [
            Entity(0, 3, "dna"),
            Entity(0, 1, "protein"),
            Entity(0, 1, "rna"),
            Entity(1, 2, "protein"),
            Entity(2, 4, "dna"),
        ],
        BIO,
        doc_id="a",
    ),
    make_sentence("2", ["O", "#"], [Entity(0, 1, "dna"), Entity(1, 2, "dna")], BIO, doc_id="b"),
]


def test_written_columns(tmp_path):
    write_columns(NESTED_SENTENCES, tmp_path / "file.iob2")
    assert (tmp_path / "file.iob2").read_text(encoding="utf-8") == (
        "-DOCSTART-\tO\tO\tO\n\n"
        "the\tO\tO\tO\nIL-2\tO\tO\tO\ngene\tO\tO\tO\nx y\tO\tO\tO\n\n"
        "IL-2\tB-dna\tB-protein\tB-rna\ngene\tI-dna\tB-protein\tO\nB\tI-dna\tB-dna\tO\n\u3000\tO\tI-dna\tO\n\n"
        "-DOCSTART-\tO\tO\tO\n\n"
        "O\tB-dna\tO\tO\n#\tB-dna\tO\tO\n\n"
    )
    read, repairs = read_columns(tmp_path / "file.iob2", BIO, tag_columns=())
    assert [(s.id, s.words, s.entities) for s in read] == [
        (s.id, s.words, s.entities) for s in NESTED_SENTENCES
    ]
    assert [s.doc_id for s in read] == ["doc-1", "doc-1", "doc-2"]
    assert repairs == {}


@pytest.mark.parametrize("word", ["", "a\tb", "a\n", "\r", " a", "-DOCSTART-", "###MEDLINE:1"])
def test_a_word_that_columns_cannot_hold_is_refused(tmp_path, word):
    with pytest.raises(UserError, match=r"^sentence 7: word .* cannot stand in a column$"):
        write_columns([make_sentence("7", ["x", word], [], BIO)], tmp_path / "file.iob2")


@pytest.mark.parametrize(
    "name", ["genia_nested/genia.dev.iob2", "wnut17/emerging.dev.conll", "jnlpba/devel.tsv"]
)
def test_benchmark_files_read_back(tmp_path, shared, name):
    read, _ = read_shared(shared, name)
    write_columns(read, tmp_path / "file.iob2")
    back, repairs = read_columns(tmp_path / "file.iob2", BUILTIN[schema_of(name)], tag_columns=())
    assert [(s.id, s.words, s.entities) for s in back] == [(s.id, s.words, s.entities) for s in read]
    bounds = [a.doc_id != b.doc_id for a, b in pairwise(read)]
    assert [a.doc_id != b.doc_id for a, b in pairwise(back)] == bounds
    assert repairs == {}
