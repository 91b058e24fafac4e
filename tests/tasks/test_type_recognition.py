"""Types alone: what is asked, what is taught, and how whatever is written is read."""

from __future__ import annotations

import math

import numpy as np
import pytest

from toner_jax.schema import Entity, EntityType, Schema, make_sentence
from toner_jax.tasks.output import Output, WrittenSpan
from toner_jax.tasks.type_recognition import TypeRecognition
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece

SCHEMA = Schema("s", tuple(map(EntityType, ("person", "organization", "cell_type", "work of art"))))


@pytest.fixture(scope="module")
def task(shared):
    return TypeRecognition(WordIds(load_sentencepiece(shared / "t5_vocab", "hf")), SCHEMA)


def test_the_prompt_never_has_a_hint(task):
    for matched in (None, [], ["person"]):
        assert task.word_ids.decode(task.prompt(("Al", "sang"), matched).ids) == (
            "List all entity types in the text from type [person, organization, cell_type, work of art] Text: Al sang"
        )


def test_the_target_lists_the_types_in_schema_order(task):
    spans = [Entity(0, 1, "work of art"), Entity(1, 2, "person"), Entity(0, 2, "work of art")]
    assert task.word_ids.decode(task.target(make_sentence("s", ["a", "b"], spans, SCHEMA))) == (
        "[person, work of art]"
    )
    assert task.word_ids.decode(task.target(make_sentence("e", ["a"], [], SCHEMA))) == "[]"


def test_under_the_grammar_the_scores_are_the_types(task):
    spans = (WrittenSpan(0, 0, "person", 0.5, 0.5), WrittenSpan(0, 0, "cell_type", 1.0, 0.75))
    ids = task.word_ids.type_list(["person", "cell_type"])
    found = task.read(("Al",), Output(list(ids), np.zeros(len(ids), np.float32), spans))
    assert found.types == {"person": 0.25, "cell_type": 0.75}
    assert found.entities == ()
    assert found.output == "[person, cell_type]"


@pytest.mark.parametrize(
    ("text", "names", "dropped"),
    [
        ("", [], {}),
        ("[]", [], {}),
        ("[ ]", [], {}),
        ("[person]", ["person"], {}),
        ("[person,  work of  art]", ["person", "work of art"], {}),
        ("[cell_type, person]", ["person", "cell_type"], {}),
        ("[person, ship]", ["person"], {"unknown_type": 1}),
        ("[person, person]", ["person"], {"duplicate": 1}),
        ("[person, , cell_type]", ["person", "cell_type"], {"malformed": 1}),
        ("[person, cell_ty", ["person"], {"truncated": 1}),
        ("[person, cell_type", ["person", "cell_type"], {}),
        ("[person,", ["person"], {"truncated": 1}),
        ("[person] [cell_type]", ["person"], {"malformed": 1}),
        ("person", [], {"malformed": 1}),
    ],
)
def test_whatever_is_written_freely(task, text, names, dropped):
    ids = list(task.word_ids.words(text.split())) if text else []
    found = task.read((), Output(ids, np.zeros(len(ids), np.float32)))
    assert list(found.types) == names
    assert dict(found.dropped) == dropped


def test_a_free_types_score_is_that_of_its_pieces(task):
    w = task.word_ids
    person, art = w.glued("person"), w.words(["work", "of", "art"])
    parts = [w.symbols.open, person, w.symbols.comma, art, w.symbols.close]
    scores = [math.log(p) for p, ids in zip((0.9, 0.5, 0.8, 0.25, 0.7), parts, strict=True) for _ in ids]
    ids = [i for part in parts for i in part]
    found = task.read((), Output(ids, np.array(scores, np.float32)))
    assert found.types == pytest.approx({"person": 0.5 ** len(person), "work of art": 0.25 ** len(art)})
