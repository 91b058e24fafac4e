"""Scores are probabilities, whatever rounding does to their logarithms."""

import numpy as np
import pytest

from toner_jax.tasks.output import probability
from toner_jax.tasks.reading import Spelled


@pytest.mark.parametrize(("logarithm", "value"), [(0.0, 1.0), (1e-6, 1.0), (-0.0, 1.0), (-np.inf, 0.0)])
def test_a_logarithm_that_rounding_has_put_above_zero_is_certainty(logarithm, value):
    assert probability(logarithm) == value
    spelled = Spelled("ab", np.array([0, 1]), np.array([1, 2]), np.array([logarithm, 0.0], np.float32))
    assert spelled.probability(0, 2) == value


def test_tokens_that_spell_other_characters_do_not_count():
    halves = np.log(np.array([0.5, 0.25, 0.125], np.float32))
    spelled = Spelled("abc", np.arange(3), np.arange(1, 4), halves)
    assert spelled.probability(0, 2) == pytest.approx(0.125)
    assert spelled.probability(2, 3) == pytest.approx(0.125)
    assert spelled.probability(1, 1) == 1.0
