"""What a data set is like: how many sentences and entities, how deep, how long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from math import ceil
from typing import Any

from toner_jax.atoms import whole_words
from toner_jax.schema import Entity, Schema, Sentence
from toner_jax.text.ids import WordIds


def split_statistics(
    sentences: Sequence[Sentence], schema: Schema, word_ids: WordIds | None = None
) -> dict[str, Any]:
    """The figures of one split, as JSON.

    Args:
      word_ids: the generator's tokenizer, for lengths in pieces; None leaves those out.

    Returns:
      `sentences`, `without_entities`, `documents` (0 where no document has an id), `entities`, and those of them
      that are `unreachable`, `per_type` in schema order, `depth` (nesting depth → entities), `words` and with a
      tokenizer `pieces` (lengths of sentences: `mean`, `p50`, `p99`, `max`), and `unknown`, the share of pieces that
      the vocabulary lacks.
    """
    types = Counter(e.type for s in sentences for e in s.gold)
    depths = Counter(depth for s in sentences for depth in nesting_depths(s.entities))
    figures: dict[str, Any] = {
        "sentences": len(sentences),
        "without_entities": sum(not s.gold for s in sentences),
        "documents": len({s.doc_id for s in sentences} - {None}),
        "entities": sum(types.values()),
        "unreachable": sum(len(s.unreachable) for s in sentences),
        "per_type": {name: types[name] for name in schema.names},
        "depth": {str(depth): depths[depth] for depth in sorted(depths)},
        "words": length_statistics([len(whole_words(s.words)) for s in sentences]),
    }
    if word_ids is not None:
        word_ids.prepare(chain.from_iterable(s.words for s in sentences))
        unknown = word_ids.tokenizer.unk_id
        ids = [word_ids.words(s.words) for s in sentences]
        total = sum(map(len, ids))
        figures["pieces"] = length_statistics([len(i) for i in ids])
        figures["unknown"] = sum(i.count(unknown) for i in ids) / total if total else 0.0
    return figures


def nesting_depths(entities: Sequence[Entity]) -> list[int]:
    """Per entity of a sentence, 1 for one that lies in no other, else 1 more than the deepest that it lies
    in. Of two entities on the same words, the one sorted first counts as the outer."""
    depths: list[int] = []
    for i, e in enumerate(entities):
        around = [depths[j] for j, o in enumerate(entities[:i]) if o.start <= e.start and e.end <= o.end]
        depths.append(1 + max(around, default=0))
    return depths


def length_statistics(lengths: Sequence[int]) -> dict[str, float]:
    """Mean, nearest-rank percentiles and maximum; zeros without lengths."""
    if not lengths:
        return {"mean": 0.0, "p50": 0, "p99": 0, "max": 0}
    ordered = sorted(lengths)

    def percentile(p: int) -> int:
        return ordered[ceil(p * len(ordered) / 100) - 1]

    return {
        "mean": sum(ordered) / len(ordered),
        "p50": percentile(50),
        "p99": percentile(99),
        "max": ordered[-1],
    }
