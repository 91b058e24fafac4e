"""What splits may not share, and dev carved out of train."""

import random

import pytest

from toner_jax.data.carve import carve_dev
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.overlap import (
    describe_shared_sentences,
    named_documents,
    refuse_shared_documents,
    repeated_sentences,
)
from toner_jax.errors import UserError
from toner_jax.schema import make_sentence

WNUT = BUILTIN["wnut17"]


def sentences(*pairs, split="train"):
    """From (document, text) pairs."""
    return [
        make_sentence(f"{split}-{i}", text.split(), (), WNUT, doc_id=doc)
        for i, (doc, text) in enumerate(pairs)
    ]


def test_ids_that_readers_made_up_name_no_document():
    found = sentences(
        ("90110496", "a"), (None, "b"), ("train-doc-1", "c"), ("dev-doc-12", "d"), ("doc-3", "e")
    )
    assert named_documents(found) == ("90110496", "doc-3")


def test_a_document_in_two_splits_is_refused():
    splits = {
        "train": sentences(("b", "x"), ("a", "y"), ("c", "z")),
        "dev": sentences(("d", "x")),
        "test": sentences(("c", "1"), ("c", "z"), ("a", "y"), ("b", "2"), ("e", "3")),
    }
    with pytest.raises(UserError, match=r"^train and test have 2 documents in common, the first is 'a';"):
        refuse_shared_documents(splits)
    splits["test"] = sentences(("e", "3"), ("train-doc-1", "4"), ("b", "other"), ("f", "y"))
    splits["train"] += sentences(("train-doc-1", "4"))
    refuse_shared_documents(splits)


def test_identical_sentences_are_told():
    splits = {
        "train": sentences((None, "a b"), (None, "c")),
        "dev": sentences((None, "a b"), (None, "a b"), (None, "d")),
        "test": sentences((None, "d"), (None, "c"), (None, "a  b c")),
    }
    assert describe_shared_sentences(splits) == (
        "identical sentences: 2 of 3 in dev also in train; 1 of 3 in test also in train; 1 of 3 in test also in dev"
    )
    assert describe_shared_sentences({"train": splits["train"], "dev": sentences((None, "e"))}) is None


def test_repeated_sentences_are_counted_for_every_pair():
    splits = {
        "train": sentences((None, "a"), (None, "g"), (None, "b"), (None, "g")),
        "dev": sentences((None, "g"), (None, "a"), (None, "new")),
    }
    assert repeated_sentences(splits) == {"train": {"train": 1, "dev": 3}, "dev": {"train": 2, "dev": 0}}


ABSTRACTS = [str(90_000_000 + 137 * i) for i in range(40)]
PINNED = ("90000822", "90002877", "90003014", "90004521")  # the four least sha256 of "0:ID"


def test_the_carved_documents_stay_the_same():
    """Pinned: another choice would make development scores of different versions incomparable."""
    train = sentences(*((doc, f"{part} {doc}") for doc in ABSTRACTS for part in ("one", "two")))
    rest, dev = carve_dev(train, 4, seed=0)
    assert named_documents(dev) == PINNED
    assert [s.id for s in dev] == [f"dev-{i}" for i in range(8)]
    assert len(rest) == 72
    assert not set(named_documents(rest)) & set(PINNED)
    assert sorted(s.text for s in (*rest, *dev)) == sorted(s.text for s in train)


@pytest.mark.parametrize("seed", [0, 1])
def test_carving_depends_on_ids_alone(seed):
    train = sentences(*((doc, f"text of {doc}") for doc in ABSTRACTS))
    shuffled = sentences(*((doc, "other words") for doc in random.Random(5).sample(ABSTRACTS, 40)))
    chosen = set(named_documents(carve_dev(train, 10, seed)[1]))
    assert len(chosen) == 10
    assert set(named_documents(carve_dev(shuffled, 10, seed)[1])) == chosen
    assert (set(named_documents(carve_dev(train, 10, 0)[1])) == chosen) == (seed == 0)


def test_smaller_carvings_lie_in_larger_ones():
    train = sentences(*((doc, doc) for doc in ABSTRACTS))
    sizes = [set(named_documents(carve_dev(train, n, 0)[1])) for n in (1, 5, 39)]
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize(
    ("train", "count", "message"),
    [
        (
            sentences(("a", "x"), ("b", "y")),
            2,
            r"^data\.carve_dev=2: train has 2 documents, and keeps at least one$",
        ),
        (sentences(("a", "x"), ("b", "y")), -1, r"^data\.carve_dev=-1: train has 2 documents"),
        (
            sentences(("a", "x"), (None, "y"), ("train-doc-1", "z")),
            1,
            r"2 training sentences belong to no document",
        ),
    ],
)
def test_carvings_that_cannot_be(train, count, message):
    with pytest.raises(UserError, match=message):
        carve_dev(train, count, 0)
