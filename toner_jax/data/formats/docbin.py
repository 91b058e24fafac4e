"""spaCy's `DocBin` files (`.spacy`), what its training and annotation tools write."""

from __future__ import annotations

import io
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from toner_jax.atoms import Range
from toner_jax.common import reads
from toner_jax.common.files import naming
from toner_jax.data.documents import Document, Span, read_documents
from toner_jax.data.formats.sample import Sample
from toner_jax.data.reading import Read, check_not_empty, running_document, shown
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError
from toner_jax.schema import Schema
from toner_jax.text.words import READING, Reading

SPAN_GROUP = "sc"  # the key that spaCy's own span categorizer reads and writes
_MOST_BYTES = 2 << 30  # of a file, decompressed: some twenty million tokens
_MOST_EXPANDED = 1032  # times as many bytes as a file has: zlib makes no more of them
_PIECE = 1 << 20
ENTS = "ents"  # what stands for a doc's own entities where a span group is asked for


def read_docbin(
    path: Path,
    schema: Schema | None,
    split: str = "",
    *,
    span_group: str = "",
    reading: Reading = READING,
) -> Read:
    """Sentences of a `.spacy` file; its words are spaCy's tokens, less white space.

    Sentences are the doc's own where it knows them, else found in its text.

    Args:
      schema: its names and tags are the labels that the file may use; None leaves them as they are.
      split: begins the ids of sentences and documents.
      span_group: what holds the entities of all docs: a key of their span groups, whose spans may overlap, or "ents".
        "" for each doc's `ents`, or where it has none its group "sc"; other groups with spans are refused.

    Returns:
      The sentences. Repairs: those of `read_documents`; `other_spans` (of `ents` or of groups that were not chosen),
      `unlabelled_region` (left out) and `unknown_token` (where spaCy says that nobody knows whether it is of an entity;
      read as outside any).

    Raises:
      UserError: spaCy is not installed, the file is missing, is no `DocBin` or empty, or its entities are in span
        groups of which none was chosen.
    """
    docs = list(_docs(path))
    _check_groups([doc for doc, _ in docs], path, span_group)
    repairs = Repairs()
    documents = (
        Document(
            running_document(split, i),
            doc.text,
            tuple(_spans(doc, span_group, location, repairs)),
            words=_words(doc, reading),
            location=location,
        )
        for i, (doc, location) in enumerate(docs)
    )
    read = read_documents(documents, schema, split, repairs=repairs)
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

    try:
        data = reads.read(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    _check_size(data, path)
    try:
        docs = list(DocBin().from_bytes(data).get_docs(spacy.blank("xx").vocab))
        for doc in docs:  # looked up only where they are asked for
            [span.label_ for found in (doc.ents, *doc.spans.values()) for span in found]
            [sentence.start for sentence in doc.sents] if doc.has_annotation("SENT_START") else []
    except MemoryError as error:  # which damaged bytes that claim to be long bring, too
        raise UserError(f"{path}: damaged, or too large for this machine's memory") from error
    except Exception as error:  # whatever its compression, packing and arrays raise on damaged bytes
        reason = f"{type(error).__name__}: {error}".split("\n")[0]
        raise UserError(f"{path}: not a spaCy DocBin, or damaged ({reason[:200]})") from error
    for i, doc in enumerate(docs):
        yield doc, f"{path}: doc {i}"


def _check_size(data: bytes, path: Path) -> None:
    """Decompresses a file's bytes piece by piece, and throws the pieces away.

    Raises:
      UserError: it holds more than can be read: zlib makes a thousand times as much of a file.
    """
    if len(data) * _MOST_EXPANDED <= _MOST_BYTES:
        return
    unpacked, size = zlib.decompressobj(), 0
    with io.BytesIO(data) as file, suppress(zlib.error):  # one that is damaged is told about as it is read
        while (block := unpacked.unconsumed_tail or file.read(_PIECE)) and size <= _MOST_BYTES:
            size += len(unpacked.decompress(block, _PIECE))
    if size > _MOST_BYTES:
        raise UserError(
            f"{path}: holds more than {_MOST_BYTES / 2**30:g} GiB when it is decompressed; write its docs into several "
            "files, and name the folder or each of them"
        )


def _check_groups(docs: Sequence[Any], path: Path, span_group: str) -> None:
    """Raises:
    UserError: a span group was chosen that is not there, or none where there are others than "sc".
    """
    groups = sorted({key for doc in docs for key, spans in doc.spans.items() if len(spans)})
    if span_group not in ("", ENTS) and docs and not any(span_group in doc.spans for doc in docs):
        there = f"; choose one of {', '.join(map(shown, groups))}" if groups else ""
        raise UserError(f"{path}: no doc has spans in the group {shown(span_group)} (data.span_group){there}")
    if not span_group and (others := [key for key in groups if key != SPAN_GROUP]):
        raise UserError(
            f"{path}: docs have spans in groups of their own ({', '.join(map(shown, groups))}); choose what holds the "
            f"entities with data.span_group={others[0]}, or {ENTS} for doc.ents"
        )


def _spans(doc: Any, span_group: str, location: str, repairs: Repairs) -> Iterator[Span]:
    key = span_group or (SPAN_GROUP if not doc.ents and SPAN_GROUP in doc.spans else ENTS)
    groups = ((f"spans {shown(name)}", found, name == key != ENTS) for name, found in doc.spans.items())
    for name, found, chosen in ((ENTS, doc.ents, key == ENTS), *groups):
        if not chosen:
            repairs.add("other_spans", f"{location}: {name}", len(found))
            continue
        for span in found:
            repairs.add("unlabelled_region", location, not span.label_)
            if span.label_:
                yield Span(span.start_char, span.end_char, span.label_, location)
    for token in doc if key == ENTS else ():
        repairs.add("unknown_token", f"{location}: token {token.i}", not token.ent_iob and not token.is_space)


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
      is_sentence: whether it is known to be one sentence; else nothing is said of sentences.
    """

    tokens: Sequence[str]
    spaces: Sequence[bool]
    entities: Sequence[tuple[int, int, str]]
    data: dict[str, Any]
    is_sentence: bool = False


def write_docbin(texts: Iterable[TokenizedText], path: Path) -> None:
    """Writes a doc for each text: its entities are its `ents`, or where some overlap its span group "sc".

    Raises:
      UserError: spaCy is not installed.
    """
    check_spacy(path, "writing")
    import spacy
    from spacy.tokens import Doc, DocBin, Span

    vocab, docs = spacy.blank("xx").vocab, DocBin(store_user_data=True)
    for text in texts:
        starts: list[bool | int | None] | None
        starts = [i == 0 for i in range(len(text.tokens))] if text.is_sentence else None
        words, spaces = list(text.tokens), list(text.spaces)
        doc = Doc(vocab, words=words, spaces=spaces, sent_starts=starts, user_data=text.data)
        spans = [Span(doc, start, end, label) for start, end, label in sorted(text.entities)]
        flat = all(one.end <= other.start for one, other in pairwise(spans))
        doc.set_ents(spans if flat else [])  # tokens outside are known to be so
        if not flat:
            doc.spans[SPAN_GROUP] = spans
        docs.add(doc)
    with naming(path):
        docs.to_disk(path)


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
