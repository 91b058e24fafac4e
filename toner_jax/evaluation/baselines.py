"""What needs no model: the scores that a trained generator and a trained type matcher must beat."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import accumulate, chain
from typing import NamedTuple

from toner_jax.atoms import bare, parts
from toner_jax.evaluation.scoring import type_counts
from toner_jax.schema import Entity, Schema, Sentence


def memorised_mentions(train: Sequence[Sentence], sentences: Sequence[Sentence]) -> list[tuple[Entity, ...]]:
    """Tags every string that training mentions contain, and nothing else.

    After the baseline of the CoNLL-2003 shared task (Tjong Kim Sang and De Meulder, 2003), except that
    an ambiguous string gets its most frequent training type instead of being left out; of equally
    frequent types, the one that training shows first. Atoms are compared exactly, case included, so that
    it does not matter how each file divides its words. From left to right, the longest mention that starts
    and ends at a word's edge is taken and its words are passed over, so the result is flat.

    Returns:
      Per sentence, its entities in order of appearance.
    """
    types = _most_frequent_types(train)
    lengths: defaultdict[str, set[int]] = defaultdict(set)
    for mention in types:
        lengths[mention[0]].add(len(mention))
    longest_first = {word: sorted(found, reverse=True) for word, found in lengths.items()}
    return [_look_up(_atoms(sentence), types, longest_first) for sentence in sentences]


def type_prior(
    train: Sequence[Sentence],
    dev: Sequence[Sentence],
    sentences: Sequence[Sentence],
    schema: Schema,
    beta: float = 1.0,
) -> list[tuple[str, ...]]:
    """The same T′ for every sentence: the types that are frequent in training.

    A type matcher (§3.2) that scores no better than this has learnt nothing from the sentence. T′ holds
    the types whose share of the training sentences reaches a threshold; of all thresholds, the one with
    the best F-beta of `type_counts` on dev is taken, and of equally good ones the highest. T′ is never
    empty, since the most frequent types pass every threshold that is tried.

    Returns:
      T′ once per sentence, by descending share, equal shares in the schema's order.
    """
    occurrences = Counter(name for sentence in train for name in sentence.types())
    ranked = sorted(schema.names, key=lambda name: -occurrences[name])
    # Every sentence weighs the same, so numbers of sentences serve as the shares and their thresholds.
    thresholds = sorted({occurrences[name] for name in ranked}, reverse=True)
    choices = [tuple(name for name in ranked if occurrences[name] >= least) for least in thresholds]
    best = max(choices, key=lambda types: type_counts(dev, [types] * len(dev)).f_beta(beta))
    return [best] * len(sentences)


class _Atoms(NamedTuple):
    """A sentence's atoms, however its words divide them: those of raw text are smaller than those of a column file.

    Attributes:
      atoms: without what glues them.
      word: at which atom each word begins, and at last how many atoms there are.
    """

    atoms: tuple[str, ...]
    word: tuple[int, ...]


def _atoms(sentence: Sentence) -> _Atoms:
    cut = [tuple(map(bare, parts(word))) for word in sentence.words]
    return _Atoms(tuple(chain.from_iterable(cut)), tuple(accumulate(map(len, cut), initial=0)))


def _most_frequent_types(train: Sequence[Sentence]) -> dict[tuple[str, ...], str]:
    """The atoms of each training mention → the type it most often has."""
    counts: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for sentence in train:
        atoms, word = _atoms(sentence)
        for e in sentence.entities:
            counts[atoms[word[e.start] : word[e.end]]][e.type] += 1
    # Of equal counts, `most_common` gives the one that was counted first.
    return {mention: types.most_common(1)[0][0] for mention, types in counts.items()}


def _look_up(
    sentence: _Atoms, types: dict[tuple[str, ...], str], longest_first: dict[str, list[int]]
) -> tuple[Entity, ...]:
    """Scans one sentence; `longest_first` has the lengths of the mentions that begin with an atom."""
    atoms, word = sentence
    ends = {at: i for i, at in enumerate(word)}
    entities = []
    start = 0
    while start < len(word) - 1:
        first = word[start]
        for length in longest_first.get(atoms[first], ()) if first < len(atoms) else ():
            last = first + length
            if last in ends and atoms[first:last] in types:
                entities.append(Entity(start, ends[last], types[atoms[first:last]]))
                start = ends[last]
                break
        else:
            start += 1
    return tuple(entities)
