"""What the splits of a data set share, and what they do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from toner_jax.atoms import bare, whole_words
from toner_jax.data.reading import is_running_document
from toner_jax.errors import UserError
from toner_jax.schema import Sentence

Splits = Mapping[str, Sequence[Sentence]]


def characters(sentence: Sentence) -> str:
    """A sentence without white space: readers cut words differently."""
    return "".join(map(bare, sentence.words))


def named_documents(sentences: Iterable[Sentence]) -> tuple[str, ...]:
    """The ids of the documents that the data themselves name, in order; numbers that a reader gave to
    documents without one do not count."""
    ids = dict.fromkeys(s.doc_id for s in sentences)
    return tuple(id for id in ids if id is not None and not is_running_document(id))


def refuse_shared_documents(splits: Splits) -> None:
    """Refuses splits that have a document in common: one of the same id with a sentence of the same
    characters. The id alone says little (`001.txt`), nor does a sentence.

    Raises:
      UserError: naming the splits, how many documents they share and the first of them.
    """
    documents = {split: _contents(sentences) for split, sentences in splits.items()}
    for a, b in combinations(splits, 2):
        shared = [id for id, texts in documents[a].items() if texts & documents[b].get(id, set())]
        if shared:
            raise UserError(
                f"{a} and {b} have {len(shared)} documents in common, the first is {shared[0]!r}; "
                "a score on one would be of what the other taught: give each document to one split"
            )


def _contents(sentences: Sequence[Sentence]) -> dict[str, set[str]]:
    """The `characters` of the sentences of each named document."""
    contents: dict[str, set[str]] = {id: set() for id in named_documents(sentences)}
    for s in sentences:
        if s.doc_id in contents:
            contents[s.doc_id].add(characters(s))
    return contents


def repeated_sentences(splits: Splits) -> dict[str, dict[str, int]]:
    """Split → split → how many sentences of the first stand word for word in the second; for a split and
    itself, how many stand there a second time or more."""
    words = {split: [tuple(whole_words(s.words)) for s in sentences] for split, sentences in splits.items()}
    distinct = {split: set(sentences) for split, sentences in words.items()}
    return {
        a: {
            b: len(words[a]) - len(distinct[a]) if a == b else sum(w in distinct[b] for w in words[a])
            for b in splits
        }
        for a in splits
    }


def describe_shared_sentences(splits: Splits) -> str | None:
    """One line about the sentences that two splits have word for word in common; None without any."""
    repeated = repeated_sentences(splits)
    found = [
        f"{repeated[b][a]:,} of {len(splits[b]):,} in {b} also in {a}"
        for a, b in combinations(splits, 2)
        if repeated[b][a]
    ]
    return f"identical sentences: {'; '.join(found)}" if found else None


def describe_unlearnable_types(splits: Splits) -> str | None:
    """One line about the types that stand in dev or test and never in train; None without any, or without train."""
    if not splits.get("train"):
        return None
    learned = {e.type for s in splits["train"] for e in s.gold}
    times = {
        split: Counter(e.type for s in sentences for e in s.gold if e.type not in learned)
        for split, sentences in splits.items()
    }
    found = [
        f"{', '.join(f'{name} ({n:,})' for name, n in sorted(counts.items()))} in {split}"
        for split, counts in times.items()
        if counts
    ]
    return f"types that train lacks and nothing can learn: {'; '.join(found)}" if found else None
