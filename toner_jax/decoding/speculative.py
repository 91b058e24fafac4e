"""Speculative decoding under a grammar: one pass of the model drafts, verifies and accepts several tokens a row.

A pass feeds Q tokens: the last one decided, and Q − 1 that are drafted. The model scores what may follow
each of them; drafts are accepted as long as each is what greedy decoding would have chosen, and the choice after the
last accepted one, the bonus token, comes for free. So the output is that of one token a pass, wherever the two best
scores differ by more than rounding, and whatever the format forces costs nothing. Where its budget ends an output is
cut: what is written up to there does not depend on the budget.

Shapes: N requests, B rows of the batch, Q tokens of a pass, P tape positions, U candidates of a row, T tokens of an
output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from toner_jax.decoding.automaton import Automaton, AutomatonState, first_true, value_at
from toner_jax.decoding.tape import Tape
from toner_jax.models.decoder import DecoderCache, EncodedSource, Seq2SeqDecoder

_LEAST = -1e30


@dataclass(frozen=True)
class SpeculativeOptions:
    """What a compiled program is made for.

    Attributes:
      tokens_per_pass: Q; 1 drafts nothing.
      slots: of the KV cache, a multiple of `tokens_per_pass`; a row may take slots // tokens_per_pass passes.
      length: T; no budget may pass it.
      rows: B, at most N. Where B is N all requests are decoded at once, and no row takes a second one.
      chunk: how many sources are encoded at a time, of which N is a multiple (0: `rows`).
      start_id: what the decoder is fed first.
      unroll: whether drafting is compiled as steps one after another: on CPU a loop is as fast, and compiles sooner.
    """

    tokens_per_pass: int
    slots: int
    length: int
    rows: int
    chunk: int = 0
    start_id: int = 0
    unroll: bool = False


# Values of `Outputs.outcome`; 0: waiting, being decoded, or dropped because the KV cache ran out of slots.
ENDED, CUT = 1, 2


class Outputs(NamedTuple):
    """What is written so far of N requests, in few arrays, as each takes time to write to.

    Attributes:
      tokens: int32 [N, T, 6]: the token, the bits of its score and of its ending, and its span; see `Decoded`.
      outcome: int32 [N], `ENDED`, or `CUT` where the budget ended first.
      passes: int32 [], how often the model was called.
    """

    tokens: jax.Array
    outcome: jax.Array
    passes: jax.Array


class ActiveRows(NamedTuple):
    """The B rows of the batch, each decoding one request. (They are what continuous batching calls slots; `slots` here
    are the KV cache's.)

    Attributes:
      request: int32 [B], which request each decodes; N for an idle row.
      source, tape: of these requests.
      state: the automaton's.
      token: int32 [B], the last one decided.
      written: int32 [B], tokens of the output so far.
      passes: int32 [B], passes that the row has taken for its request.
    """

    request: jax.Array
    source: EncodedSource
    tape: Tape
    state: AutomatonState
    token: jax.Array
    written: jax.Array
    passes: jax.Array


class Loop(NamedTuple):
    """What a pass is given, and gives back changed."""

    batch: ActiveRows
    cache: DecoderCache
    outputs: Outputs


class _Draft(NamedTuple):
    """The drafts of a pass, and the automaton's state after each of the Q tokens fed.

    Attributes:
      candidates: int32 [B, Q − 1], indices into the rows' candidates.
      allowed: bool [B, Q, P].
      numbers: int32 [B, Q, 7], the states' other fields, see `_numbers`.
    """

    candidates: jax.Array
    allowed: jax.Array
    numbers: jax.Array

    @property
    def states(self) -> AutomatonState:
        """Leaves [B, Q, …]."""
        return _state(self.allowed, self.numbers)


class _Verified(NamedTuple):
    """What the model says after each token of a pass.

    Attributes:
      scores: fp32 [B, Q, U], of each candidate, −∞ where the automaton does not allow it.
      top: fp32 [B, Q], the largest of them.
      total: fp32 [B, Q], the logarithm of the sum of their exponentials.
      chosen: int32 [B, Q], which candidate scores best.
    """

    scores: jax.Array
    top: jax.Array
    total: jax.Array
    chosen: jax.Array


class _Accepted(NamedTuple):
    """How far the drafts were right.

    Attributes:
      right: int32 [B], how many drafts are accepted; the bonus token is `chosen` at this index.
      decided: int32 [B], tokens that the pass writes: the accepted drafts, and the bonus token unless the output had
        ended; no more than the budget has left.
      state: the automaton's, after all of them, those past the budget too.
      outcome: int32 [B], as `Outputs.outcome`.
    """

    right: jax.Array
    decided: jax.Array
    state: AutomatonState
    outcome: jax.Array


@dataclass(frozen=True, eq=False)  # jax hashes what it traces; a decoder's parameters have no hash
class SpeculativePass:
    """One pass: draft, verify, accept.

    Attributes:
      calibration_temperature: fp32 [], divides the logits behind the scores.
      budget: int32 [], the most tokens of an output, its end of sequence included.
    """

    decoder: Seq2SeqDecoder
    automaton: Automaton
    calibration_temperature: jax.Array
    budget: jax.Array
    options: SpeculativeOptions

    def __call__(self, loop: Loop) -> Loop:
        batch, tokens_per_pass = loop.batch, self.options.tokens_per_pass
        draft = self._draft(batch)
        verified, cache = self._verify(batch, draft, loop.cache)
        accepted = self._accept(batch, draft, verified)
        outputs = self._write(loop.outputs, batch, draft, verified, accepted)
        finished = accepted.outcome > 0
        # A row whose next pass would overwrite a slot that it still attends to is dropped, with outcome 0.
        out_of_room = ~finished & ((batch.passes + 2) * tokens_per_pass > self.options.slots)
        idle = outputs.tokens.shape[0]
        chosen_tokens_BQ = jnp.take_along_axis(batch.tape.candidates, verified.chosen, axis=1)
        batch = batch._replace(
            request=jnp.where(finished | out_of_room, idle, batch.request),
            state=accepted.state,
            token=value_at(chosen_tokens_BQ, accepted.right),
            written=batch.written + accepted.decided,
            passes=batch.passes + 1,
        )
        # Kept: the last token and the accepted drafts. The bonus token is fed by the next pass.
        return Loop(batch, self.decoder.rewind(cache, tokens_per_pass, accepted.right + 1), outputs)

    def _draft(self, batch: ActiveRows) -> _Draft:
        """Q − 1 likely tokens of each row, as the automaton sees them before the model does."""
        automaton, tape = self.automaton, batch.tape

        def draft_one(state: AutomatonState, _: None) -> tuple[AutomatonState, tuple[jax.Array, ...]]:
            candidate = automaton.draft(tape, state)
            return automaton.advance(tape, state, candidate), (state.allowed, _numbers(state), candidate)

        end, (allowed_QBP, numbers_QB7, candidates_QB) = jax.lax.scan(
            draft_one, batch.state, None, length=self.options.tokens_per_pass - 1, unroll=self.options.unroll
        )
        return _Draft(
            candidates_QB.T,
            jnp.concatenate([allowed_QBP, end.allowed[None]]).swapaxes(0, 1),
            jnp.concatenate([numbers_QB7, _numbers(end)[None]]).swapaxes(0, 1),
        )

    def _verify(
        self, batch: ActiveRows, draft: _Draft, cache: DecoderCache
    ) -> tuple[_Verified, DecoderCache]:
        """Feeds the Q tokens to the model in one step; what greedy decoding would choose after each of them."""
        drafted_BQ = jnp.take_along_axis(batch.tape.candidates, draft.candidates, axis=1)
        tokens_BQ = jnp.concatenate([batch.token[:, None], drafted_BQ], axis=1)
        scores_BQU, cache = self.decoder.step(tokens_BQ, batch.source, cache)
        scores_BQU, top, total = _normalized(
            scores_BQU / self.calibration_temperature, batch.tape, draft.allowed
        )
        # No NaN is left, so some candidate has the largest score; after the end all have −∞, and `_accept` ignores it.
        return _Verified(scores_BQU, top, total, first_true(scores_BQU == top[..., None])), cache

    def _accept(self, batch: ActiveRows, draft: _Draft, verified: _Verified) -> _Accepted:
        """The drafts up to the first that the model would not have chosen, and the model's choice there."""
        # The last of the Q tokens has no draft after it: −2 is no candidate.
        draft_candidates_BQ = jnp.pad(draft.candidates, ((0, 0), (0, 1)), constant_values=-2)
        going_BQ = jnp.any(draft.allowed, axis=-1)  # whether the output had not ended
        right_BQ = jnp.cumprod((verified.chosen == draft_candidates_BQ) & going_BQ, axis=1)
        count = jnp.sum(right_BQ, axis=1)
        before = _state(value_at(draft.allowed, count), value_at(draft.numbers, count))
        after = self.automaton.advance(batch.tape, before, value_at(verified.chosen, count))
        decided, left = count + value_at(going_BQ, count), self.budget - batch.written
        ends, cut = ~jnp.any(after.allowed, axis=1) & (decided <= left), decided >= left
        outcome = jnp.where(ends, ENDED, jnp.where(cut, CUT, 0))
        return _Accepted(count, jnp.minimum(decided, left), after, outcome)

    def _write(
        self, outputs: Outputs, batch: ActiveRows, draft: _Draft, verified: _Verified, accepted: _Accepted
    ) -> Outputs:
        """The outputs with the decided tokens, their scores, and the items that they end."""
        n, states = outputs.tokens.shape[0], draft.states
        index_Q = jnp.arange(self.options.tokens_per_pass)
        at_end_BQ = index_Q == accepted.right[:, None]

        def after(old_BQ: jax.Array, new_B: jax.Array) -> jax.Array:
            """A field of the state after each chosen token: that before the next draft, and at `right` the new state's.
            What stands after it is never written."""
            return jnp.where(at_end_BQ, new_B[:, None], jnp.roll(old_BQ, -1, axis=1))

        new = accepted.state
        items, start, end, last_type = (
            after(states.items, new.items),
            after(states.start, new.start),
            after(states.end, new.end),
            after(states.last_type, new.last_type),
        )
        item_ends = items > states.items
        ending = jnp.where(
            item_ends, _end_score(verified.scores, batch.tape, self.automaton) - verified.total, 0.0
        )
        written = (
            jnp.take_along_axis(batch.tape.candidates, verified.chosen, axis=1),
            _bits(verified.top - verified.total),
            _bits(ending),
            *(jnp.where(item_ends, field, -1) for field in (start, end, last_type)),
        )
        # Writes to request N, which does not exist, are dropped: of tokens that were not decided, and of idle rows.
        request_BQ = jnp.where(index_Q < accepted.decided[:, None], batch.request[:, None], n)
        column_BQ = batch.written[:, None] + index_Q
        finished = accepted.outcome > 0
        return Outputs(
            outputs.tokens.at[request_BQ, column_BQ].set(jnp.stack(written, axis=-1), mode="drop"),
            outputs.outcome.at[jnp.where(finished, batch.request, n)].set(accepted.outcome, mode="drop"),
            outputs.passes + 1,
        )


_NUMBERS = tuple(name for name in AutomatonState._fields if name != "allowed")


def _numbers(state: AutomatonState) -> jax.Array:
    """All of a state [B, …] but what is allowed, int32 [B, …, 7]."""
    return jnp.stack([getattr(state, name) for name in _NUMBERS], axis=-1)


def _state(allowed: jax.Array, numbers: jax.Array) -> AutomatonState:
    """The inverse of `_numbers`."""
    return AutomatonState(allowed=allowed, **{name: numbers[..., i] for i, name in enumerate(_NUMBERS)})


def _normalized(
    scores_BQU: jax.Array, tape: Tape, allowed_BQP: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Scores [B, Q, U] with −∞ where nothing allows the token; the largest [B, Q] of each; and the logarithm
    [B, Q] of the sum of their exponentials."""
    b, q, u = scores_BQU.shape
    rows = jnp.arange(b)[:, None, None]
    candidate_BQP = jnp.where(allowed_BQP, tape.candidate[:, None, :], u)
    may_BQU = jnp.zeros((b, q, u), bool)
    may_BQU = may_BQU.at[rows, jnp.arange(q)[:, None], candidate_BQP].set(True, mode="drop")
    # NaN is the least of all, so that even then something allowed is chosen.
    scores_BQU = jnp.where(jnp.isnan(scores_BQU), _LEAST, scores_BQU.astype(jnp.float32))
    scores_BQU = jnp.where(may_BQU, scores_BQU, -jnp.inf)
    top_BQ = jnp.max(scores_BQU, axis=-1)
    above_BQU = jnp.where(may_BQU, jnp.exp(scores_BQU - top_BQ[..., None]), 0.0)
    return scores_BQU, top_BQ, top_BQ + jnp.log(jnp.sum(above_BQU, axis=-1))


def _bits(values: jax.Array) -> jax.Array:
    """fp32 as the int32 of the same bits."""
    return jax.lax.bitcast_convert_type(values, jnp.int32)


def _end_score(scores_BQU: jax.Array, tape: Tape, automaton: Automaton) -> jax.Array:
    """The log of the unnormalised probability [B, Q] that an item ends, by either symbol; once if they begin alike."""
    layout = automaton.layout
    another, last = tape.candidate[:, layout.another[0]], tape.candidate[:, layout.last[0]]

    def of(candidate_B: jax.Array) -> jax.Array:
        return jnp.take_along_axis(scores_BQU, candidate_B[:, None, None], axis=-1)[..., 0]

    return jnp.where((another == last)[:, None], of(last), jnp.logaddexp(of(another), of(last)))
