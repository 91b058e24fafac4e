"""Continuous batching: N requests through the B rows of a batch, in one compiled program.

A row whose request has finished admits a waiting one, so that all rows stay active until none waits. Sources are
encoded a chunk at a time, when their turn comes: only those of the active rows and of one chunk are held encoded,
however many requests there are.

Shapes: N requests, B rows, S source tokens, T tokens of an output, F requests that are encoded at once (a chunk).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from toner_jax.decoding.automaton import Automaton
from toner_jax.decoding.speculative import (
    CUT,
    ActiveRows,
    Loop,
    Outputs,
    SpeculativeOptions,
    SpeculativePass,
)
from toner_jax.decoding.tape import Tape
from toner_jax.models.decoder import DecoderCache, EncodedSource, Seq2SeqDecoder


class Requests(NamedTuple):
    """What is to be decoded.

    Attributes:
      ids: int32 [N, S], the sources, padded with 0.
      tape: of N rows.
      size: int32 [], how many of the N there are; those after them stay unwritten, at no cost.
      budget: int32 [], the most tokens of an output, its end of sequence included.
    """

    ids: jax.Array
    tape: Tape
    size: jax.Array | int
    budget: jax.Array | int


class Decoded(NamedTuple):
    """Outputs of N requests, of at most T tokens.

    Attributes:
      tokens: int32 [N, T], the end of sequence included, 0 after it.
      scores: fp32 [N, T], the log-probability of each among the tokens that the grammar allowed.
      ending: fp32 [N, T], at the token that ends an item the log-probability that it ends there, by either symbol; 0
        elsewhere.
      spans: int32 [N, T, 3]: at the token that ends an item its span's tape positions (half-open) and its
        type; −1 elsewhere.
      complete: bool [N]; False where the KV cache ran out of slots, and past `size`; a truncated output is complete.
      truncated: bool [N], whether the budget ended before the output did; its items are the first of what would be
        written without a budget.
      passes: int32 [], how often the model was called.
    """

    tokens: jax.Array
    scores: jax.Array
    ending: jax.Array
    spans: jax.Array
    complete: jax.Array
    truncated: jax.Array
    passes: jax.Array


def decode(
    decoder: Seq2SeqDecoder,
    automaton: Automaton,
    requests: Requests,
    options: SpeculativeOptions,
    calibration_temperature: jax.Array | float = 1.0,
) -> Decoded:
    """Decodes all requests by speculative decoding.

    Args:
      calibration_temperature: divides the logits behind the scores; which tokens are written does not depend on it.

    Raises:
      ValueError: slots that are no multiple of `tokens_per_pass`, or requests that are no multiple of `chunk`.
    """
    n, chunk = requests.ids.shape[0], options.chunk or options.rows
    if options.slots % options.tokens_per_pass:
        raise ValueError(
            f"{options.slots} slots are no multiple of tokens_per_pass, {options.tokens_per_pass}"
        )
    if options.rows < n and n % chunk:
        raise ValueError(f"{n} requests are no multiple of the chunk, {chunk}")
    one_pass = SpeculativePass(
        decoder,
        automaton,
        calibration_temperature=jnp.asarray(calibration_temperature, jnp.float32),
        budget=jnp.asarray(requests.budget, jnp.int32),
        options=options,
    )
    program = _Batching(one_pass, requests, chunk)
    cache = decoder.init_cache(options.rows, options.slots)
    nothing = jnp.array([0, 0, 0, -1, -1, -1], jnp.int32)
    outputs = Outputs(
        jnp.broadcast_to(nothing, (n, options.length, len(nothing))),
        jnp.zeros((n,), jnp.int32),
        jnp.zeros((), jnp.int32),
    )
    run = program.all_at_once if options.rows == n else program.continuously
    return _decoded(run(cache, outputs))


def _decoded(outputs: Outputs) -> Decoded:
    tokens, outcome = outputs.tokens, outputs.outcome
    score, ending = jax.lax.bitcast_convert_type(tokens[..., 1:3], jnp.float32).transpose(2, 0, 1)
    return Decoded(
        tokens[..., 0], score, ending, tokens[..., 3:], outcome > 0, outcome == CUT, outputs.passes
    )


class _Chunk(NamedTuple):
    """Encoded requests whose turn it is.

    Attributes:
      source, tape: of F requests.
      first, end: int32 [], the numbers of its requests, half-open; `end` is at most `Requests.size`.
    """

    source: EncodedSource
    tape: Tape
    first: jax.Array
    end: jax.Array


@dataclass(frozen=True, eq=False)
class _Batching:
    one_pass: SpeculativePass
    requests: Requests
    chunk: int

    @property
    def n(self) -> int:
        return self.requests.ids.shape[0]

    def all_at_once(self, cache: DecoderCache, outputs: Outputs) -> Outputs:
        """Every request in a row of its own."""
        requests = self.requests
        number = jnp.arange(self.n)
        source = self.one_pass.decoder.encode(requests.ids, requests.tape.candidates)
        batch = self._begin(jnp.where(number < requests.size, number, self.n), source, requests.tape)

        def going(loop: Loop) -> jax.Array:
            return jnp.any(loop.batch.request < self.n)

        return jax.lax.while_loop(going, self.one_pass, Loop(batch, cache, outputs)).outputs

    def continuously(self, cache: DecoderCache, outputs: Outputs) -> Outputs:
        """A chunk is encoded, decoding goes on until all its requests are admitted, then comes the next; after
        the last one decoding goes on until all have finished."""
        rows, zero = self.one_pass.options.rows, jnp.zeros((), jnp.int32)
        # What idle rows hold before they admit a request does not matter.
        like = jax.eval_shape(self._encode, zero)
        source, tape = jax.tree.map(
            lambda leaf: jnp.zeros((rows, *leaf.shape[1:]), leaf.dtype), (like.source, like.tape)
        )
        batch = self._begin(jnp.full((rows,), self.n), source, tape)

        def remaining(carry: tuple[jax.Array, Loop]) -> jax.Array:
            first, _ = carry
            return first < self.requests.size

        start = zero, Loop(batch, cache, outputs)
        return jax.lax.while_loop(remaining, self._decode_chunk, start)[1].outputs

    def _decode_chunk(self, carry: tuple[jax.Array, Loop]) -> tuple[jax.Array, Loop]:
        """Encodes the chunk that begins with request `first`, and decodes until none of it waits."""
        first, loop = carry
        chunk, count = self._encode(first), self.requests.size

        def going(carry: tuple[jax.Array, Loop]) -> jax.Array:
            waiting, loop = carry
            return (waiting < chunk.end) | ((chunk.end == count) & jnp.any(loop.batch.request < self.n))

        def can_admit(carry: tuple[jax.Array, Loop]) -> jax.Array:
            waiting, loop = carry
            return (waiting < chunk.end) & jnp.any(loop.batch.request >= self.n)

        def admit(carry: tuple[jax.Array, Loop]) -> tuple[jax.Array, Loop]:
            return self._admit(carry[0], chunk, carry[1])

        def decode_on(carry: tuple[jax.Array, Loop]) -> tuple[jax.Array, Loop]:
            waiting, loop = jax.lax.while_loop(can_admit, admit, carry)
            return waiting, self.one_pass(loop)

        _, loop = jax.lax.while_loop(going, decode_on, (first, loop))
        return first + self.chunk, loop

    def _encode(self, first: jax.Array) -> _Chunk:
        """The chunk of requests from number `first` on."""
        ids, tape = jax.tree.map(
            lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, self.chunk),
            (self.requests.ids, self.requests.tape),
        )
        source = self.one_pass.decoder.encode(ids, tape.candidates)
        return _Chunk(source, tape, first, jnp.minimum(first + self.chunk, self.requests.size))

    def _begin(self, request: jax.Array, source: EncodedSource, tape: Tape) -> ActiveRows:
        """Rows before their first token, for requests int32 [B]."""
        zero = jnp.zeros(request.shape, jnp.int32)
        state = self.one_pass.automaton.initial(tape)
        return ActiveRows(request, source, tape, state, zero + self.one_pass.options.start_id, zero, zero)

    def _admit(self, waiting: jax.Array, chunk: _Chunk, loop: Loop) -> tuple[jax.Array, Loop]:
        """Admits requests, from number `waiting` on, to idle rows: at most B // 8 (or 1) a call, since so many rows are
        copied however few are idle. Returns the number of the first that still waits."""
        batch = loop.batch
        rows = batch.request.shape[0]
        few = max(1, rows // 8)
        idle = jnp.nonzero(batch.request >= self.n, size=few, fill_value=rows)[0]
        number = waiting + jnp.arange(few)
        admitted = (idle < rows) & (number < chunk.end)
        row = jnp.where(admitted, idle, rows)  # those not admitted go to row B, which does not exist
        source, tape = jax.tree.map(
            lambda leaf: jnp.take(leaf, number - chunk.first, axis=0, mode="clip"), (chunk.source, chunk.tape)
        )
        fresh = self._begin(number, source, tape)
        batch = jax.tree.map(lambda old, new: old.at[row].set(new, mode="drop"), batch, fresh)
        cache = self.one_pass.decoder.reset(loop.cache, row)
        return waiting + jnp.sum(admitted), Loop(batch, cache, loop.outputs)
