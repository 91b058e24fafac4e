"""Figures of data sets, by hand, and the published sizes."""

import pytest

from toner_jax.data.corpora.published import COPIES, compare, matching_copies
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.statistics import length_statistics, nesting_depths, split_statistics
from toner_jax.schema import Entity, make_sentence

WNUT = BUILTIN["wnut17"]


def sentence(text, *spans, doc=None):
    return make_sentence("x", text.split(), [Entity(*span) for span in spans], WNUT, doc_id=doc)


SENTENCES = [
    sentence("a b c d", (0, 4, "group"), (1, 3, "person"), (1, 2, "person"), (3, 4, "location"), doc="1"),
    sentence("e f", (0, 2, "group"), doc="1"),
    sentence("g", doc="2"),
    sentence("g"),
]


def test_figures_of_a_split():
    assert split_statistics(SENTENCES, WNUT) == {
        "sentences": 4,
        "without_entities": 2,
        "documents": 2,
        "entities": 5,
        "unreachable": 0,
        "per_type": {
            "corporation": 0, "creative_work": 0, "group": 2, "location": 1, "person": 2, "product": 0,
        },
        "depth": {"1": 2, "2": 2, "3": 1},
        "words": {"mean": 2.0, "p50": 1, "p99": 4, "max": 4},
    }  # fmt: skip
    empty = split_statistics([], WNUT)
    assert (empty["sentences"], empty["entities"], empty["depth"]) == (0, 0, {})


@pytest.mark.parametrize(
    ("spans", "depths"),
    [
        ([(0, 1), (1, 2)], [1, 1]),
        ([(0, 3), (1, 2)], [1, 2]),
        ([(0, 2), (1, 3)], [1, 1]),  # they cross
        ([(0, 5), (0, 2), (1, 2), (3, 4)], [1, 2, 3, 2]),
        ([(0, 5), (0, 3), (2, 4), (2, 3)], [1, 2, 2, 3]),
    ],
)
def test_nesting_depths(spans, depths):
    assert nesting_depths([Entity(a, b, "group") for a, b in spans]) == depths


def test_two_types_on_the_same_words_are_nested():
    (s,) = [sentence("a", (0, 1, "person"), (0, 1, "group"))]
    assert [(e.type, d) for e, d in zip(s.entities, nesting_depths(s.entities), strict=True)] == [
        ("group", 1),
        ("person", 2),
    ]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], (0.0, 0, 0, 0)),
        ([7], (7.0, 7, 7, 7)),
        (range(1, 101), (50.5, 50, 99, 100)),
        (range(200, 0, -1), (100.5, 100, 198, 200)),
        ([1, 1, 10], (4.0, 1, 10, 10)),
    ],
)
def test_lengths(lengths, expected):
    assert tuple(length_statistics(list(lengths)).values()) == expected


class FakeIds:
    """A piece for each letter; `b` is unknown."""

    class tokenizer:
        unk_id = 2

    def prepare(self, words):
        assert "a" in list(words)

    def words(self, words):
        return tuple(2 if c == "b" else ord(c) for word in words for c in word)


def test_lengths_in_pieces():
    figures = split_statistics([sentence("aab a"), sentence("b")], WNUT, FakeIds())
    assert figures["pieces"] == {"mean": 2.5, "p50": 1, "p99": 4, "max": 4}
    assert figures["unknown"] == pytest.approx(2 / 5)


def test_sizes_tell_the_copies_apart():
    v4 = {"train": (59_924, 81_828), "dev": (8_528, 11_066), "test": (8_262, 11_257)}
    assert matching_copies(compare("ontonotes", v4)) == ["CoNLL-2012 v4"]
    assert matching_copies(compare("ontonotes", {"test": (10_348, 12_586)})) == ["CoNLL-2012 v12"]
    assert matching_copies(compare("ontonotes", {**v4, "dev": (8_528, 11_067)})) == []
    carved = {"train": (16_700, 46_000), "dev": (1_846, 5_301), "test": (3_856, 8_662)}
    assert matching_copies(compare("jnlpba", carved)) == ["shared task"]
    text = {"train": (15_303, 46_030), "dev": (1_701, 5_271), "test": (3_856, 8_662)}
    assert matching_copies(compare("jnlpba", text)) == []
    assert matching_copies(compare("jnlpba", text, ["train", "dev"])) == ["shared task"]
    assert matching_copies(compare("jnlpba", {**text, "dev": (1_701, 5_270)}, ["train", "dev"])) == []
    assert matching_copies(compare("jnlpba", {**text, "test": (3_855, 8_662)}, ["train", "dev"])) == []
    assert compare("custom", v4) == []
    assert compare("conll2003", {}) == []


def test_the_jnlpba_copies_are_the_same_sentences():
    sizes = {copy.name: copy.sizes for copy in COPIES if copy.dataset == "jnlpba"}
    whole, parts = sizes["shared task"]["train+dev"], sizes["devel.tsv copy"]
    assert whole == tuple(a + b for a, b in zip(parts["train"], parts["dev"], strict=True))


def test_unknown_pieces_as_sentencepiece_counts_them(shared):
    import sentencepiece

    from toner_jax.text.ids import WordIds
    from toner_jax.text.tokenizers import load_sentencepiece

    folder = shared / "t5_vocab"
    found = [sentence("a { b } ~ č"), sentence("The house is wonderful .")]
    figures = split_statistics(found, WNUT, WordIds(load_sentencepiece(folder, "hf")))
    reference = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    ids = [reference.encode(s.text) for s in found]
    assert figures["pieces"]["max"] == max(map(len, ids))
    assert figures["unknown"] == pytest.approx(sum(i.count(2) for i in ids) / sum(map(len, ids)))
