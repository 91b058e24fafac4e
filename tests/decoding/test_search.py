"""Greedy search against a plain loop over a random table of next-token scores."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fakes import StepDecoder, sources

from toner_jax.decoding.search import ForcedPrefix, SearchOptions, greedy

VOCABULARY, ROWS = 9, 6


def table(seed: int, eos_id: int, eos_bonus: float) -> np.ndarray:
    """scores[row, state, last token] → [V]; the state is the number of tokens seen, modulo 5."""
    scores = np.random.default_rng(seed).normal(0, 2, (ROWS, 5, VOCABULARY, VOCABULARY))
    scores[..., 0] = -30  # a padding token is never the best
    scores[..., eos_id] += eos_bonus
    return scores


def plain_loop(
    scores: np.ndarray, max_length: int, eos_id: int, start_id: int
) -> tuple[np.ndarray, np.ndarray]:
    """Row by row, in float64."""
    tokens, log_probabilities = np.zeros((ROWS, max_length), int), np.zeros((ROWS, max_length))
    for row in range(ROWS):
        last = start_id
        for t in range(max_length):
            row_scores = scores[row, t % 5, last]
            last = max(range(VOCABULARY), key=lambda v: row_scores[v])
            tokens[row, t] = last
            log_probabilities[row, t] = row_scores[last] - math.log(sum(math.exp(s) for s in row_scores))
            if last == eos_id:
                break
    return tokens, log_probabilities


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def search(cache, max_length, eos_id, start_id):
    def step(tokens, cache):
        assert tokens.shape == (ROWS, 1)
        assert tokens.dtype == jnp.int32
        logits = cache["table"][jnp.arange(ROWS), cache["calls"] % 5, tokens[:, 0]]
        return logits[:, None], dict(cache, calls=cache["calls"] + 1)

    return greedy(StepDecoder(step, cache), sources(ROWS), SearchOptions(max_length, eos_id, start_id))


def run(scores: np.ndarray, max_length: int, eos_id: int, start_id: int):
    """The same table as a step function, whose cache counts the calls."""
    cache = {"calls": jnp.zeros((), jnp.int32), "table": jnp.asarray(scores, jnp.float32)}
    return search(cache, max_length, eos_id, start_id)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("eos_bonus", "eos_id", "start_id"), [(0.0, 1, 0), (2.0, 1, 0), (2.0, 4, 3)])
def test_greedy_is_the_plain_loop(seed, eos_bonus, eos_id, start_id):
    scores = table(seed, eos_id, eos_bonus)
    expected_tokens, expected_scores = plain_loop(scores, 16, eos_id, start_id)
    tokens, found = run(scores, 16, eos_id, start_id)
    assert (tokens.dtype, found.dtype) == (jnp.int32, jnp.float32)
    np.testing.assert_array_equal(tokens, expected_tokens)
    np.testing.assert_allclose(found, expected_scores, atol=1e-5)


def test_the_plain_loop_ends_some_rows_early_and_others_never():
    """Else the comparison above would not have tried both."""
    ended = plain_loop(table(0, 1, 0.0), 16, 1, 0)[0] == 1
    assert 0 < ended.any(axis=1).sum() < ROWS
    assert not ended[:, -1].all()


@pytest.mark.parametrize("max_length", [1, 3])
def test_max_length_cuts(max_length):
    scores = table(1, 1, -50.0)  # no row ever ends
    tokens, found = run(scores, max_length, 1, 0)
    assert tokens.shape == found.shape == (ROWS, max_length)
    assert (np.asarray(tokens) > 1).all()
    np.testing.assert_array_equal(tokens, plain_loop(scores, 16, 1, 0)[0][:, :max_length])


def test_the_search_stops_when_every_row_has_ended():
    """The model runs no more often than the longest row needs."""
    calls: list[int] = []

    def step(tokens, cache):
        jax.debug.callback(lambda: calls.append(1))
        # Row r ends at its (r + 1)-th token.
        ends = cache == jnp.arange(4)
        return jnp.where(ends[:, None], jnp.array([0.0, 5.0, 1.0]), jnp.array([0.0, 1.0, 5.0]))[
            :, None
        ], cache + 1

    tokens, scores = greedy(StepDecoder(step, jnp.zeros((), jnp.int32)), sources(4), SearchOptions(50))
    jax.block_until_ready(tokens)
    jax.effects_barrier()
    assert len(calls) == 4
    assert tokens[:, :5].tolist() == [[1, 0, 0, 0, 0], [2, 1, 0, 0, 0], [2, 2, 1, 0, 0], [2, 2, 2, 1, 0]]
    assert not np.asarray(tokens)[:, 5:].any()
    np.testing.assert_array_equal(np.asarray(scores) != 0, np.asarray(tokens) != 0)


@pytest.mark.parametrize("lengths", [(1, 2, 3, 1), (3, 3, 3, 3)])
def test_going_on_after_a_forced_prefix(lengths):
    """What is written after the first tokens of an output is the rest of it; the cache is as if a token had been
    fed at a time."""
    rng = np.random.default_rng(3)
    table = rng.normal(size=(ROWS, 40, VOCABULARY, VOCABULARY)).astype(np.float32)
    table[..., 1] -= 2.0  # the end comes late
    rows = jnp.arange(ROWS)[:, None]

    def step(tokens, index):
        here = index[:, None] + jnp.arange(tokens.shape[1])
        return jnp.asarray(table)[rows, here, tokens], index + tokens.shape[1]

    def rewind(index, taken, accepted):
        return index - taken + accepted

    decoder = StepDecoder(step, jnp.zeros(ROWS, jnp.int32), rewind)
    whole, scores = greedy(decoder, sources(ROWS), SearchOptions(20))
    kept = np.resize(lengths, ROWS)
    assert (np.asarray(whole)[np.arange(ROWS), kept] != 0).all()  # none has ended by then
    prefix = ForcedPrefix(whole[:, :3], jnp.asarray(kept))
    rest, rest_scores = greedy(decoder, sources(ROWS), SearchOptions(20), prefix=prefix)
    for row, n in enumerate(kept):
        np.testing.assert_array_equal(rest[row, : 20 - n], whole[row, n:])
        np.testing.assert_allclose(rest_scores[row, : 20 - n], scores[row, n:], atol=1e-6)
