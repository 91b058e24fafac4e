"""What a calibration temperature does to scores, and a threshold to what was recognized."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest

from toner_jax.config import base
from toner_jax.config_keys import override
from toner_jax.decoding.search import SearchOptions
from toner_jax.errors import UserError
from toner_jax.inference import free
from toner_jax.schema import Entity
from toner_jax.tasks.recognized import Recognized, Score
from toner_jax.validation import validate

ANN, BO, ANN_AGAIN = Entity(0, 1, "person"), Entity(1, 2, "place"), Entity(4, 5, "person")
SURE, HALF, UNSURE = Score(1.0, 0.9), Score(0.5, 1.0), Score(0.5, 0.4)

FOUND = Recognized(
    (ANN, BO, ANN_AGAIN),
    (SURE, HALF, UNSURE),
    {("person", "Ann"): SURE, ("place", "Bo"): HALF, ("place", "Mars"): UNSURE},
    "[…]",
    Counter(duplicate=2),
)


@pytest.mark.parametrize(
    ("threshold", "entities", "items", "dropped"),
    [
        (0.0, [ANN, BO, ANN_AGAIN], ["Ann", "Bo", "Mars"], {"duplicate": 2}),
        (0.21, [ANN, BO], ["Ann", "Bo"], {"duplicate": 2, "below_threshold": 1}),
        (0.5, [ANN, BO], ["Ann", "Bo"], {"duplicate": 2, "below_threshold": 1}),
        (0.9, [ANN], ["Ann"], {"duplicate": 2, "below_threshold": 2}),
        (0.91, [], [], {"duplicate": 2, "below_threshold": 3}),
    ],
)
def test_what_is_below_the_threshold_is_left_out_and_counted(threshold, entities, items, dropped):
    kept = FOUND.above(threshold)
    assert list(kept.entities) == entities
    assert list(kept.scores) == list(FOUND.scores[: len(entities)])
    assert [string for _, string in kept.items] == items
    assert dict(kept.dropped) == dropped
    assert kept.output == FOUND.output


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("threshold", "1.5"),
        ("threshold", "-0.1"),
        ("calibration_temperature", "-1"),
        ("calibration_temperature", "1e999"),
    ],
)
def test_settings_out_of_range_are_refused(key, value):
    config = base()
    config.stages = ()
    override(config, f"decode.{key}", value)
    with pytest.raises(UserError, match=rf"^decode\.{key}="):
        validate(config)


@dataclass(frozen=True, eq=False)
class _Table:
    """A decoder that scores four tokens the same at every step, but ends at the third."""

    params: None
    width: int = 1

    logits: ClassVar = np.array(
        [[0.0, 0.0, 3.0, 1.0], [0.0, 0.0, 3.0, 1.0], [0.0, 2.0, 1.0, 0.0]], np.float32
    )

    def prepared(self):
        return self

    def encode(self, ids, candidates=None):
        return ids

    def init_cache(self, rows, slots):
        return jnp.zeros(rows, jnp.int32)

    def step(self, tokens, source, cache):
        return jnp.asarray(self.logits)[cache][:, None, :], cache + 1


@pytest.mark.parametrize("calibration_temperature", [0.5, 1.0, 2.0])
def test_free_decoding_divides_logits_by_the_temperature(calibration_temperature):
    source = jnp.zeros((1, 3), jnp.int32)
    tokens, scores, _ = free._search(
        _Table, False, None, jnp.asarray(calibration_temperature), (source, None), SearchOptions(max_length=5)
    )
    assert tokens.tolist() == [[2, 2, 1, 0, 0]]
    scaled = np.exp(_Table.logits / calibration_temperature)
    expected = np.log(scaled.max(axis=1) / scaled.sum(axis=1))
    np.testing.assert_allclose(scores[0], [*expected, 0, 0], rtol=1e-5)
