"""Raw documents with character spans → sentences of words: what brat, JSON with offsets, ACE and the like
come down to.

Sentences and words are those that the file gives, else `toner_jax.text.words` cuts them: by the text alone, as
`predict` does, never by the annotation. An entity that begins or ends inside a word, or lies in several sentences, is
kept as the sentence's `unreachable`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain, pairwise

from toner_jax.atoms import GLUE, Range, glue_words, is_blank, without_glue
from toner_jax.data.reading import Read, check_characters, resolve_label, shown
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema, Sentence, Unreachable, sort_entities
from toner_jax.text.words import READING, Reading, lines_of_words, read_words, split_into_sentences

_Annotation = tuple[int, int, str]  # characters, and a type


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
      glued: with words of one sentence that were once cut from raw text: which of them stand right after others.
      unreachable: annotations that such words do not make up.
      sentence_id: what a single sentence is called instead of by its number.
      location: names the document in errors (`file:line`).
      explanation: of the entities; a single sentence keeps it.
    """

    id: str | None
    text: str
    spans: tuple[Span, ...] = ()
    sentences: tuple[Range, ...] | None = None
    words: tuple[tuple[Range, ...], ...] | None = None
    glued: Set[int] | None = None
    unreachable: tuple[Span, ...] = ()
    sentence_id: str | None = None
    location: str = ""
    explanation: str = ""


def read_documents(
    documents: Iterable[Document],
    schema: Schema | None,
    split: str = "",
    *,
    pretokenized: bool = False,
    reading: Reading = READING,
    repairs: Repairs | None = None,
) -> Read:
    """Sentences of documents, in order, with ids `{split}-{i}` and the documents' own as `doc_id`.

    Each sentence's `text` is its slice of the document. Repairs counted: `span_trimmed` (white space at
    an entity's edge), `duplicate_entity`, `empty_text` (a document without a word, left out),
    `explanation_of_sentences` (of several, so that it is none's).

    Args:
      schema: its names and tags are the labels that the documents may use; None leaves them as they are.
      pretokenized: documents without words of their own have a sentence a line and white space around
        words, and are not split further.
      reading: how raw text is read.
      repairs: those of the format itself, to which these are added while the documents are read.

    Raises:
      UserError: a span that is empty or outside its text, a label that the schema lacks, or a
        character that is none; it names the location.
    """
    repairs = Repairs() if repairs is None else repairs
    prefix = f"{split}-" if split else ""
    sentences: list[Sentence] = []
    for document in documents:
        check_characters(document.text, document.location or repr(document.id))
        given = document.words is not None or pretokenized
        found = list(_sentences(document, schema, pretokenized, None if given else reading, repairs))
        repairs.add("empty_text", document.location or repr(document.id), not found)
        own_id, explanation = (document.sentence_id, document.explanation) if len(found) == 1 else (None, "")
        several = len(found) > 1 and bool(document.explanation)
        repairs.add("explanation_of_sentences", document.location or repr(document.id), several)
        for sentence in found:
            id = own_id or f"{prefix}{len(sentences)}"
            raw = not given or document.glued is not None
            sentences.append(replace(sentence, id=id, doc_id=document.id, raw=raw, explanation=explanation))
    return Read(tuple(sentences), repairs)


def _words(document: Document, pretokenized: bool, reading: Reading | None) -> list[list[Range]]:
    if document.words is not None:
        return [list(words) for words in document.words if words]
    if pretokenized:
        return lines_of_words(document.text)
    return split_into_sentences(document.text, document.sentences, reading or READING)


def _sentences(
    document: Document,
    schema: Schema | None,
    pretokenized: bool,
    reading: Reading | None,
    repairs: Repairs,
) -> Iterator[Sentence]:
    """The sentences, without ids; `reading` None: of words that were given."""
    text, groups = document.text, _words(document, pretokenized, reading)
    word_edges = {a for group in groups for a, _ in group}, {b for group in groups for _, b in group}
    spans = [_checked(span, text, word_edges, schema, repairs) for span in document.spans]
    whole = document.words is not None and len(groups) == 1
    bounds = [(0, len(text))] if whole else [(group[0][0], group[-1][1]) for group in groups]
    inside = _by_sentence(bounds, spans, document.spans)
    edges_of, given = sorted(chain.from_iterable(groups)), dict(zip(spans, document.spans, strict=True))
    for group, (begin, end), own in zip(groups, bounds, inside, strict=True):
        ranges, words = _written(document, group, reading)
        firsts, lasts = ({edge: i for i, edge in enumerate(side)} for side in zip(*ranges, strict=True))
        reached = [s for s in own if s[0] in firsts and s[1] in lasts]
        known = set(reached)
        entities = [Entity(firsts[a], lasts[b] + 1, name) for a, b, name in reached]
        lost = {s for s in own if s not in known}
        lost |= {(s.start, s.end, resolve_label(schema, s.label, s.location)) for s in document.unreachable}
        if lost:
            _check_edges(lost & set(own), edges_of, given)
        for annotation, times in Counter(own).items():
            repairs.add("duplicate_entity", given[annotation].location, times - 1)
        yield Sentence(
            "",
            words,
            tuple((a - begin, b - begin) for a, b in ranges),
            text[begin:end],
            sort_entities(entities, schema),
            unreachable=tuple(Unreachable(a - begin, b - begin, name) for a, b, name in sorted(lost)),
        )


def _written(
    document: Document, group: Sequence[Range], reading: Reading | None
) -> tuple[tuple[Range, ...], tuple[str, ...]]:
    """The words of a sentence as `Sentence` has them, and their ranges."""
    if document.glued is None and reading is not None:
        return read_words(document.text, group, reading)
    words = [document.text[a:b] for a, b in group]
    if document.glued is None:
        return tuple(group), glue_words(words, [b < c for (_, b), (c, _) in pairwise(group)])
    written = (GLUE * (i in document.glued) + without_glue(word) for i, word in enumerate(words))
    return tuple(group), tuple(written)


def _check_edges(lost: Set[_Annotation], words: Sequence[Range], given: Mapping[_Annotation, Span]) -> None:
    """Raises:
    UserError: an annotation begins or ends in no word at all.
    """
    for annotation in lost:
        for at in (annotation[0], annotation[1] - 1):
            i = bisect_right(words, at, key=lambda word: word[0]) - 1
            if i >= 0 and at < words[i][1]:
                continue
            raise UserError(
                f"{given[annotation].location}: span [{annotation[0]}, {annotation[1]}) begins or ends between the "
                "words of its text"
            )


def _by_sentence(
    bounds: Sequence[Range], spans: Sequence[_Annotation], given: Sequence[Span]
) -> list[list[_Annotation]]:
    """The annotations of each sentence: of several, the one that it begins in.

    Raises:
      UserError: one lies between the sentences.
    """
    inside: list[list[_Annotation]] = [[] for _ in bounds]
    for annotation, span in zip(spans, given, strict=True):
        at = bisect_right(bounds, annotation[0], key=lambda bound: bound[1])
        if at == len(bounds) or bounds[at][0] >= annotation[1]:
            raise UserError(
                f"{span.location}: span [{span.start}, {span.end}) lies outside the sentences of its text"
            )
        inside[at].append(annotation)
    return inside


def _checked(
    span: Span, text: str, edges: tuple[Set[int], Set[int]], schema: Schema | None, repairs: Repairs
) -> _Annotation:
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
    while start < end and is_blank(text[start]) and start not in edges[0]:
        start += 1
    while start < end and is_blank(text[end - 1]) and end not in edges[1]:
        end -= 1
    if start == end:
        raise UserError(f"{span.location}: span [{span.start}, {span.end}) holds only white space")
    repairs.add("span_trimmed", span.location, (start, end) != (span.start, span.end))
    return start, end, name
