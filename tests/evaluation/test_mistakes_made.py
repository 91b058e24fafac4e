"""Confusions and the surest mistakes, by hand."""

from hand_made import GOLD, L, P, W, sentence, spans

from toner_jax.evaluation.evaluated import Evaluated
from toner_jax.evaluation.mistakes import surest_mistakes, type_confusions
from toner_jax.tasks.recognized import Recognized, Score

SENTENCES = [
    *GOLD,
    sentence("The Old Man and the Sea", (0, 6, W)),
    sentence("Lima", (0, 1, L)),
]
FOUND = [
    [((0, 2, P), 0.99), ((3, 4, P), 0.6)],  # Paris, a location
    [((0, 1, W), 0.8)],  # spurious
    [((2, 3, L), 0.9)],  # right; Rome is missed
    [((1, 3, P), 0.7)],  # part of the work, and another type
    [((0, 1, P), 0.6), ((0, 1, W), 0.1)],  # one is paired with the location, the other is below the threshold
]


def evaluated(threshold: float = 0.2) -> Evaluated:
    found = [
        Recognized(spans(*(e for e, _ in row)), tuple(Score(s, 1.0) for _, s in row), {}, "") for row in FOUND
    ]
    return Evaluated("test", SENTENCES, found, threshold=threshold)


def test_types_taken_for_each_other():
    assert type_confusions(evaluated()) == [
        {"gold": L, "predicted": P, "count": 2},
        {"gold": W, "predicted": P, "count": 1},
    ]


def test_the_surest_come_first_and_right_ones_not_at_all():
    found = surest_mistakes(evaluated())
    assert [(m["score"], m["kind"], m["predicted"]["text"], m["predicted"]["label"]) for m in found] == [
        (0.8, "spurious", "nothing", W),
        (0.7, "boundary_and_type", "Old Man", P),
        (0.6, "type", "Paris", P),
        (0.6, "type", "Lima", P),
    ]
    assert found[0]["gold"] is None
    assert found[1]["gold"] == {"start": 0, "end": 23, "text": "The Old Man and the Sea", "label": W}
    assert found[2]["text"] == "Ada Lovelace saw Paris ."
    assert [m["score"] for m in surest_mistakes(evaluated(), most=2)] == [0.8, 0.7]
    assert len(surest_mistakes(evaluated(threshold=0.0))) == 5


def test_a_split_without_mistakes():
    right = Evaluated("test", SENTENCES[1:2], [Recognized((), (), {}, "")])
    assert type_confusions(right) == []
    assert surest_mistakes(right) == []
