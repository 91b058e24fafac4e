"""Which cells of a batch hold tokens: what training computes with, instead of the padding around them.

Examples are shared out to as many groups as the mesh and gradient accumulation ask for, with as equal numbers of tokens
as can be; the most that any group of a shape's batches has is what all of them are padded to. Which examples are in a
batch depends on none of this.

Shapes: M batches of B rows each, in G groups of B / G rows; S source and T target cells of a row.
"""

from __future__ import annotations

import numpy as np

from toner_jax.pipeline.batching import cost

MULTIPLE = 8  # of the number of tokens, as matrix products like it

Room = tuple[int, int]  # the most source and target tokens of a group

_COSTS = np.array([cost((1, 0)), cost((0, 1))])
# Of the fullest group with others, until the room is so little more than the mean.
_EXCHANGES, _NEGLIGIBLE = 12, 0.01
_MOST_EXCHANGES = 2_000_000  # that are weighed at a time


def share_out(lengths_MB2: np.ndarray, groups: int) -> np.ndarray:
    """The rows of each batch in another order, int [M, B]: group after group, B / G rows in each.

    Rows are dealt from the longest to the shortest, each to the group that it leaves with the least of what groups have
    most of, source or target tokens; then groups exchange rows as long as that helps.

    Args:
      lengths_MB2: int [M, B, 2], source and target tokens.
    """
    batches, rows, _ = lengths_MB2.shape
    if groups == 1:
        return np.tile(np.arange(rows), (batches, 1))
    chunk = max(1, _MOST_EXCHANGES * groups // rows**2)
    given = [
        _exchanged(lengths, _dealt(lengths, groups))
        for lengths in np.split(lengths_MB2, range(chunk, batches, chunk))
    ]
    return np.concatenate(given).reshape(batches, rows)


def _dealt(lengths_MB2: np.ndarray, groups: int) -> np.ndarray:
    """Rows by group, int [M, G, B / G]."""
    batches, rows, _ = lengths_MB2.shape
    share = lengths_MB2 / np.maximum(lengths_MB2.sum(1, keepdims=True), 1)  # of a batch's tokens
    order = np.argsort(-share.max(2), axis=1, kind="stable")
    every = np.arange(batches)
    filled, count = np.zeros((batches, groups, 2)), np.zeros((batches, groups), int)
    given = np.empty((batches, groups, rows // groups), int)
    for k in range(rows):
        row = order[:, k]
        fullest = (filled + share[every, row][:, None]).max(2)
        fullest[count == rows // groups] = np.inf
        group = fullest.argmin(1)
        given[every, group, count[every, group]] = row
        filled[every, group] += share[every, row]
        count[every, group] += 1
    return given


def _exchanged(lengths_MB2: np.ndarray, given_MGR: np.ndarray) -> np.ndarray:
    """The same after the exchanges, each of two rows and the best there is for the fullest group, that lower what the
    groups must have room in."""
    given, (_, groups, each) = given_MGR.copy(), given_MGR.shape
    active = np.arange(len(given))
    for _ in range(_EXCHANGES):
        tokens = np.take_along_axis(lengths_MB2, given.reshape(len(given), -1)[:, :, None], axis=1)
        lengths = tokens[active].reshape(len(active), groups, each, 2)
        filled = lengths.sum(2)
        excess = (filled.max(1) - filled.mean(1)) * _COSTS
        uneven = excess.sum(1) > _NEGLIGIBLE * (filled.mean(1) * _COSTS).sum(1)
        if not uneven.any():
            break
        active, lengths, filled, excess = (x[uneven] for x in (active, lengths, filled, excess))
        fullest = filled[np.arange(len(active)), :, excess.argmax(1)].argmax(1)
        saved = _saved(lengths, filled, fullest).reshape(len(active), -1)
        best, helps = saved.argmax(1), saved.max(1) > 0
        mine, other, theirs = np.unravel_index(best[helps], (each, groups, each))
        active, fullest = active[helps], fullest[helps]
        one, two = given[active, fullest, mine], given[active, other, theirs]
        given[active, fullest, mine], given[active, other, theirs] = two, one
    return given


def _saved(lengths_MGR2: np.ndarray, filled_MG2: np.ndarray, fullest_M: np.ndarray) -> np.ndarray:
    """What the exchange of each row of the fullest group with each row of each group saves, [M, R, G, R]: of the cost
    of the room, and, so that ties lead on, a little of how uneven the two groups are."""
    every, groups = np.arange(len(fullest_M)), filled_MG2.shape[1]
    others = np.repeat(filled_MG2[:, None], groups, axis=1)  # [M, without this group, G, 2]
    others[:, np.arange(groups), np.arange(groups)] = 0
    others[every, :, fullest_M] = 0
    rest = others.max(2)[:, None, :, None]
    moved = lengths_MGR2[every, fullest_M][:, :, None, None] - lengths_MGR2[:, None]
    mine, theirs = filled_MG2[every, fullest_M][:, None, None, None], filled_MG2[:, None, :, None]

    def costs(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        needed = np.maximum(np.maximum(one, two), rest)
        total: np.ndarray = ((needed + 1e-3 * np.abs(one - two)) * _COSTS).sum(-1)
        return total

    saved: np.ndarray = costs(mine, theirs) - costs(mine - moved, theirs + moved)
    saved[every, :, fullest_M] = -np.inf
    return saved


def room(lengths_MB2: np.ndarray, groups: int) -> Room:
    """What every group of these batches has room in."""
    order_MB = share_out(lengths_MB2, groups)
    ordered = np.take_along_axis(lengths_MB2, order_MB[:, :, None], axis=1)
    tokens = ordered.reshape(len(ordered), groups, -1, 2).sum(2)
    source, target = (_multiple(most) for most in tokens.max((0, 1)).tolist())
    return source, target


def _multiple(tokens: int) -> int:
    return -(-tokens // MULTIPLE) * MULTIPLE


def layout_arrays(
    lengths_B2: np.ndarray, numbers_B: np.ndarray, shape: tuple[int, int], groups: int, most: Room
) -> dict[str, np.ndarray]:
    """What a batch's arrays are told of its layout (`toner_jax.models.tokens.Layout`).

    Args:
      lengths_B2: tokens of each row's source and target.
      numbers_B: the number of each row in the planned batch, which no order of rows changes.
      shape: cells of a row's source and target.
      most: the room of a group.

    Returns:
      `source_cells` and `target_cells` int32 [G, N], and `number` int32 [B].
    """
    return {
        "source_cells": cells(lengths_B2[:, 0], shape[0], groups, most[0]),
        "target_cells": cells(lengths_B2[:, 1], shape[1], groups, most[1]),
        "number": numbers_B.astype(np.int32),
    }


def cells(lengths_B: np.ndarray, width: int, groups: int, most: int = 0) -> np.ndarray:
    """The cells that hold tokens, int32 [G, most]: of each group its grid's, row by row, and then as many as there are.

    Args:
      lengths_B: tokens of each row; they begin at its first cell.
      width: cells of a row.
      most: tokens that a group has room for; 0, as many as the fullest needs.
    """
    most = most or _multiple(int(lengths_B.reshape(groups, -1).sum(1).max()))
    grids = (np.arange(width) < lengths_B[:, None]).reshape(groups, -1)
    found = np.full((groups, most), grids.shape[1], np.int32)
    for group, grid in enumerate(grids):
        held = np.flatnonzero(grid)
        found[group, : len(held)] = held
    return found


def groups_of(batch_size: int, shares: int, tensor: int, parts: int) -> int:
    """How many groups a batch is split into: one for each part that the mesh and gradient accumulation make of it.

    Args:
      shares: what the mesh splits rows over.
      tensor: its tensor axis, which splits states between layers by groups as well where there are rows enough.
      parts: of gradient accumulation.
    """
    most = shares * tensor * parts
    return most if batch_size % most == 0 else shares * parts
