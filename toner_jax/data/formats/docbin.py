"""spaCy's `DocBin` files (`.spacy`), what its training and annotation tools write."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from toner_jax.atoms import Range
from toner_jax.data.documents import Document, Span, read_documents
from toner_jax.data.formats.sample import Sample
from toner_jax.data.reading import Read, check_not_empty
from toner_jax.errors import UserError
from toner_jax.schema import Schema
from toner_jax.text.words import READING, Reading

SPAN_GROUP = "sc"  # the key that spaCy's own span categorizer reads and writes


def read_docbin(path: Path, schema: Schema | None, split: str = "", *, reading: Reading = READING) -> Read:
    """Sentences of a `.spacy` file; its words are spaCy's tokens, less white space.

    Entities are a doc's `ents`, or where it has none, its span group "sc", whose spans may overlap.
    Sentences are the doc's own where it knows them, else found in its text.

    Args:
      schema: its names and tags are the labels that the file may use; None leaves them as they are.
      split: begins the ids of sentences and documents.

    Returns:
      The sentences. Repairs: those of `read_documents`.

    Raises:
      UserError: spaCy is not installed, the file is missing, is no `DocBin` or empty.
    """
    prefix = f"{split}-" if split else ""
    documents = (
        Document(
            f"{prefix}doc-{i}", doc.text, _spans(doc, location), words=_words(doc, reading), location=location
        )
        for i, (doc, location) in enumerate(_docs(path))
    )
    read = read_documents(documents, schema, split)
    check_not_empty(read.sentences, path)
    return read


def recognizes_docbin(sample: Sample) -> bool:
    """Whether a file is named so, or begins like one: MessagePack, compressed, whose second key is "attrs"."""
    if sample.is_folder or sample.path.suffix.lower() == ".spacy":
        return not sample.is_folder
    if not sample.head.startswith(b"\x78"):
        return False
    try:
        return b"attrs" in zlib.decompressobj().decompress(sample.head, 64)
    except zlib.error:
        return False


def _docs(path: Path) -> Iterator[tuple[Any, str]]:
    check_spacy(path, "reading")
    import spacy
    from spacy.tokens import DocBin

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        docs = list(DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab))
    except Exception as error:  # whatever its compression, packing and arrays raise on damaged bytes
        reason = f"{type(error).__name__}: {error}".split("\n")[0]
        raise UserError(f"{path}: not a spaCy DocBin, or damaged ({reason[:200]})") from error
    for i, doc in enumerate(docs):
        yield doc, f"{path}: doc {i}"


def check_spacy(path: str | Path, doing: str) -> None:
    """Raises:
    UserError: spaCy is not installed, without which there is no "reading" or "writing".
    """
    try:
        import spacy.tokens  # noqa: F401
    except ImportError as error:
        raise UserError(
            f'{path}: {doing} .spacy files needs spaCy; install it with pip install "toner-jax[spacy]"'
        ) from error


class TokenizedText(NamedTuple):
    """A text as spaCy has it.

    Attributes:
      tokens: with what lies between them, the whole text.
      spaces: whether a space of the text follows each token.
      entities: half-open ranges of tokens, with their labels.
      data: what else is known of it: its doc's `user_data`.
    """

    tokens: Sequence[str]
    spaces: Sequence[bool]
    entities: Sequence[tuple[int, int, str]]
    data: dict[str, Any]


def write_docbin(texts: Iterable[TokenizedText], path: Path) -> None:
    """Writes a doc for each text: its entities are the doc's `ents`, or where some overlap, all its span group "sc".

    Raises:
      UserError: spaCy is not installed.
    """
    check_spacy(path, "writing")
    import spacy
    from spacy.tokens import Doc, DocBin, Span

    vocab, docs = spacy.blank("xx").vocab, DocBin(store_user_data=True)
    for text in texts:
        doc = Doc(vocab, words=list(text.tokens), spaces=list(text.spaces), user_data=text.data)
        spans = [Span(doc, start, end, label) for start, end, label in sorted(text.entities)]
        flat = all(one.end <= other.start for one, other in pairwise(spans))
        doc.set_ents(spans if flat else [])
        if not flat:
            doc.spans[SPAN_GROUP] = spans
        docs.add(doc)
    docs.to_disk(path)


def _spans(doc: Any, location: str) -> tuple[Span, ...]:
    found = doc.ents or doc.spans.get(SPAN_GROUP, ())
    return tuple(Span(s.start_char, s.end_char, s.label_, location) for s in found)


def _words(doc: Any, reading: Reading) -> tuple[tuple[Range, ...], ...]:
    """The tokens' ranges by sentence; a token belongs to the sentence in which it begins."""
    if doc.has_annotation("SENT_START"):
        starts = [sentence.start_char for sentence in doc.sents]
    else:
        starts = [start for start, _ in reading.sentences(doc.text)]
    sentences: list[list[Range]] = [[] for _ in range(len(starts) + 1)]
    for token in doc:
        if not token.is_space:
            sentences[bisect_right(starts, token.idx)].append((token.idx, token.idx + len(token.text)))
    return tuple(tuple(words) for words in sentences if words)
