"""Kinds of errors, against hand-made tables."""

import pytest
from hand_made import L, P, W, sentence, spans

from toner_jax.evaluation.errors import error_classes


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        pytest.param([(0, 2, P)], [(0, 2, P)], {}, id="right"),
        pytest.param([(0, 2, P)], [(0, 1, P)], {"boundary": 1}, id="boundary"),
        pytest.param([(0, 2, P)], [(0, 2, L)], {"type": 1}, id="type"),
        pytest.param([(0, 2, P)], [(1, 3, L)], {"boundary_and_type": 1}, id="boundary and type"),
        pytest.param([(0, 2, P)], [(0, 3, L)], {"boundary_and_type": 1}, id="same start, other end and type"),
        pytest.param([(0, 2, P)], [(1, 2, L)], {"boundary_and_type": 1}, id="same end, other start and type"),
        pytest.param([], [(0, 2, P)], {"spurious": 1}, id="spurious"),
        pytest.param([(0, 2, P)], [], {"missed": 1}, id="missed"),
        pytest.param([(0, 2, P)], [(2, 4, P)], {"spurious": 1, "missed": 1}, id="adjacent is no overlap"),
        pytest.param([(0, 2, P)], [(0, 1, P), (0, 1, P)], {"boundary": 1}, id="repeated"),
        # An exact match accounts for its gold entity, so what lies inside it is on its own.
        pytest.param([(0, 4, W)], [(0, 4, W), (1, 2, L)], {"spurious": 1}, id="inside an exact match"),
        pytest.param([(0, 4, W), (1, 2, L)], [(0, 4, W)], {"missed": 1}, id="missed inside an exact match"),
        pytest.param([(0, 4, W), (1, 2, L)], [(0, 4, W), (1, 2, P)], {"type": 1}, id="nested type"),
        # One for one: a split entity leaves a prediction over, a merged one leaves a gold entity over.
        pytest.param([(0, 4, P)], [(0, 1, P), (2, 4, P)], {"boundary": 1, "spurious": 1}, id="split"),
        pytest.param([(0, 1, P), (2, 4, P)], [(0, 4, P)], {"boundary": 1, "missed": 1}, id="merged"),
        # The kinds are paired in order, whatever the overlap.
        pytest.param(
            [(0, 2, P), (1, 4, L)], [(1, 4, P)], {"boundary": 1, "missed": 1}, id="boundary before type"
        ),
        pytest.param([(0, 1, L), (0, 4, W)], [(0, 1, P)], {"type": 1, "missed": 1}, id="type before both"),
        # Within a kind the larger overlap goes first: "b c d" is paired with "a b c d" before "a" can be.
        pytest.param(
            [(0, 4, P), (3, 5, P)],
            [(1, 4, P), (0, 1, P)],
            {"boundary": 1, "spurious": 1, "missed": 1},
            id="larger overlap first",
        ),
        # Equal overlaps go from left to right: "a" takes "a b", which leaves "b c d" for "b".
        pytest.param([(0, 2, P), (1, 4, P)], [(1, 2, P), (0, 1, P)], {"boundary": 2}, id="equal overlaps"),
        pytest.param(
            [(0, 2, P), (2, 3, L), (4, 5, W)],
            [(0, 1, P), (2, 3, W), (5, 6, L)],
            {"boundary": 1, "type": 1, "spurious": 1, "missed": 1},
            id="several",
        ),
    ],
)
def test_error_classes(gold, predicted, expected):
    none = {"boundary": 0, "type": 0, "boundary_and_type": 0, "spurious": 0, "missed": 0}
    errors = error_classes([sentence("a b c d e f", *gold)], [spans(*predicted)])
    assert errors == none | expected
    assert list(errors) == list(none)


def test_error_classes_do_not_pair_across_sentences():
    gold = [sentence("a b", (0, 2, P)), sentence("a b")]
    errors = error_classes(gold, [spans(), spans((0, 1, P))])
    assert (errors["missed"], errors["spurious"], errors["boundary"]) == (1, 1, 0)
