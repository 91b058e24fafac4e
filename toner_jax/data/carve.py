"""Development and test sets carved out of the training sentences, samples of these, and folds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from toner_jax.data.find import SPLITS
from toner_jax.data.overlap import characters, named_documents
from toner_jax.data.reading import is_running_document
from toner_jax.errors import ParameterError
from toner_jax.schema import Sentence

_SHARES = "data.carve_shares"


def carve_dev(
    train: Sequence[Sentence], count: int, seed: int
) -> tuple[tuple[Sentence, ...], tuple[Sentence, ...]]:
    """Training sentences without those of `count` documents, and those as a development set.

    The choice depends on the documents' ids and on the seed alone: the same documents in another order,
    format or tokenization are carved alike. Development sentences are numbered anew.

    Raises:
      UserError: sentences without a named document, or too few documents.
    """
    documents = named_documents(train)
    unnamed = sum(s.doc_id is None or is_running_document(s.doc_id) for s in train)
    if unnamed:
        raise ParameterError(
            "data.carve_dev",
            count,
            f"{unnamed} training sentences belong to no document with an id; name a "
            "dev file in data.dev and set data.carve_dev to 0",
        )
    if not 0 < count < len(documents):
        raise ParameterError(
            "data.carve_dev", count, f"train has {len(documents)} documents, and keeps at least one"
        )

    chosen = frozenset(sorted(documents, key=lambda id: _rank(seed, id))[:count])
    dev = [s for s in train if s.doc_id in chosen]
    return tuple(s for s in train if s.doc_id not in chosen), _numbered(dev, "dev")


def check_shares(shares: Sequence[float]) -> None:
    """Refuses shares of train, dev and test that are none.

    Raises:
      ParameterError: naming them.
    """
    numbers = [s for s in shares if isinstance(s, int | float) and not isinstance(s, bool)]
    if len(numbers) != 3 or len(shares) != 3 or min(numbers) < 0 or abs(sum(numbers) - 1) > 1e-6:
        problem = "give three shares of train, dev and test that make 1, such as (0.8, 0.1, 0.1)"
    elif not numbers[0] or not (numbers[1] or numbers[2]):
        problem = "train and another split need a share; set data.carve_shares=() for splits of their own"
    else:
        return
    raise ParameterError(_SHARES, tuple(shares), problem)


def carve_shares(
    train: Sequence[Sentence], shares: Sequence[float], seed: int
) -> Mapping[str, tuple[Sentence, ...]]:
    """Training sentences split into those splits that have a share above 0, near to the shares of sentences.

    A document goes into one split as a whole; where sentences have no `doc_id`, or all that of the same document
    without a name, each goes by itself. Documents with a
    sentence of the same characters go together, so that no sentence stands in two splits. The choice depends on the
    ids, the texts and the seed alone. Development and test sentences are numbered anew.

    Raises:
      ParameterError: no such shares, or too few documents, or too many of them belong together.
    """
    check_shares(shares)
    groups = sorted(_inseparable(train), key=lambda group: _rank(seed, min(_key(s) for s in group)))
    wanted = {
        split: max(1, round(share * len(train)))
        for split, share in zip(SPLITS, shares, strict=True)
        if share and split != "train"
    }
    split_of: dict[str, str] = {}
    for group in groups:
        split = next((split for split, room in wanted.items() if len(group) <= room), "train")
        if split != "train":
            wanted[split] -= len(group)
        split_of |= dict.fromkeys((s.id for s in group), split)
    found = {s: [x for x in train if split_of[x.id] == s] for s in ("train", *wanted)}
    if empty := next((split for split, sentences in found.items() if not sentences), None):
        raise ParameterError(
            _SHARES,
            tuple(shares),
            f"nothing is left for {empty}: of train's {len(train):,} sentences, those of one document, and documents "
            f"that share sentences, stay together, in {len(groups):,} groups; bring more data, or a file a split",
        )
    return {
        split: tuple(sentences) if split == "train" else _numbered(sentences, split)
        for split, sentences in found.items()
    }


def deal(sentences: Sequence[Sentence], count: int, seed: int) -> list[int]:
    """The fold of each sentence, 0 to `count` − 1: near to equal in sentences; a document, and sentences of the same
    characters, in one. The choice depends on the ids, the texts and the seed alone.

    Raises:
      ParameterError: fewer documents than folds, or they belong together.
    """
    groups = sorted(_inseparable(sentences), key=lambda group: _rank(seed, min(_key(s) for s in group)))
    if len(groups) < count:
        raise ParameterError(
            "types.folds",
            count,
            f"documents that share sentences stay together, and train has {len(groups):,} such groups; lower it",
        )
    sizes = [0] * count
    fold_of: dict[str, int] = {}
    for group in groups:
        smallest = sizes.index(min(sizes))
        sizes[smallest] += len(group)
        fold_of |= dict.fromkeys((s.id for s in group), smallest)
    return [fold_of[s.id] for s in sentences]


def sample_train(train: Sequence[Sentence], count: int, seed: int) -> tuple[Sentence, ...]:
    """About so many of the training sentences, in their order; a document is in it as a whole, or not at all.

    The choice depends on the ids of documents, or of sentences the characters, and on the seed alone, and a larger
    sample holds the smaller one.

    Raises:
      ParameterError: there are not so many.
    """
    if count > len(train):
        raise ParameterError("data.train_sentences", count, f"train has {len(train):,} sentences")
    documents: dict[str, list[Sentence]] = {}
    for s in train:
        documents.setdefault(_key(s), []).append(s)
    chosen: set[str] = set()
    for key in sorted(documents, key=lambda key: _rank(seed, key)):
        if len(chosen) >= count:
            break
        chosen |= {s.id for s in documents[key]}
    return tuple(s for s in train if s.id in chosen)


def are_documents(sentences: Sequence[Sentence]) -> bool:
    """Whether sentences are of documents; a single one without a name (a `-DOCSTART-` above all) is none."""
    ids = {s.doc_id for s in sentences}
    return ids != {None} and not (len(ids) == 1 and all(id and is_running_document(id) for id in ids))


def _inseparable(sentences: Sequence[Sentence]) -> list[list[Sentence]]:
    """Sentences that are of one document or of the same characters, or whose documents have such, in groups."""
    parent: dict[str, str] = {}
    has_documents = are_documents(sentences)

    def unit(sentence: Sentence) -> str:
        return (
            f"document:{sentence.doc_id}" if has_documents and sentence.doc_id else f"sentence:{sentence.id}"
        )

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    for s in sentences:
        parent[root(f"text:{characters(s)}")] = root(unit(s))
    groups: dict[str, list[Sentence]] = {}
    for s in sentences:
        groups.setdefault(root(unit(s)), []).append(s)
    return list(groups.values())


def _key(sentence: Sentence) -> str:
    """What a sentence is ranked by: the id of a document that the data name, else its characters."""
    named = sentence.doc_id is not None and not is_running_document(sentence.doc_id)
    return str(sentence.doc_id) if named else characters(sentence)


def _rank(seed: int, key: str) -> tuple[str, str]:
    return hashlib.sha256(f"{seed}:{key}".encode()).hexdigest(), key


def _numbered(sentences: Sequence[Sentence], split: str) -> tuple[Sentence, ...]:
    return tuple(replace(s, id=f"{split}-{i}") for i, s in enumerate(sentences))
