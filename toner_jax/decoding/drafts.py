"""Drafts: what likely comes next, so that one pass of the model can verify several tokens.

A draft never changes the output, only how many passes it takes: what the grammar forces is certain, the
rest is drafted from the shape of the words (names are capitalised, symbols have digits) and from a row's likeliest
type.

Shapes: B rows, P tape positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from toner_jax.atoms import memoised_if_short
from toner_jax.decoding.automaton import AutomatonState, first_true, value_at
from toner_jax.decoding.tape import DraftPlan, Tape, TapeLayout, starts, type_starts
from toner_jax.tasks.grammar import Grammar


def make_draft_plans(
    grammar: Grammar,
    tape: Tape,
    word_index: Sequence[np.ndarray],
    texts: Sequence[Sequence[str]],
    likeliest: Sequence[int],
) -> Tape:
    """The tapes with draft plans; on the host.

    Args:
      tape, word_index: as `make_tapes` gives them.
      texts: the words of each row.
      likeliest: the likeliest type of each row, as an index into the schema's types; −1: none.
    """
    b, p = tape.candidate.shape
    counts, pieces = [len(words) for words in texts], np.array([len(owner) for owner in word_index])
    row, owner = np.repeat(np.arange(b), pieces), np.concatenate(word_index)
    *begins_at, text = type_starts(grammar)
    column = text + np.arange(len(owner)) - starts(pieces)[row]
    shaped = np.array([_looks_like_a_name(w, i == 0) for words in texts for i, w in enumerate(words)], bool)
    likely = shaped[starts(counts)[row] + owner]
    same_row = np.diff(row, append=-1) == 0  # whether the next piece is of the same row
    begins = likely & tape.unit_start[row, column]
    start, ends = np.full((b, p), p, np.int32), np.ones((b, p), bool)
    start[row[begins], column[begins]] = column[begins]
    start = np.minimum.accumulate(start[:, ::-1], axis=1)[:, ::-1]
    ends[row, column] = ~(np.append(likely[1:], False) & same_row)  # looked up at a word's last piece
    kind = np.array([-1 if t < 0 else begins_at[t] for t in likeliest], np.int32)
    return tape._replace(draft_plan=DraftPlan(np.where(start < p, start, -1), ends, kind))


@memoised_if_short
def _looks_like_a_name(word: str, begins: bool) -> bool:
    """Whether a word looks like part of an entity; the first word's capital says nothing."""
    if any(c.isdigit() for c in word):
        return True
    return any(c.isupper() for c in (word[1:] if begins else word))


def likely_next(layout: TapeLayout, tape: Tape, state: AutomatonState) -> jax.Array:
    """For each row the candidate int32 [B] that likely comes next in a list of entities: one of those allowed, if
    any is."""
    allowed_BP, draft_plan = state.allowed, tape.draft_plan
    # What is forced, and a word that goes on: the first that is allowed.
    draft = first_true(allowed_BP)
    # The next likely beginning of an entity after what is written.
    reached = jnp.maximum(state.boundary, jnp.maximum(state.end, tape.text))
    likely = jnp.where(reached < allowed_BP.shape[1], value_at(draft_plan.start, reached), -1)
    positions_B3 = jnp.stack([state.boundary, draft_plan.type, likely], axis=1)
    positions_B3 = jnp.clip(positions_B3, 0, allowed_BP.shape[1] - 1)
    may_B3 = jnp.take_along_axis(allowed_BP, positions_B3, axis=1)
    more = (likely >= 0) & (draft_plan.type >= 0)
    # After a word: the span goes on with the next one, or the item ends, with or without another.
    stop = jnp.where(more & allowed_BP[:, layout.another[0]], layout.another[0], layout.last[0])
    goes_on = may_B3[:, 0] & ~value_at(draft_plan.ends, state.boundary - 1)
    draft = jnp.where(state.boundary >= 0, jnp.where(goes_on, state.boundary, stop), draft)
    # After the bracket: a first item, or none.
    opening = jnp.where(more & allowed_BP[:, layout.first[0]], layout.first[0], layout.empty[0])
    draft = jnp.where(allowed_BP[:, layout.empty[0]], opening, draft)
    # A type, and where its span begins.
    draft = jnp.where((draft_plan.type >= 0) & may_B3[:, 1], draft_plan.type, draft)
    draft = jnp.where((likely >= 0) & (state.taken == 0) & may_B3[:, 2], likely, draft)
    return value_at(tape.candidate, draft)
