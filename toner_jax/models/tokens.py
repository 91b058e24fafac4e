"""The tokens of a batch without its padding.

A batch of rows of different lengths is a grid [B, S] of cells, of which some hold no token. All layers but attention
take each token for itself, so they are given the tokens alone, [G, N] in G groups of B / G rows each, whose padding is
the little by which N must be larger than the number of a group's tokens; attention is given the grid. Both are the
same function of the tokens: what is in a cell without one is masked in attention, and no loss counts it.

Shapes: B rows, S cells of a row, G groups (so that a mesh can split the tokens as it splits the rows), N tokens of a
group, D features.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from toner_jax.models.dropout import Words, draw_words
from toner_jax.parallel.activations import split
from toner_jax.parallel.mesh import ROWS


class Unpadding(NamedTuple):
    """Where the tokens of a batch are.

    Attributes:
      cells: int32 [G, N], the cell of each token in the grid of its group, row by row; for no token, as many as there
        are.
      tokens: int32 [B, S], the inverse: the token in each cell, or N.
    """

    cells: jax.Array
    tokens: jax.Array

    def unpad(self, grid: jax.Array) -> jax.Array:
        """[B, S] or [B, S, D] → [G, N] or [G, N, D]; 0 for no token."""
        groups = self.cells.shape[0]
        return _exchanged(
            grid.reshape(groups, -1, *grid.shape[2:]), self.cells, self.tokens.reshape(groups, -1)
        )

    def pad(self, states: jax.Array) -> jax.Array:
        """[G, N, D] → [B, S, D]; 0 in cells without a token."""
        groups = self.cells.shape[0]
        cells = _exchanged(states, self.tokens.reshape(groups, -1), self.cells)
        return split(cells.reshape(*self.tokens.shape, *states.shape[2:]), ROWS)


def unpadding(cells_GN: jax.Array, mask_BS: jax.Array) -> Unpadding:
    """Of a mask that is 1 where a cell holds a token, and the cells of these in ascending order."""
    groups, most = cells_GN.shape
    mask = mask_BS.astype(bool).reshape(groups, -1)
    tokens = jnp.where(mask, jnp.cumsum(mask, axis=1, dtype=jnp.int32) - 1, most)
    return Unpadding(cells_GN, tokens.reshape(mask_BS.shape))


@jax.custom_vjp
def _exchanged(x: jax.Array, index: jax.Array, inverse: jax.Array) -> jax.Array:
    """x [G, M, …] at `index` [G, K], 0 where it is M; its gradient is taken by `inverse` [G, M] likewise, instead of
    being added up element by element."""
    taken: jax.Array = jax.vmap(lambda rows, at: rows.at[at].get(mode="fill", fill_value=0))(x, index)
    return taken


def _exchanged_forward(
    x: jax.Array, index: jax.Array, inverse: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _exchanged(x, index, inverse), (index, inverse)


def _exchanged_backward(
    indices: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, None, None]:
    index, inverse = indices
    return _exchanged(gradient, inverse, index), None, None


_exchanged.defvjp(_exchanged_forward, _exchanged_backward)


class Tokens(NamedTuple):
    """What the layers of a stack are told of their tokens besides the states.

    Attributes:
      unpadding: None where states are a grid [B, S, D].
      words: of dropout, for tokens as the states lie; None draws masks for arrays as they lie, or none at all.
      grid_words: the same as a grid.
    """

    unpadding: Unpadding | None = None
    words: Words | None = None
    grid_words: Words | None = None


NO_TOKENS = Tokens()


class Layout(NamedTuple):
    """How training lays out a batch without its padding.

    Attributes:
      target_mask: [B, T], 1 on the target's tokens.
      source_cells, target_cells: int32 [G, N], as of `Unpadding`, each with its own N.
      numbers: int32 [B], what tells the rows apart, wherever they stand.
    """

    target_mask: jax.Array
    source_cells: jax.Array
    target_cells: jax.Array
    numbers: jax.Array


def make_tokens(
    mask_BS: jax.Array,
    key: jax.Array | None,
    cells_GN: jax.Array | None = None,
    numbers_B: jax.Array | None = None,
) -> Tokens:
    """Of a batch's mask.

    Args:
      key: of dropout; None without.
      cells_GN: as of `Unpadding`; None where states are to be a grid.
      numbers_B: int, what tells the rows apart, below 2^16; None counts them.
    """
    unpadded = None if cells_GN is None else unpadding(cells_GN, mask_BS)
    rows, length = mask_BS.shape
    numbers = jnp.arange(rows, dtype=jnp.int32) if numbers_B is None else numbers_B
    drawn = None if key is None else draw_words(key, numbers, length)
    if drawn is None or unpadded is None:
        return Tokens(unpadded, drawn, drawn)
    return Tokens(unpadded, jax.tree.map(unpadded.unpad, drawn), drawn)
