"""The decoder of an encoder-decoder model, as decoding knows it: typed pytrees and one protocol.

Shapes: B rows, S source tokens, Q tokens fed by a step, L slots of the KV cache, U candidate tokens of a row, V the
vocabulary, H heads, Dh the width of a head, D that of the model. `dtype` is the model's compute dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax


class KeysValues(NamedTuple):
    """Keys and values of one attention, over K positions.

    Attributes:
      keys: dtype [B, H, Dh, K] on CPUs, transposed: with few queries twice as fast there. [B, H, K, Dh] on
        accelerators, where a transposition takes one kernel more.
      values: dtype [B, H, K, Dh].
    """

    keys: jax.Array
    values: jax.Array


class EncodedSource(NamedTuple):
    """What the decoder needs of B sources; every leaf begins with B, so that rows can be exchanged.

    Attributes:
      bias: fp32 [B, 1, 1, S], added to the scores of cross-attention: 0 on tokens, far below on padding.
      cross: one for each decoder layer, over the S source positions.
      candidates: dtype [B, D, U], the output layer's weights of each row's candidate tokens; None where the
        whole vocabulary is scored.
    """

    bias: jax.Array
    cross: tuple[KeysValues, ...]
    candidates: jax.Array | None = None


class DecoderCache(NamedTuple):
    """The KV cache of B rows, a ring of L slots: all rows write the same slots at each step, each at its own positions.

    Attributes:
      slot: int32 [], where the next step writes.
      length: int32 [B], tokens that each row has taken.
      positions: int32 [B, L], which of a row's tokens each slot holds, −1 for none.
      distance_bias: fp32 [L, H], the bias of self-attention by distance.
      layers: one for each decoder layer, over the L slots.
    """

    slot: jax.Array
    length: jax.Array
    positions: jax.Array
    distance_bias: jax.Array
    layers: tuple[KeysValues, ...]


class Seq2SeqDecoder(Protocol):
    """A model with its parameters, ready to decode; a pytree of these. Decoding knows nothing else of a model.

    Attributes:
      width: D, by which inference chooses how it shares out a CPU's cores.
    """

    @property
    def width(self) -> int: ...

    def prepared(self) -> Seq2SeqDecoder:
        """The same decoder with its weights in the dtypes that it computes with: so that they are cast once, and not
        in each turn of a loop."""

    def encode(self, ids: jax.Array, candidates: jax.Array | None = None) -> EncodedSource:
        """Encodes sources (the prefill of cross-attention), int32 [B, S] padded with 0.

        Args:
          candidates: int32 [B, U], the only tokens to be scored for each row; None for the vocabulary.
        """

    def init_cache(self, rows: int, slots: int) -> DecoderCache:
        """The cache before the first token. A step takes Q slots; when all are taken the first are reused, so a row may
        live for no more than `slots` // Q steps."""

    def step(
        self, tokens: jax.Array, source: EncodedSource, cache: DecoderCache
    ) -> tuple[jax.Array, DecoderCache]:
        """Feeds the next Q tokens int32 [B, Q] of each row: logits fp32 [B, Q, U or V] of what follows each."""

    def rewind(self, cache: DecoderCache, taken: int, accepted: jax.Array) -> DecoderCache:
        """The cache after a step of `taken` tokens, of which each row keeps the first `accepted` int32 [B]. The slots
        of the others are masked, not freed: `slot` stays, as all rows share it."""

    def reset(self, cache: DecoderCache, rows: jax.Array) -> DecoderCache:
        """The cache with `rows`, int32 of any length, as before their first token; those past the last are dropped."""

    def reorder(self, cache: DecoderCache, rows: jax.Array) -> DecoderCache:
        """The cache whose row i is row `rows`[i] of this one, for `rows` int32 [B]."""


# Parameters → the decoder that computes with them.
MakeDecoder = Callable[[Any], Seq2SeqDecoder]
