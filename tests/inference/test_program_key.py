"""What a program is made of is described whole, or not at all."""

from __future__ import annotations

import dataclasses
import functools
import json

import jax.numpy as jnp
import numpy as np
import pytest

from toner_jax.decoding.automaton import initial_state
from toner_jax.decoding.entity_list import EntityList
from toner_jax.decoding.speculative import SpeculativeOptions
from toner_jax.inference.constrained import _Given
from toner_jax.inference.embedding import embed
from toner_jax.inference.program_key import UnknownCodeError, described
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.model import Bert

CONFIG = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
MODEL = Bert(CONFIG)
OPTIONS = SpeculativeOptions(tokens_per_pass=4, slots=8, length=16, rows=2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, 1.0),
        (1, True),
        ("1", 1),
        (None, "None"),
        ((1, 2), (2, 1)),
        ((1, (2, 3)), (1, 2, 3)),
        ([1], (1,)),
        ({"a": 1}, {"a": 2}),
        (np.dtype("float32"), np.dtype("float64")),
        (jnp.float32, jnp.bfloat16),
        (jnp.dtype("bfloat16"), jnp.dtype("float16")),
        (embed, initial_state),
        (EntityList, CONFIG.__class__),
        (OPTIONS, dataclasses.replace(OPTIONS, unroll=True)),
        (OPTIONS, dataclasses.replace(OPTIONS, start_id=1)),
        (functools.partial(embed, MODEL), functools.partial(embed, MODEL, deterministic=False)),
        (MODEL, Bert(dataclasses.replace(CONFIG, num_attention_heads=4))),
        (_Given(1.0, 2), (1.0, 2)),
    ],
)
def test_what_differs_is_described_otherwise(one, other):
    assert json.dumps(described(one)) != json.dumps(described(other))


def test_what_is_equal_is_described_alike():
    for made_twice in (
        lambda: MODEL.clone(),
        lambda: dataclasses.replace(OPTIONS),
        lambda: (jnp.float32, embed),
    ):
        assert described(made_twice()) == described(made_twice())


def nested():
    def inner(x):
        return x

    return inner


class Own:
    """A function's object that holds what nobody sees."""

    def __call__(self, x):
        return x


@pytest.mark.parametrize(
    "code", [nested(), lambda x: x, Own(), Own, nested, np.zeros(2), object(), functools.partial(nested())]
)
def test_code_that_nothing_tells_the_version_of_is_not_described(code):
    with pytest.raises(UnknownCodeError):
        described(code)
