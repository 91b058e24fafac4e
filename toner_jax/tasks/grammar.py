"""What may be written in a task, as ids: a description on the host that decoding compiles into an automaton."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toner_jax.text.ids import Ids, WordIds


@dataclass(frozen=True)
class Grammar:
    """`open`, and then `empty`, or items with `another` between them and `last` after them.

    Attributes:
      open: what every output begins with, up to its bracket.
      first: what begins the first item, after `open`.
      empty: what ends an output without items, after `open`.
      another: what ends an item and begins the next.
      last: what ends the last item, and the output.
      types: the pieces of each type of the schema where it begins the first item, in schema order; of an item with
        a span, its comma included.
      later_types: the same after `another`.
      spans: whether an item is a type and a span, a run of whole words of the text, in order of appearance; else it
        is a type alone, in schema order.
      flat: spans do not overlap.
      ends: whether the output ends with the grammar; else it goes on freely.
    """

    open: Ids
    first: Ids
    empty: Ids
    another: Ids
    last: Ids
    types: tuple[Ids, ...]
    later_types: tuple[Ids, ...]
    spans: bool
    flat: bool = False
    ends: bool = True


def entity_list(
    word_ids: WordIds, names: Sequence[str], head: Ids = (), tail: Ids | None = None, *, flat: bool = False
) -> Grammar:
    """`[(type, span), …]` of a schema's types.

    Args:
      head: what an output begins with, before its list.
      tail: what follows the list, after which the output goes on freely; None for the end of sequence.
      flat: whether spans may not overlap.
    """
    s, end = word_ids.symbols, (word_ids.tokenizer.eos_id,) if tail is None else tail
    types = tuple(word_ids.glued(name) + s.comma for name in names)
    return Grammar(
        open=head + s.open,
        first=s.first_item,
        empty=s.close + end,
        another=s.item_end + s.next_item,
        last=s.last_end + s.close + end,
        types=types,
        later_types=types,
        spans=True,
        flat=flat,
        ends=tail is None,
    )


def type_list(word_ids: WordIds, names: Sequence[str]) -> Grammar:
    """`[type, …]` of a schema's types (§3.4)."""
    s, end = word_ids.symbols, (word_ids.tokenizer.eos_id,)
    return Grammar(
        open=s.open,
        first=(),
        empty=s.close + end,
        another=s.comma,
        last=s.close + end,
        types=tuple(word_ids.glued(name) for name in names),
        later_types=tuple(word_ids.phrase(name) for name in names),
        spans=False,
    )
