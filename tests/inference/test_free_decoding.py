"""Free decoding of a trained model, greedily and with beams."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest

from toner_jax.inference.free import FreeGenerator
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs import setup
from toner_jax.runs.recognizers import decode_options, make_programs
from toner_jax.runs.restore import restore
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.output import Input

TEXTS = (
    "Judge Ivan Borcalski married Professor Jaman in Selqua in 1973 .",
    "Rain .",
    "",
    "Émile ½ said no .",
)


@pytest.fixture(scope="module")
def decode(finished):
    """(inputs, beams) → outputs."""
    mesh = make_mesh(1)
    r = restore(finished[0], mesh)
    task = Entities(setup.generator_word_ids(r.config, r.tokenizers), r.schema)

    @functools.cache
    def generator(beams):
        options = replace(
            decode_options(r.config), batch_size=8, max_length=24, beam_size=beams, length_penalty=0.0
        )
        return FreeGenerator(make_programs(r.generator, mesh), task, mesh, options)

    return lambda inputs, beams: generator(beams)(r.generator_params, inputs)


@pytest.mark.slow
def test_beams_of_different_rows_do_not_mix(decode):
    inputs = [Input(text.split(), ("person",)) for text in TEXTS]
    together = decode(inputs, 4)
    for one, output in zip(inputs, together, strict=True):
        assert decode([one], 4)[0].tokens == output.tokens
        assert len(output.scores) == len(output.tokens)
        assert (output.scores <= 0).all()


@pytest.mark.slow
def test_beams_find_likelier_outputs_than_greedy_search(decode):
    inputs = [Input(text.split(), ("person",)) for text in TEXTS]
    greedy, beams = decode(inputs, 1), decode(inputs, 4)
    assert [o.tokens for o in greedy] != [o.tokens for o in beams]
    assert sum(o.scores.sum() for o in beams) > sum(o.scores.sum() for o in greedy)
