"""Beam search against a plain beam in Python over a random table; tests/models/test_beam_parity.py compares it
with transformers."""

from __future__ import annotations

import functools
import heapq

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fakes import StepDecoder, sources

from toner_jax.config import base
from toner_jax.decoding.search import SearchOptions, beam
from toner_jax.errors import UserError
from toner_jax.validation import validate

pytestmark = pytest.mark.slow

VOCABULARY, ROWS = 9, 12


def table(seed: int, eos_bonus: float = 1.0) -> np.ndarray:
    """log-probabilities[row, state, next token]; the state is the sum of the tokens before it, modulo 7, so
    that a hypothesis' scores depend on all of it."""
    scores = np.random.default_rng(seed).normal(0, 1, (ROWS, 7, VOCABULARY))
    scores[..., 0] = -30  # a padding token is never the best
    scores[..., 1] += eos_bonus
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def plain_beam(scores: np.ndarray, beams: int, limit: int, penalty: float):
    """(score, tokens, whether the limit had no part in it) of one row's table."""
    running: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    kept: list[tuple[float, tuple[int, ...]]] = []
    for length in range(1, limit + 1):
        extended = [
            (total + scores[sum(tokens) % 7, v], (*tokens, v))
            for total, tokens in running
            for v in range(VOCABULARY)
        ]
        running = []
        for place, (total, tokens) in enumerate(heapq.nlargest(2 * beams, extended)):
            if tokens[-1] != 1 and length < limit:
                running.append((total, tokens))
            elif place < beams:
                kept.append((total / length**penalty, tokens))
        running, kept = running[:beams], heapq.nlargest(beams, kept)
        if length < limit and len(kept) == beams and running[0][0] / length**penalty <= kept[-1][0]:
            return *kept[0], True
    return *kept[0], False


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def search(scores: jax.Array, beams: int, limit: int, penalty: float):
    """The table as a model: its cache holds the sum of all that each hypothesis was given."""

    def step(tokens, total):
        assert tokens.shape == (ROWS * beams, 1)
        assert tokens.dtype == jnp.int32
        total = total + tokens[:, 0]
        return scores[jnp.arange(ROWS * beams) // beams, total % 7][:, None], total

    cache = jnp.zeros((ROWS * beams,), jnp.int32)
    options = SearchOptions(limit, beams=beams, length_penalty=penalty)
    return beam(StepDecoder(step, cache), sources(ROWS), options)


@pytest.mark.parametrize(
    ("beams", "limit", "penalty"),
    [(1, 12, 1.0), *((4, 12, p) for p in (1.0, 0.0, 2.0, -0.5)), (2, 3, 1.0), (2, 1, 1.0)],
)
def test_beam_is_the_plain_beam(beams, limit, penalty):
    scores = table(beams)
    found = search(jnp.asarray(scores, jnp.float32), beams, limit, penalty)
    for row in range(ROWS):
        score, tokens, complete = plain_beam(scores[row], beams, limit, penalty)
        assert found.tokens[row].tolist() == [*tokens, *(0,) * (limit - len(tokens))]
        assert float(found.score[row]) == pytest.approx(score, rel=1e-5)
        assert bool(found.complete[row]) == complete
        steps = [scores[row, sum(tokens[:i]) % 7, v] for i, v in enumerate(tokens)]
        np.testing.assert_allclose(found.scores[row, : len(tokens)], steps, atol=1e-5)
        assert not np.asarray(found.scores[row, len(tokens) :]).any()


def test_the_table_tells_beams_from_greedy_and_limits_from_ends():
    """Else the comparison above would not have tried them."""
    scores = jnp.asarray(table(4), jnp.float32)
    found = [search(scores, n, 12, 1.0) for n in (1, 4)]
    assert (found[0].tokens != found[1].tokens).any(axis=1).sum() >= 3
    assert (found[1].score >= found[0].score - 1e-5).all()
    assert 0 < search(scores, 4, 12, 2.0).complete.sum() < ROWS


def test_complete_hypotheses_are_those_of_a_longer_limit():
    scores = jnp.asarray(table(5, eos_bonus=0.0), jnp.float32)
    short, long = (search(scores, 4, limit, 1.0) for limit in (12, 40))
    complete = np.asarray(short.complete)
    assert 0 < complete.sum() < ROWS
    np.testing.assert_array_equal(short.tokens[complete], long.tokens[complete, :12])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("beam_size", 0, "decode.beam_size=0: must be above 0"),
        ("beam_size", 4, "beams are for free decoding; set decode.grammar=False"),
        ("grammar", False, "decode.flat=True: needs the grammar"),
        ("length_penalty", float("nan"), "decode.length_penalty=nan: must be a finite number"),
    ],
)
def test_options_that_cannot_be(key, value, message):
    config = base()
    config.decode.flat = key == "grammar"
    config.decode[key] = value
    with pytest.raises(UserError, match=message):
        validate(config)
