"""Speculative decoding against a plain loop, one token at a time, over a table of pseudo-random scores."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chunks import word_ids

from toner_jax.decoding import continuous_batching
from toner_jax.decoding.compile import compile_grammar
from toner_jax.decoding.drafts import make_draft_plans
from toner_jax.decoding.speculative import SpeculativeOptions
from toner_jax.decoding.tape import DraftPlan, Tape, TapeLayout, lay_out, make_tapes, type_pieces
from toner_jax.tasks.grammar import Grammar, entity_list

TYPES = ("cell", "cell_type", "gene")
WORDS = ["Ab", "abc", "abcd", "x", "),", "(", "cell", "Gene", "p53", "of"]
VOCABULARY, POSITIONS = 64, 64


@dataclass
class Case:
    grammar: Grammar
    tape: Tape
    table: np.ndarray  # [N, POSITIONS, VOCABULARY, VOCABULARY]: scores after a token at a position
    budget: int

    @property
    def layout(self) -> TapeLayout:
        return lay_out(self.grammar)


@functools.cache
def case(rows: int = 13, budget: int = 40, seed: int = 0) -> Case:
    ids, rng = word_ids(), np.random.default_rng(seed)
    texts = [tuple(rng.choice(WORDS, rng.integers(0, 9))) for _ in range(rows)]
    grammar = entity_list(ids, TYPES)
    tape, words = make_tapes(
        grammar, [[ids.word(w) for w in text] for text in texts], 20 + type_pieces(grammar)
    )
    likeliest = [-1, TYPES.index("gene"), 0, TYPES.index("cell_type")]
    tape = make_draft_plans(grammar, tape, words, texts, [likeliest[i % 4] for i in range(rows)])
    table = rng.normal(0, 2, (rows, POSITIONS, VOCABULARY, VOCABULARY)).astype(np.float32)
    table[..., [ids.symbols.first_item[0], ids.symbols.item_end[0]]] += 2  # several items a row
    return Case(grammar, tape, table, budget)


class TableSource(NamedTuple):
    number: jax.Array  # [B], which of the tables
    candidates: jax.Array


class TableCache(NamedTuple):
    length: jax.Array  # [B]
    fed: jax.Array  # [B, POSITIONS]


@dataclass(frozen=True, eq=False)
class TableDecoder:
    """The model is the table; its cache, like a transformer's, holds what was fed at which position."""

    table: jax.Array
    width: int = 1

    def encode(self, ids, candidates=None):
        return TableSource(ids[:, 0], candidates)

    def init_cache(self, rows, slots):
        return TableCache(jnp.zeros(rows, jnp.int32), jnp.zeros((rows, POSITIONS), jnp.int32))

    def step(self, tokens, source, cache):
        rows = jnp.arange(tokens.shape[0])[:, None]
        here = cache.length[:, None] + jnp.arange(tokens.shape[1])
        scores = self.table[source.number[:, None], here % POSITIONS, tokens % VOCABULARY]
        scores = jnp.take_along_axis(scores, source.candidates[:, None] % VOCABULARY, axis=-1)
        return scores, TableCache(here[:, -1] + 1, cache.fed.at[rows, here].set(tokens, mode="drop"))

    def rewind(self, cache, taken, accepted):
        return cache._replace(length=cache.length - taken + accepted)

    def reset(self, cache, rows):
        return cache._replace(length=cache.length.at[rows].set(0, mode="drop"))

    def reorder(self, cache, rows):
        raise NotImplementedError


def decode(
    c: Case,
    tokens_per_pass: int,
    rows: int,
    slots: int,
    *,
    chunk: int = 1,
    calibration_temperature: float = 1.0,
    size=None,
):
    n = len(c.table)
    options = SpeculativeOptions(
        tokens_per_pass=tokens_per_pass, slots=slots, length=40, rows=rows, chunk=chunk
    )
    ids = np.arange(n, dtype=np.int32)[:, None]
    requests = continuous_batching.Requests(ids, c.tape, jnp.int32(n if size is None else size), c.budget)
    return _decode(c.grammar, options, c.table, requests, calibration_temperature)


@functools.partial(jax.jit, static_argnames=("grammar", "options", "calibration_temperature"))
def _decode(grammar, options, table, requests, calibration_temperature):
    automaton = compile_grammar(grammar)
    return continuous_batching.decode(
        TableDecoder(table), automaton, requests, options, calibration_temperature
    )


@functools.cache
def plain(rows: int = 13, budget: int = 40) -> tuple[np.ndarray, ...]:
    """Tokens, log-probabilities, those of ending, and spans, one row and one token at a time; and whether each row was
    cut."""
    c = case(rows, budget)
    automaton = compile_grammar(c.grammar)
    advance = jax.jit(automaton.advance)
    tokens = np.zeros((rows, 40), int)
    scores, ending = np.zeros((rows, 40)), np.zeros((rows, 40))
    spans, cut = np.full((rows, 40, 3), -1), np.zeros(rows, bool)
    for row in range(rows):
        tape = jax.tree.map(lambda leaf, row=row: jnp.asarray(leaf[row : row + 1]), c.tape)
        state, last, at = automaton.initial(tape), 0, 0
        candidate_at = np.asarray(tape.candidate)[0]
        ends = {int(candidate_at[c.layout.another[0]]), int(candidate_at[c.layout.last[0]])}
        while np.asarray(state.allowed).any() and at < budget:
            allowed = sorted({int(s) for s in candidate_at[np.asarray(state.allowed)[0]]})
            after = c.table[row, at, last % VOCABULARY].astype(np.float64)
            score = {s: after[int(tape.candidates[0, s]) % VOCABULARY] for s in allowed}
            best = max(score, key=lambda s: score[s])
            total = np.log(sum(np.exp(v) for v in score.values()))
            before, state = state, advance(tape, state, jnp.array([best]))
            ended = int(state.items[0]) > int(before.items[0])
            last = tokens[row, at] = int(tape.candidates[0, best])
            scores[row, at] = score[best] - total
            if ended:
                ending[row, at] = np.log(sum(np.exp(v) for s, v in score.items() if s in ends)) - total
                spans[row, at] = int(state.start[0]), int(state.end[0]), int(state.last_type[0])
            at += 1
        cut[row] = np.asarray(state.allowed).any()
    return tokens, scores, ending, spans, cut


@pytest.mark.parametrize(
    ("requests", "tokens_per_pass", "rows", "chunk"),
    [
        (13, 7, 13, 0),
        *(
            pytest.param(*p, marks=pytest.mark.slow)
            for p in ((13, 1, 13, 0), (12, 4, 5, 3), (12, 4, 1, 6), (12, 4, 2, 12))
        ),
    ],
)
def test_passes_of_several_tokens_write_what_one_token_at_a_time_does(requests, tokens_per_pass, rows, chunk):
    c = case(requests)
    out = decode(c, tokens_per_pass, rows, slots=tokens_per_pass * 40, chunk=chunk)
    tokens, scores, ending, spans, cut = plain(requests)
    assert np.asarray(out.complete).all()
    np.testing.assert_array_equal(out.tokens, tokens)
    np.testing.assert_allclose(out.scores, scores, atol=2e-5)
    np.testing.assert_allclose(out.ending, ending, atol=2e-5)
    np.testing.assert_array_equal(out.spans, spans)
    np.testing.assert_array_equal(out.truncated, cut)


def test_the_case_has_something_to_compare():
    tokens, scores, _, spans, _ = plain()
    lengths = (tokens > 0).sum(axis=1)
    assert lengths.min() < 8 < 25 < lengths.max()
    assert (spans[..., 0] >= 0).sum() > 10
    assert ((scores < 0) & (tokens > 0)).sum() > 50  # choices
    assert ((scores == 0) & (tokens > 0)).sum() > 50  # forced


@pytest.mark.slow
def test_larger_blocks_take_fewer_passes():
    c = case()
    one, seven = (int(decode(c, b, 13, slots=b * 40).passes) for b in (1, 7))
    assert one == (plain()[0] > 0).sum(axis=1).max()
    assert one > 1.5 * seven


@pytest.mark.slow
def test_rows_that_need_more_passes_than_slots_are_said_to_be_incomplete():
    c = case()
    whole = decode(c, 4, 5, slots=160)
    out = decode(c, 4, 5, slots=16)
    complete = np.asarray(out.complete)
    assert 0 < complete.sum() < len(complete)
    np.testing.assert_array_equal(np.asarray(out.tokens)[complete], np.asarray(whole.tokens)[complete])
    with pytest.raises(ValueError, match="slots"):
        decode(c, 4, 5, slots=18)
    with pytest.raises(ValueError, match="13 requests are no multiple of the chunk, 5"):
        decode(c, 4, 5, slots=16, chunk=5)


@pytest.mark.parametrize("budget", [1, 2, 3, 7, 12, 25])
@pytest.mark.parametrize("tokens_per_pass", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_an_output_is_cut_where_its_budget_ends(budget, tokens_per_pass):
    """Up to there nothing differs, scores and items included; what ends exactly there is whole."""
    whole = decode(case(), tokens_per_pass, 5, slots=160)
    out = decode(case(budget=budget), tokens_per_pass, 5, slots=160)
    lengths = (np.asarray(whole.tokens) > 0).sum(axis=1)
    assert np.asarray(out.complete).all()
    np.testing.assert_array_equal(out.truncated, lengths > budget)
    for field, nothing in (("tokens", 0), ("scores", 0), ("ending", 0), ("spans", -1)):
        expected = np.array(getattr(whole, field))
        expected[:, budget:] = nothing
        np.testing.assert_array_equal(getattr(out, field), expected, err_msg=field)


def test_the_budgets_cut_some_outputs_and_not_others():
    """Else the test above would not have tried them; one output ends where a budget does."""
    lengths = (plain()[0] > 0).sum(axis=1)
    assert all((lengths > budget).any() for budget in (3, 7, 12, 25))
    assert all((lengths <= budget).any() for budget in (3, 7, 12, 25))
    assert (lengths == 3).any()


def test_hints_change_no_output():
    c = case()
    p = c.tape.candidate.shape[1]
    rng = np.random.default_rng(5)
    draft_plan = DraftPlan(
        rng.integers(-1, p, c.tape.candidate.shape, np.int32),
        rng.random(c.tape.candidate.shape) < 0.5,
        rng.integers(-1, p, 13, np.int32),
    )
    out = decode(replace(c, tape=c.tape._replace(draft_plan=draft_plan)), 4, 5, slots=160)
    np.testing.assert_array_equal(out.tokens, plain()[0])


@pytest.mark.slow
def test_temperature_changes_probabilities_alone():
    c = case()
    hot = decode(c, 4, 5, 160, calibration_temperature=2.0)
    tokens, scores, *_ = plain()
    np.testing.assert_array_equal(hot.tokens, tokens)
    assert scores.sum() > float(hot.scores.sum())


@pytest.mark.parametrize("count", [0, 3, 9])
def test_rows_past_the_count_cost_nothing(count):
    c = case()
    out = decode(c, 4, 5, slots=160, size=count)
    np.testing.assert_array_equal(out.tokens[:count], plain()[0][:count])
    assert not np.asarray(out.tokens[count:]).any()
    assert np.asarray(out.complete).tolist() == [True] * count + [False] * (13 - count)
    assert (int(out.passes) == 0) == (count == 0)
