"""Raw documents with character spans → sentences of words: what brat, JSON with offsets, ACE and the like
come down to.

Sentences and words are those that the file gives, else `toner_jax.text.words` cuts them. An entity is never
dropped: a word that it cuts is split, sentences that it crosses are joined, and both are counted.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from toner_jax.data.reading import Read, check_characters, resolve_label, shown
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema, Sentence, sort_entities
from toner_jax.text.words import Range, split_into_sentences

_NOT_SPACE = re.compile(r"[^ \t\r]+")


@dataclass(frozen=True)
class Span:
    """An annotation: the half-open character range `start` … `end` of a document, as the file labels it.

    `location` names it in errors (`file:line`).
    """

    start: int
    end: int
    label: str
    location: str


@dataclass(frozen=True)
class Document:
    """A text and its annotations.

    Attributes:
      id: becomes the sentences' `doc_id`.
      sentences: where the file gives them, character ranges that replace the automatic splitting.
      words: where the file gives them, the words' character ranges, sentence by sentence; they replace both
        splittings, and a single sentence keeps the whole text as its own.
      sentence_id: what a single sentence is called instead of by its number.
      location: names the document in errors (`file:line`).
    """

    id: str | None
    text: str
    spans: tuple[Span, ...] = ()
    sentences: tuple[Range, ...] | None = None
    words: tuple[tuple[Range, ...], ...] | None = None
    sentence_id: str | None = None
    location: str = ""


def read_documents(
    documents: Iterable[Document], schema: Schema | None, split: str = "", *, pretokenized: bool = False
) -> Read:
    """Sentences of documents, in order, with ids `{split}-{i}` and the documents' own as `doc_id`.

    Each sentence's `text` is its slice of the document. Repairs counted: `span_trimmed` (white space at
    an entity's edge), `word_split` (an entity began or ended inside a word), `sentences_joined` (an entity
    crossed a sentence boundary), `duplicate_entity`, `empty_text` (a document without a word, left out).

    Args:
      schema: its names and tags are the labels that the documents may use; None leaves them as they are.
      pretokenized: documents without words of their own have a sentence a line and white space around
        words, and are not split further.

    Raises:
      UserError: a span that is empty, outside its text or its words, a label that the schema lacks, or a
        character that is none; it names the location.
    """
    counts: Counter[str] = Counter()
    prefix = f"{split}-" if split else ""
    sentences: list[Sentence] = []
    for document in documents:
        check_characters(document.text, document.location or repr(document.id))
        found = list(_sentences(document, schema, pretokenized, counts))
        counts["empty_text"] += not found
        own_id = document.sentence_id if len(found) == 1 else None
        for text, words, entities in found:
            offsets = tuple(words)
            sentences.append(
                Sentence(
                    own_id or f"{prefix}{len(sentences)}",
                    tuple(text[a:b] for a, b in offsets),
                    offsets,
                    text,
                    entities,
                    document.id,
                )
            )
    return Read(tuple(sentences), +counts)


def lines_of_words(text: str) -> list[list[Range]]:
    """The words of each line, bounded by spaces, tabs and line ends alone; lines without words left out."""
    lines: list[list[Range]] = []
    start = 0
    for line in text.split("\n"):
        if words := [(start + m.start(), start + m.end()) for m in _NOT_SPACE.finditer(line)]:
            lines.append(words)
        start += len(line) + 1
    return lines


def _words(document: Document, pretokenized: bool) -> list[list[Range]]:
    if document.words is not None:
        return [list(words) for words in document.words if words]
    if pretokenized:
        return lines_of_words(document.text)
    return split_into_sentences(document.text, document.sentences)


def _sentences(
    document: Document, schema: Schema | None, pretokenized: bool, counts: Counter[str]
) -> Iterable[tuple[str, list[Range], tuple[Entity, ...]]]:
    """Each sentence's text, its words in it, and its entities."""
    groups = _words(document, pretokenized)
    edges = {a for group in groups for a, _ in group}, {b for group in groups for _, b in group}
    spans = [_checked(span, document.text, edges, schema, counts) for span in document.spans]
    whole = document.words is not None and len(groups) == 1
    groups = _joined(groups, [(a, b) for a, b, _ in spans], counts)
    begins = [g[0][0] for g in groups]
    found: list[list[tuple[int, int, str]]] = [[] for _ in groups]
    locations: list[list[str]] = [[] for _ in groups]
    for (a, b, name), span in zip(spans, document.spans, strict=True):
        at = bisect_right(begins, a) - 1
        if at < 0 or b > groups[at][-1][1]:
            raise UserError(f"{span.location}: span [{a}, {b}) lies outside the sentences of its text")
        found[at].append((a, b, name))
        locations[at].append(span.location)
    for uncut, inside, where in zip(groups, found, locations, strict=True):
        group = _with_boundaries(uncut, inside, counts)
        begin, end = (0, len(document.text)) if whole else (group[0][0], group[-1][1])
        firsts, lasts = {a: i for i, (a, _) in enumerate(group)}, {b: i for i, (_, b) in enumerate(group, 1)}
        for (a, b, _), location in zip(inside, where, strict=True):
            if a not in firsts or b not in lasts:
                raise UserError(f"{location}: span [{a}, {b}) begins or ends between the words of its text")
        entities = [Entity(firsts[a], lasts[b], name) for a, b, name in inside]
        counts["duplicate_entity"] += len(entities) - len(set(entities))
        words = [(a - begin, b - begin) for a, b in group]
        yield document.text[begin:end], words, sort_entities(entities, schema)


def _checked(
    span: Span, text: str, edges: tuple[Set[int], Set[int]], schema: Schema | None, counts: Counter[str]
) -> tuple[int, int, str]:
    """The span without white space at its ends that belongs to no word, and its type.

    Args:
      edges: where words begin, and where they end.
    """
    start, end = span.start, span.end
    if not 0 <= start < end <= len(text):
        raise UserError(
            f"{span.location}: span [{shown(start)}, {shown(end)}) is empty or outside its text of "
            f"{len(text)} characters"
        )
    name = resolve_label(schema, span.label, span.location)
    while start < end and text[start].isspace() and start not in edges[0]:
        start += 1
    while start < end and text[end - 1].isspace() and end not in edges[1]:
        end -= 1
    if start == end:
        raise UserError(f"{span.location}: span [{span.start}, {span.end}) holds only white space")
    counts["span_trimmed"] += (start, end) != (span.start, span.end)
    return start, end, name


def _joined(
    groups: list[list[Range]], spans: Sequence[tuple[int, int]], counts: Counter[str]
) -> list[list[Range]]:
    """Sentences such that no span crosses one's end."""
    reach = iter(sorted(spans))
    span = next(reach, None)
    out: list[list[Range]] = []
    open_until = -1
    for group in groups:
        if out and group[0][0] < open_until:
            out[-1].extend(group)
            counts["sentences_joined"] += 1
        else:
            out.append(group)
        while span is not None and span[0] < group[-1][1]:
            open_until = max(open_until, span[1])
            span = next(reach, None)
    return out


def _with_boundaries(
    group: list[Range], spans: Sequence[tuple[int, int, str]], counts: Counter[str]
) -> list[Range]:
    """The words, split wherever a span begins or ends inside one."""
    cuts = sorted({edge for a, b, _ in spans for edge in (a, b)})
    words: list[Range] = []
    for a, b in group:
        inside = cuts[bisect_right(cuts, a) : bisect_left(cuts, b)]
        counts["word_split"] += bool(inside)
        edges = [a, *inside, b]
        words += list(pairwise(edges))
    return words
