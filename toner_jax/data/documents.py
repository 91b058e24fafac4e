"""Raw documents with character spans → sentences of words: what brat, JSON with offsets, ACE and the like
come down to.

Sentences and words are cut by `toner_jax.text.words`. An entity is never dropped: a word that it cuts is
split, sentences that it crosses are joined, and both are counted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from toner_jax.data.reading import Read, resolve_label
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema, Sentence, sort_entities
from toner_jax.text.words import Range, split_into_sentences


@dataclass(frozen=True)
class Span:
    """An annotation: the half-open character range `start` … `end` of a document, as the file labels it.

    `place` names it in errors (`file:line`).
    """

    start: int
    end: int
    label: str
    place: str


@dataclass(frozen=True)
class Document:
    """A text and its annotations.

    `sentences`, where the file gives them, are character ranges that replace the automatic splitting.
    """

    id: str
    text: str
    spans: tuple[Span, ...] = ()
    sentences: tuple[Range, ...] | None = None


def read_documents(documents: Iterable[Document], schema: Schema, split: str = "") -> Read:
    """Sentences of documents, in order, with ids `{split}-{i}` and the documents' own as `doc_id`.

    Each sentence's `text` is its slice of the document. Repairs counted: `span_trimmed` (white space at
    an entity's edge), `word_split` (an entity began or ended inside a word), `sentences_joined` (an entity
    crossed a sentence boundary), `duplicate_entity`.

    Raises:
      UserError: a span that is empty or outside its text, or a label that the schema lacks; it names the
        span's place.
    """
    counts: Counter[str] = Counter()
    prefix = f"{split}-" if split else ""
    sentences: list[Sentence] = []
    for document in documents:
        for text, words, entities in _sentences(document, schema, counts):
            offsets = tuple(words)
            sentences.append(
                Sentence(
                    f"{prefix}{len(sentences)}",
                    tuple(text[a:b] for a, b in offsets),
                    offsets,
                    text,
                    entities,
                    document.id,
                )
            )
    return Read(tuple(sentences), {reason: n for reason, n in counts.items() if n})


def _sentences(
    document: Document, schema: Schema, counts: Counter[str]
) -> Iterable[tuple[str, list[Range], tuple[Entity, ...]]]:
    spans = [_checked(span, document, schema, counts) for span in document.spans]
    groups = split_into_sentences(document.text, document.sentences)
    groups = _joined(groups, [(a, b) for a, b, _ in spans], counts)
    firsts = [g[0][0] for g in groups]
    found: list[list[tuple[int, int, str]]] = [[] for _ in groups]
    for (a, b, name), span in zip(spans, document.spans, strict=True):
        at = bisect_right(firsts, a) - 1
        if at < 0 or b > groups[at][-1][1]:
            raise UserError(f"{span.place}: the span lies outside the sentences of {document.id!r}")
        found[at].append((a, b, name))
    for uncut, inside in zip(groups, found, strict=True):
        group = _with_boundaries(uncut, inside, counts)
        begin, end = group[0][0], group[-1][1]
        starts, ends = [a for a, _ in group], [b for _, b in group]
        entities = [Entity(bisect_left(starts, a), bisect_left(ends, b) + 1, name) for a, b, name in inside]
        counts["duplicate_entity"] += len(entities) - len(set(entities))
        words = [(a - begin, b - begin) for a, b in group]
        yield document.text[begin:end], words, sort_entities(entities, schema)


def _checked(span: Span, document: Document, schema: Schema, counts: Counter[str]) -> tuple[int, int, str]:
    """The span without white space at its edges, and its type."""
    start, end, text = span.start, span.end, document.text
    if not 0 <= start < end <= len(text):
        raise UserError(
            f"{span.place}: span [{start}, {end}) of {document.id!r} is empty or outside its text of "
            f"{len(text)} characters"
        )
    name = resolve_label(schema, span.label, span.place)
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    if start == end:
        raise UserError(
            f"{span.place}: span [{span.start}, {span.end}) of {document.id!r} holds only white space"
        )
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
            out[-1] = out[-1] + group
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
