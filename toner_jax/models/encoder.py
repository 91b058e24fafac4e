"""The encoder E_TM of type matching (§3.2), as inference and training know it."""

from __future__ import annotations

from typing import Any, Protocol

import jax


class Encoder(Protocol):
    """A Flax module that encodes texts; its parameters are passed in."""

    @property
    def config(self) -> Any:
        """Its `toner_jax.models.architecture.ModelConfig`."""

    @property
    def width(self) -> int:
        """D, of its states."""

    @property
    def max_length(self) -> int:
        """The most tokens that a text may have."""

    def apply(
        self,
        variables: Any,
        ids: jax.Array,
        mask: jax.Array,
        deterministic: bool = True,
        cells: jax.Array | None = None,
        numbers: jax.Array | None = None,
        **kwargs: Any,
    ) -> Any:
        """Last hidden states [B, S, D] of ids int32 [B, S] padded with 0; `mask` fp32 [B, S] is 1 on real tokens.

        Args:
          variables: {"params": …}.
          deterministic: False draws dropout from `rngs={"dropout": key}`.
          cells: int32 [G, N], which of the grid's cells hold tokens, so that nothing else need be computed
            (`toner_jax.models.tokens.Unpadding`); states of other cells are then 0. None computes all.
          numbers: int [B], what tells the rows apart for dropout, wherever they stand; None counts them.
        """

    def pool(self, states: jax.Array, mask: jax.Array) -> jax.Array:
        """Sentence vectors of unit length, fp32 [B, D], from hidden states [B, S, D]."""
