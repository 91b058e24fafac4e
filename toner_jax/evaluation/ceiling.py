"""What the output format itself loses: gold written as a target, read back and scored."""

from __future__ import annotations

from collections.abc import Sequence

from toner_jax.evaluation.scoring import strict_counts
from toner_jax.schema import Schema, Sentence
from toner_jax.tasks.entities import target_items
from toner_jax.text.align import SourceIndex, align
from toner_jax.text.ids import WordIds
from toner_jax.text.linearize import parse


def alignment_ceiling(
    sentences: Sequence[Sentence], schema: Schema, word_ids: WordIds, *, unique_pairs: bool = False
) -> float:
    """The strict span recall of a generator that writes every gold target exactly; 1 without entities. Targets are
    `tasks.entities.target_items`."""
    predicted = []
    for sentence in sentences:
        source = SourceIndex([word_ids.surface(w) for w in sentence.words])
        ids = word_ids.items(target_items(sentence, unique_pairs=unique_pairs))
        aligned, _ = align(parse(word_ids.decode(ids), schema.names, source).items, source)
        predicted.append([e for e in aligned if e is not None])
    counts = strict_counts(sentences, predicted)
    return counts.recall if counts.tp + counts.fn else 1.0
