"""What is asked, and which answers contradict the annotation."""

import pytest

from toner_jax.explaining.question import Question, Unusable
from toner_jax.schema import Entity, EntityType, Schema, make_sentence

SCHEMA = Schema(
    "s",
    (
        EntityType("person", "People."),
        EntityType("location"),
        EntityType("location group"),
        EntityType("date"),
    ),
)
WORDS = ["Ann", "Lee", "flew", "from", "Lima", "(", "Peru", ")", "to", "Lima"]
ENTITIES = (
    Entity(0, 2, "person"), Entity(4, 5, "location"), Entity(4, 8, "location group"), Entity(9, 10, "location"),
)  # fmt: skip
LIST = "[(person, Ann Lee), (location group, Lima ( Peru )), (location, Lima), (location, Lima)]"


def question(model: str = "m", entities=ENTITIES) -> Question:
    return Question(make_sentence("s0", WORDS, entities, SCHEMA), SCHEMA, model, 100)


def test_a_prompt():
    system, user = question().request["messages"]
    assert "Wellington" in system["content"]
    assert user["content"] == (
        "Types:\n- person: People.\n- location\n- location group\n"
        f"Text: Ann Lee flew from Lima ( Peru ) to Lima\nEntity: {LIST}\nExplanation:"
    )
    assert question().prompt_tokens > len(user["content"].split())


def test_a_key_is_of_the_prompt_and_the_model():
    other = Question(make_sentence("s1", WORDS, ENTITIES, SCHEMA), SCHEMA, "m", 100)
    assert question().key == other.key
    assert len({question().key, question("n").key, question(entities=ENTITIES[:2]).key}) == 3


@pytest.mark.parametrize(
    "explanation",
    [
        "'Ann Lee' is labeled as 'person' as she flies.\n'Lima' is labeled as 'location'.",
        "‘Lima ( Peru )’ was classified as a location group, and “Lima” is tagged as the location of it.",
        "She is a person.",
        "'Lee' is labeled as 'location' nowhere.",  # of a string that is no entity nothing is known
    ],
)
def test_explanations(explanation):
    answer = f"Entity: {LIST}\nExplanation: {explanation}\n"
    assert question().read(answer) == " ".join(explanation.split())
    reordered = "[(location, Lima), (person, Ann Lee), (location group, Lima (Peru))]"
    assert question().read(f" Entity:{reordered} Explanation: {explanation}") == " ".join(explanation.split())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "malformed"),
        ("Ann Lee is a person.", "malformed"),
        (f"Entity: {LIST}\nExplanation:  ", "malformed"),
        ("Explanation: she is a person", "malformed"),
        ("Entity: [(person, Ann Lee)]\nExplanation: one is missing", "contradicts"),
        (f"Entity: {LIST[:-1]}, (date, to)]\nExplanation: one too many", "contradicts"),
        (f"Entity: {LIST.replace('person', 'planet')}\nExplanation: no such type", "contradicts"),
        (f"Entity: {LIST.replace('person', 'date')}\nExplanation: another type", "contradicts"),
        (f"Entity: {LIST}\nExplanation: 'Ann Lee' is labeled as 'location'.", "contradicts"),
        (f"Entity: {LIST}\nExplanation: “Lima” is classified as a Person here", "contradicts"),
        (f"Entity: {LIST}\nExplanation: 'Ann Lee' is labeled as 'location group'.", "contradicts"),
    ],
)
def test_what_is_of_no_use(answer, reason):
    with pytest.raises(Unusable) as found:
        question().read(answer)
    assert found.value.reason == reason
