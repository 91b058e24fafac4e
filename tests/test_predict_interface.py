"""What `predict` takes and gives: texts, words, labels, and entities, on a finished tiny run."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import datasets
import numpy as np
import pandas
import pytest
from tiny import TEXTS

from toner_jax.errors import UserError
from toner_jax.inference.texts import checked_texts
from toner_jax.schema import Entity, make_sentence
from toner_jax.tasks.recognized import Recognized, Score

WORDS = [
    ["Judge", "Ivan", "Borcalski", "came", "to", "Selqua", "."],
    [],
    ["Judge", " ", "Ivan", "\n", "Borcalski", "came", "", "to", "Selqua", "."],
    ["北京", "大学", "Ivan"],
]


def test_words_are_read_as_a_corpus_of_words_is(ner):
    """Each list is a sentence; blank words count for the places of others alone."""
    found = ner.predict(words=WORDS)
    sentences = [make_sentence(str(i), words, (), None) for i, words in enumerate((WORDS[0], WORDS[3]))]
    expected, _ = ner.recognize(sentences)
    assert expected[0].entities
    assert [(e["start"], e["end"], e["label"]) for e in found[0]] == [
        (e.start, e.end, e.type) for e in expected[0].entities
    ]
    assert [e["text"] for e in found[0]] == [" ".join(WORDS[0][e["start"] : e["end"]]) for e in found[0]]
    assert found[1] == []
    assert len(found[3]) == len(expected[1].entities)
    kept = [i for i, word in enumerate(WORDS[2]) if word.strip()]
    assert [(e["start"], e["end"] - 1, e["score"]) for e in found[2]] == [
        (kept[e["start"]], kept[e["end"] - 1], e["score"]) for e in found[0]
    ]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda ner: ner.predict(), "texts, or words"),
        (lambda ner: ner.predict(["a"], words=[["a"]]), "texts, or words"),
        (lambda ner: ner.predict("a"), r"wrap a single one: \[text\]"),
        (lambda ner: ner.predict(words=["a b"]), "a list of sentences, each a list of words"),
        (lambda ner: ner.predict(words=[["a"], ["b", 5]]), "word 1 of text 1 is 5"),
        (lambda ner: ner.predict(["a", None]), "text 1 is None"),
        (lambda ner: ner.predict(["a", float("nan")]), "text 1 is nan"),
        (lambda ner: ner.predict(b"a"), r"wrap a single one: \[text\]"),
        (lambda ner: ner.predict({"text": ["a"]}), "not a table"),
        (lambda ner: ner.predict(pandas.DataFrame({"text": ["a"]})), "not a table"),
        (lambda ner: list(ner.stream(["a", 5.0])), "text 1 is a float"),
        (lambda ner: ner.show(None), "expected a list of texts, not None"),
        (lambda ner: ner.predict(["a"], threshold="0.5"), "threshold is '0.5'; expected a number"),
        (lambda ner: ner.predict(["a"], type_threshold="0.5"), "type_threshold is '0.5'; expected a number"),
        (lambda ner: ner.predict(["a"], threshold=True), "threshold is True; expected a number"),
    ],
)
def test_what_is_neither_text_nor_words_is_refused_by_its_number(ner, call, says):
    with pytest.raises(TypeError, match=says):
        call(ner)


def places(found):
    return [[(e.start, e.end, e.label) for e in entities] for entities in found]


@pytest.mark.slow
def test_texts_come_in_anything_that_can_be_iterated_over(ner):
    expected = places(ner.predict(TEXTS))
    assert any(expected)
    column = datasets.Dataset.from_dict({"text": TEXTS})["text"]
    for texts in (tuple(TEXTS), pandas.Series(TEXTS), np.array(TEXTS, object), column):
        assert checked_texts(texts) == TEXTS
    assert places(ner(t for t in TEXTS)) == expected
    assert ner.predict(iter([])) == []


def test_entities_are_json_with_attributes(ner):
    (found,) = ner.predict(TEXTS[:1])
    for e in found:
        assert json.loads(json.dumps(e)) == dict(e)
        assert (e.text, e.label, e.score) == (e["text"], e["label"], e["score"])
        assert pickle.loads(pickle.dumps(e)) == e
        assert {"start", "label", "keys"} <= set(dir(e))
        with pytest.raises(AttributeError, match="an entity has no 'tag'; it has start, end, text, label"):
            _ = e.tag


def test_flat_keeps_the_likeliest_of_what_overlaps(ner):
    sentence = make_sentence("0", [f"w{i}" for i in range(8)], (), None)
    scored = {
        Entity(0, 3, "person"): 0.9, Entity(1, 2, "location"): 0.95, Entity(2, 3, "date"): 0.5,
        Entity(4, 6, "event"): 0.4, Entity(4, 6, "product"): 0.6, Entity(5, 8, "person"): 0.3,
        Entity(7, 8, "date"): 0.1,
    }  # fmt: skip
    found = Recognized(tuple(scored), tuple(Score(s, 1.0) for s in scored.values()), {}, "")
    with mock.patch.object(ner, "recognize", lambda sentences, *_, explain: ([found] * len(sentences), None)):
        (nested,) = ner.predict(words=[sentence.words])
        (flat,) = ner.predict(words=[sentence.words], flat=True)
    assert len(nested) == len(scored)
    assert [(e.start, e.end, e.label) for e in flat] == [
        (1, 2, "location"), (2, 3, "date"), (4, 6, "product"), (7, 8, "date"),
    ]  # fmt: skip
    assert found.flat().dropped == {"overlap": 3}


@pytest.mark.slow
def test_labels_come_back_as_they_were_written(ner):
    found = ner.predict(TEXTS, labels=["Person", "Ship (of war)"])
    assert {e.label for entities in found for e in entities} <= {"Person", "Ship (of war)"}
    (types,) = ner.match_types(TEXTS[:1], labels={"PERSON": None, "Ship, boat": "Names of vessels."})
    assert set(types) == {"PERSON", "Ship, boat"}
    assert types["PERSON"] == pytest.approx(ner.match_types(TEXTS[:1])[0]["person"], abs=1e-6)


def test_it_is_shown_called_and_pickled(ner, finished):
    assert repr(ner).startswith(f"Ner('{finished[0]}', step={ner.step}, types=['person', ")
    assert ner.__reduce__()[1] == (str(finished[0]), None, None, False)


@pytest.mark.slow
def test_threads_share_one(ner):
    """Eight threads, other words and labels each: what one alone would find."""
    given = [([f"Judge Ivan{i} came to Selqua{i} ."], ["person", f"type{i % 2}"]) for i in range(8)]
    expected = [places(ner.predict(*g)) for g in given]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert list(pool.map(lambda g: places(ner.predict(*g)), given)) == expected


@pytest.mark.slow
def test_info_says_how_much_was_read(ner):
    limit = ner.config.text.max_source
    texts = [TEXTS[0], "", "word " * 400, f"Rain in {'x1' * limit} fell.", "한국 ⵣ ދ ጳ ᚠ", "Ivan. " * limit]
    found = ner.predict(texts, info=True)
    assert [f["entities"] for f in found] == ner.predict(texts)
    plain, empty, windows, long, foreign, many = (f["info"] for f in found)
    assert (plain["sentences"], plain["windows"], plain["unread"]) == (1, 1, "")
    assert (empty["sentences"], empty["windows"], empty["unknown_pieces"], empty["unread"]) == (1, 0, 0, "")
    assert (windows["sentences"], windows["words_too_long"]) == (1, 0)
    assert windows["windows"] > 3
    assert (long["words_too_long"], long["unread"]) == (1, "1 word longer than an input")
    assert foreign["unknown_pieces"] > 0.2
    assert "of the pieces unknown to the vocabulary" in foreign["unread"]
    assert many["matching_shortened"] == 0
    ((word,),) = ([f["info"]] for f in ner.predict(words=[["Rain", "x1" * limit, "fell"]], info=True))
    assert (word["words_too_long"], word["unread"]) == (1, "1 word longer than an input")


@pytest.mark.slow
def test_other_labels(ner):
    (found,) = ner.predict(TEXTS[:1], labels=["ship", "harbour"])
    assert {e["label"] for e in found} <= {"ship", "harbour"}
    with pytest.raises(UserError, match="labels is empty"):
        ner.predict(TEXTS[:1], labels=[])
