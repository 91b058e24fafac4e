"""Tagging schemes: what each sequence means, and what is a fault in it."""

import pytest

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.tag_names import Tagging
from toner_jax.data.tags import TagReader
from toner_jax.errors import UserError

CONLL = BUILTIN["conll2003"]


def read(*sentences: str, schema=CONLL):
    reader = TagReader(schema, Tagging("first"))
    spans = []
    for tags in sentences:
        reader.add(tags.split(), "file:1")
    for tags in sentences:
        found = reader.entities(tags.split(), lambda i: f"file:{i + 1}")
        spans.append([(e.start, e.end, e.type[:3]) for e in found])
    return spans, reader.repairs()


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("S-PER", [(0, 1, "per")]),
        ("O S-PER O", [(1, 2, "per")]),
        ("S-PER S-PER", [(0, 1, "per"), (1, 2, "per")]),
        ("B-PER E-PER", [(0, 2, "per")]),
        ("B-PER I-PER I-PER E-PER O", [(0, 4, "per")]),
        ("B-PER E-PER B-PER E-PER", [(0, 2, "per"), (2, 4, "per")]),
        ("B-PER E-PER S-PER", [(0, 2, "per"), (2, 3, "per")]),
        ("S-PER B-LOC E-LOC", [(0, 1, "per"), (1, 3, "loc")]),
    ],
)
@pytest.mark.parametrize("bilou", [False, True])
def test_whole_sequences(tags, spans, bilou):
    if bilou:
        tags = tags.replace("S-", "U-").replace("E-", "L-")
    assert read(tags) == ([spans], {})


@pytest.mark.parametrize(
    ("tags", "spans", "repairs"),
    [
        ("S-PER O I-LOC E-LOC", [(0, 1, "per"), (2, 4, "loc")], {"i_without_b": 1}),
        ("S-PER E-LOC", [(0, 1, "per"), (1, 2, "loc")], {"e_without_b": 1}),
        (
            "B-PER O S-PER E-LOC",
            [(0, 1, "per"), (2, 3, "per"), (3, 4, "loc")],
            {"e_without_b": 1, "b_without_e": 1},
        ),
        ("S-PER B-LOC O", [(0, 1, "per"), (1, 2, "loc")], {"b_without_e": 1}),
        ("S-PER B-LOC I-LOC", [(0, 1, "per"), (1, 3, "loc")], {"b_without_e": 1}),
        ("B-PER S-PER", [(0, 1, "per"), (1, 2, "per")], {"b_without_e": 1}),
        ("B-PER B-PER E-PER S-PER", [(0, 1, "per"), (1, 3, "per"), (3, 4, "per")], {"b_without_e": 1}),
        ("B-PER E-PER I-PER E-PER", [(0, 2, "per"), (2, 4, "per")], {"i_without_b": 1}),
        ("B-PER E-PER E-PER", [(0, 2, "per"), (2, 3, "per")], {"e_without_b": 1}),
        ("S-PER I-LOC O", [(0, 1, "per"), (1, 2, "loc")], {"i_without_b": 1}),
    ],
)
def test_faults_of_iobes_are_mended_and_counted(tags, spans, repairs):
    assert read(tags) == ([spans], repairs)


def test_the_scheme_is_that_of_all_sentences():
    """Without the S of the last sentence, the first two are faultless IOB2."""
    assert read("B-PER O", "B-LOC I-LOC") == ([[(0, 1, "per")], [(0, 2, "loc")]], {})
    assert read("B-PER O", "B-LOC I-LOC", "S-ORG")[1] == {"b_without_e": 2}


def test_without_a_schema_labels_stay_as_they_are():
    reader = TagReader(None)
    tags = ["B-geo", "I-geo", "B-GEO"]
    reader.add(tags, "file:1")
    assert [(e.start, e.end, e.type) for e in reader.entities(tags, str)] == [(0, 2, "geo"), (2, 3, "GEO")]


@pytest.mark.parametrize(
    "tag",
    ["M-PER", "b-PER", "PER", "", "-", "-PER", "S-", "L- ", "U_PER", "B/", "0", "B", "_", "PER-B", "e-mail"],
)
def test_what_is_no_tag_by_itself_is_refused(tag):
    with pytest.raises(UserError, match=r"^x:7: (the )?tag "):
        read_at(tag)


def read_at(*tags: str, prefix="auto", names=()):
    reader = TagReader(CONLL, Tagging(prefix, names))
    reader.add(tags, "x:7")
    return [(e.start, e.end, e.type[:3]) for e in reader.entities(tags, lambda _: "x:7")], reader.scheme


def test_faults_are_placed():
    assert read("O I-LOC", "B-PER O I-PER")[1].places("i_without_b") == ("file:2", "file:3")
