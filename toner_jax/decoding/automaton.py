"""What an automaton of constrained decoding is, and what those of all grammars share; on the device.

Taking a token moves the tape positions that hold it; where the same piece stands at several positions, several may be
allowed at once. Each reduction and each look-up is a kernel of its own, so there are few of them.

Shapes: B rows, P tape positions. A candidate is an index into a row's `Tape.candidates`, not a token id.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from toner_jax.decoding.tape import Tape, TapeLayout, Unit


class AutomatonState(NamedTuple):
    """Where each of B rows stands, int32 [B] unless said otherwise.

    Attributes:
      allowed: bool [B, P], the tape positions that may come next; none after the end.
      type: the current item's type.
      taken: pieces taken so far of the current span; of an item without a span, of its type.
      boundary: where the current item's span would end if it ended here (half-open; 0 without spans), −1 if it may not.
      start, end, last_type: the span of the last complete item (tape positions) and its type, −1 before the first.
      items: how many items are complete.
    """

    allowed: jax.Array
    type: jax.Array
    taken: jax.Array
    boundary: jax.Array
    start: jax.Array
    end: jax.Array
    last_type: jax.Array
    items: jax.Array


class Automaton(Protocol):
    """What may come next under one grammar, and what likely does. It knows no limit of an output's length: what is
    written is what would be without one, up to where it is cut."""

    @property
    def layout(self) -> TapeLayout:
        """Where the grammar's symbols stand on its tapes."""

    def initial(self, tape: Tape) -> AutomatonState:
        """The state before the first token."""

    def advance(self, tape: Tape, state: AutomatonState, candidate: jax.Array) -> AutomatonState:
        """The state after each row took `candidate` int32 [B] of its candidates; a token that is not allowed, and any
        token after the end, leaves nothing allowed."""

    def draft(self, tape: Tape, state: AutomatonState) -> jax.Array:
        """For each row the candidate int32 [B] that likely comes next: one of those allowed, if any is."""


def initial_state(layout: TapeLayout, tape: Tape) -> AutomatonState:
    """The state before the first token."""
    b, p = tape.candidate.shape
    nothing = jnp.full((b,), -1, jnp.int32)
    zero = jnp.zeros((b,), jnp.int32)
    allowed = jnp.zeros((b, p), bool).at[:, layout.open[0]].set(True)
    return AutomatonState(
        allowed=allowed,
        type=zero,
        taken=zero,
        boundary=nothing,
        start=nothing,
        end=nothing,
        last_type=nothing,
        items=zero,
    )


def with_symbols(allowed_BP: jax.Array, *symbols: tuple[Unit, jax.Array]) -> jax.Array:
    """Positions [B, P], with the beginning of each symbol as its rows [B] say."""
    position_P = jnp.arange(allowed_BP.shape[1])
    for (begin, _), may_B in symbols:
        allowed_BP = jnp.where(position_P == begin, may_B[:, None], allowed_BP)
    return allowed_BP


def first_true(mask: jax.Array) -> jax.Array:
    """Where the first True on the last axis stands, int32; the axis's length where there is none. Instead of
    `argmax`, which is slow on CPU."""
    size = mask.shape[-1]
    return jnp.min(jnp.where(mask, jnp.arange(size, dtype=jnp.int32), size), axis=-1)


def value_at(values: jax.Array, index: jax.Array) -> jax.Array:
    """values[b, index[b]] of [B, P, …], for indices int32 [B]; those outside take the nearest."""
    index = jnp.clip(index, 0, values.shape[1] - 1).reshape(-1, *(1,) * (values.ndim - 1))
    return jnp.take_along_axis(values, index, axis=1)[:, 0]
