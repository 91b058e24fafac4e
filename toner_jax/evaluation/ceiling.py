"""What the output format itself loses: gold written as a target, read back and scored."""

from __future__ import annotations

from collections.abc import Sequence

from toner_jax.evaluation.scoring import strict_counts
from toner_jax.schema import Schema, Sentence
from toner_jax.text.align import SourceIndex, align
from toner_jax.text.ids import WordIds
from toner_jax.text.linearize import parse


def alignment_ceiling(sentences: Sequence[Sentence], schema: Schema, word_ids: WordIds) -> float:
    """The strict span recall of a generator that writes every gold target exactly; 1 without entities."""
    predicted = []
    for sentence in sentences:
        source = SourceIndex([word_ids.surface(w) for w in sentence.words])
        ids = word_ids.items([(e.type, sentence.words[e.start : e.end]) for e in sentence.entities])
        aligned, _ = align(parse(word_ids.decode(ids), schema.names, source).items, source)
        predicted.append([e for e in aligned if e is not None])
    counts = strict_counts(sentences, predicted)
    return counts.recall if counts.tp + counts.fn else 1.0
