"""Explanations to train on: files of them, the template, and the controls."""

import json

import pytest

from toner_jax.data.explanations import by_template, controlled, explanations_of, read_explanations
from toner_jax.errors import UserError
from toner_jax.schema import Entity, EntityType, Schema, make_sentence

SCHEMA = Schema("s", (EntityType("person", "Names of people."), EntityType("work of art", "")))


def sentence(id, text, *entities):
    return make_sentence(id, text.split(), [Entity(*e) for e in entities], SCHEMA)


TRAIN = [
    sentence("a", "Ada reads Hamlet", (0, 1, "person"), (2, 3, "work of art")),
    sentence("b", "nothing here"),
    sentence("c", "Bo ran", (0, 1, "person")),
    sentence("d", "Cy ran", (0, 1, "person")),
]
TEXTS = {
    "a": "'Ada' reads, as a person does; 'Hamlet' is a play, a work of art.",
    "c": "'Bo' is who ran.",
    "d": "It is 'Cy' that did.",
}


def file(path, *entries):
    path.write_text("".join(e if isinstance(e, str) else json.dumps(e) + "\n" for e in entries))
    return path


def test_a_template_says_what_the_schema_does():
    assert by_template(TRAIN[0], SCHEMA) == (
        "'Ada' is labeled as 'person': Names of people. 'Hamlet' is labeled as 'work of art'."
    )
    assert explanations_of("template", TRAIN, SCHEMA).keys() == {"a", "c", "d"}


def test_a_file_explains_the_sentences_it_names(tmp_path):
    entries = [{"id": k, "explanation": t, "model": "m"} for k, t in TEXTS.items()]
    path = file(
        tmp_path / "e.jsonl", *entries, "\n", {"id": "b", "explanation": "x"}, {"id": "z", "explanation": "y"}
    )
    assert explanations_of(str(path), TRAIN, SCHEMA) == TEXTS
    again = file(tmp_path / "f.jsonl", entries[0], entries[0])
    assert read_explanations(again) == {"a": TEXTS["a"]}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["no json\n"], ':1: no object with "id" and "explanation"'),
        ([{"id": "a", "explanation": "x"}, [1]], ":2: no object"),
        ([{"id": 3, "explanation": "x"}], ":1: id and explanation must be strings"),
        ([{"id": "a", "explanation": " "}], ":1: id and explanation must be strings, and say something"),
        (
            [{"id": "a", "explanation": "x"}, {"id": "a", "explanation": "y"}],
            ":2: another explanation of a",
        ),
        (
            [{"id": "other", "explanation": "x"}],
            "explains no sentence of train; ids are those of the data, as of 'a'",
        ),
        ([], "explains no sentence of train"),
    ],
)
def test_a_file_that_explains_nothing_is_told(entries, said, tmp_path):
    path = file(tmp_path / "e.jsonl", *entries)
    with pytest.raises(UserError) as error:
        explanations_of(str(path), TRAIN, SCHEMA)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_no_file():
    with pytest.raises(UserError, match=r"absent\.jsonl: cannot be read"):
        explanations_of("absent.jsonl", TRAIN, SCHEMA)


def test_controls():
    assert controlled(TEXTS, TRAIN, "", 0) == TEXTS
    for seed in range(5):
        shuffled = controlled(TEXTS, TRAIN, "shuffled", seed)
        assert sorted(shuffled.values()) == sorted(TEXTS.values())
        assert all(shuffled[key] != TEXTS[key] for key in TEXTS)
        assert shuffled == controlled(TEXTS, TRAIN, "shuffled", seed)
    assert controlled(TEXTS, TRAIN, "key_words", 0) == {
        "a": "Ada reads person Hamlet work of art",
        "c": "Bo ran",
        "d": "Cy",
    }
