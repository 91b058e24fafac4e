"""JSON lines, or an array of the same objects. One kind a file, told by its keys:

    {"text": "Rain in Lima.", "entities": [{"start": 8, "end": 12, "label": "LOC"}]}       characters
    {"words": ["Rain", "in", "Lima"], "entities": [{"start": 2, "end": 3, "label": "LOC"}]}     words
    {"words": ["Rain", "in", "Lima"], "tags": ["O", "O", "B-LOC"]}                              tags

Spans are half-open. With a text, `words` may be the words' character ranges: then the object is one sentence
and keeps these words. `write_jsonl` writes sentences so, and keeps them exactly: of those that came as raw text it adds
`glued`, the numbers of the words that stand right after the one before them, and where there are any `unreachable`,
the entities that no words make up.

Other spellings: `tokens` for words; `spans` for entities; `ner_tags` for tags; `[start, end, label]` for a
span; a range may be `{"start", "end"}`. `id`, `doc_id` and `explanation` (of the entities) are optional, other keys do
not matter. A span may repeat its text, which is checked; so are words and tags beside the text that they were made of.
Prodigy's records are of this kind (`formats/answers.py`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toner_jax.atoms import Range, bare
from toner_jax.common.files import naming
from toner_jax.data.documents import Document, read_documents
from toner_jax.data.formats.answers import accepted_by_prodigy, is_prodigy
from toner_jax.data.formats.json_shapes import known_shape
from toner_jax.data.formats.json_texts import refuse_other_data
from toner_jax.data.formats.json_values import (
    as_int,
    check_span,
    get_explanation,
    get_id,
    get_list,
    get_spans,
    get_text,
    one_of,
    read_records,
)
from toner_jax.data.formats.json_words import TAGS, WORDS, document_of_words, get_tags, get_words, same_words
from toner_jax.data.formats.offsets import Annotation, FileCounting, countings, place_annotations
from toner_jax.data.formats.sample import Sample
from toner_jax.data.reading import Read, check_not_empty, resolve_label, running_document, shown
from toner_jax.data.repairs import Repairs
from toner_jax.data.tag_names import Tagging
from toner_jax.data.tags import TagReader
from toner_jax.data.word_lists import WordLists
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema, Sentence
from toner_jax.text.words import READING, Reading

_SPANS = ("entities", "spans")

_Item = tuple[dict[str, Any], str]


def read_jsonl(
    path: Path,
    schema: Schema | None,
    split: str = "",
    *,
    pretokenized: bool = False,
    reading: Reading = READING,
    tagging: Tagging | None = None,
) -> Read:
    """Sentences of a JSON lines file or a JSON array.

    Args:
      schema: its names and tags are the labels that the file may use; None leaves them as they are.
      split: begins the ids of sentences and documents that the file does not name.
      pretokenized, reading: as for `read_documents`, for texts without words.
      tagging: how tags are written, where they do not tell.

    Returns:
      The sentences. An object with words is one, named by its `id`; a text without words has any number of
      them, and its `doc_id` or `id` names the document. Repairs: those of `accepted_by_prodigy`, `read_documents` and
      `place_annotations` or `WordLists`, and `not_entities` (relations).

    Raises:
      UserError: the file cannot be read, is empty, mixes kinds, or has a malformed object, which is named.
    """
    repairs = Repairs()
    items = list(_checked(accepted_by_prodigy(read_records(path), repairs), repairs))
    kinds = _kinds(items)
    if "words" in kinds or "tags" in kinds:
        read = _read_words(path, items, schema, WordLists(schema, split, tagging), "tags" in kinds)
        read.repairs.update(repairs)
        return read
    tags = TagReader(schema, tagging)
    documents = (
        _tagged_documents(items, tags, repairs)
        if "tags with text" in kinds
        else _documents(items, split, repairs)
    )
    read = read_documents(
        documents, schema, split, pretokenized=pretokenized, reading=reading, repairs=repairs
    )
    read.repairs.update(tags.repairs())
    check_not_empty(read.sentences, path)
    return read


def recognizes_jsonl(sample: Sample) -> bool:
    """Whether a record annotates a text or words under this format's keys, unlike the exports of tools."""
    return any(
        ("text" in item and (is_prodigy(item) or any(key in item for key in _SPANS)))
        or (any(key in item for key in WORDS) and any(key in item for key in (*_SPANS, *TAGS)))
        for item in sample.records
    )


def write_jsonl(sentences: Iterable[Sentence], path: Path) -> None:
    """Writes sentences, one a line, such that `read_jsonl` gives the same ones back, raw text included."""
    with naming(path), path.open("w", encoding="utf-8", newline="\n") as file:
        for s in sentences:
            value: dict[str, Any] = {
                "id": s.id,
                "doc_id": s.doc_id,
                "text": s.text,
                "words": s.offsets,
                "entities": [s.span_json(e) for e in s.entities],
            }
            if s.raw:
                value["glued"] = [i for i, word in enumerate(s.words) if word != bare(word)]
            if s.explanation:
                value["explanation"] = s.explanation
            if s.unreachable:
                value["unreachable"] = [
                    {"start": e.start, "end": e.end, "label": e.type} for e in s.unreachable
                ]
            file.write(json.dumps(value, ensure_ascii=False) + "\n")


def _checked(items: Iterable[_Item], repairs: Repairs) -> Iterator[_Item]:
    """The items, of which all or none have an `id`, each its own; their relations are counted."""
    seen: dict[str | None, str] = {}
    for item, location in items:
        id = get_id(item, "id", location)
        if seen and (id is None) != (None in seen):
            raise UserError(f'{location}: give every line an "id", or none')
        if id is not None and id in seen:
            raise UserError(f'{location}: "id" {shown(id)} was already used in {seen[id]}')
        seen[id] = location
        relations = item.get("relations")
        repairs.add("not_entities", location, len(relations) if isinstance(relations, list) else 0)
        yield item, location


def _kinds(items: Iterable[_Item]) -> Collection[str]:
    """The kind of the items, of which there is one at most."""
    kinds: dict[str, str] = {}
    for item, location in items:
        kinds.setdefault(_kind(item, location), location)
    if len(kinds) > 1:
        (first, _), (other, location) = list(kinds.items())[:2]
        raise UserError(f"{location}: annotates {other} where the file began with {first}; keep to one kind")
    return kinds


def _kind(item: Mapping[str, Any], location: str) -> str:
    words, spans, tags = (one_of(item, keys, location) for keys in (WORDS, _SPANS, TAGS))
    if spans and tags:
        raise UserError(f'{location}: has both "{spans}" and "{tags}"; keep one of them')
    if "text" in item:
        if tags:
            if not words:
                raise UserError(f'{location}: has "{tags}" beside "text", but no "words" that they belong to')
            return "tags with text"
        return "characters with words" if words else "characters"
    if words:
        return "tags" if tags else "words"
    refuse_other_data(item, location)
    if shape := known_shape(item):
        raise UserError(f"{location}: a record of shape {shape}, which data.format=json reads")
    raise UserError(
        f'{location}: has neither "text" nor "words"; its keys are {", ".join(map(shown, list(item)[:10]))}'
    )


def _documents(items: Sequence[_Item], split: str, repairs: Repairs) -> Iterator[Document]:
    given = [(get_text(item, "text", at), _spans(item, at)) for item, at in items]
    counting = FileCounting()
    for (item, at), (text, spans) in zip(items, given, strict=True):
        if not one_of(item, WORDS, at):
            counting.learn(text, spans)
    for i, ((item, at), annotated) in enumerate(zip(items, given, strict=True)):
        yield _document(item, at, running_document(split, i), annotated, counting, repairs)


def _document(
    item: Mapping[str, Any],
    location: str,
    default: str,
    annotated: tuple[str, Sequence[Annotation]],
    counting: FileCounting,
    repairs: Repairs,
) -> Document:
    text, spans = annotated
    id, doc_id = get_id(item, "id", location), get_id(item, "doc_id", location)
    key = one_of(item, WORDS, location)
    if extra := [name for name in ("glued", "unreachable") if name in item and not key]:
        raise UserError(f'{location}: has "{extra[0]}", which goes with "words"')
    ranges = _ranges(item, key, text, location, repairs) if key else ()
    glued = _glued(item, ranges, location) if "glued" in item else None
    lost = get_spans(item, "unreachable", location) if "unreachable" in item else ()
    ways = countings(text)[:1] if key else None  # words are counted as they are, and so are the spans
    placed = place_annotations(text, spans, repairs, ways=ways, known=counting.left)
    return Document(
        doc_id if key else doc_id or id or default,
        text,
        tuple(a.span(location) for a in placed),
        words=(ranges,) if key else None,
        glued=glued,
        unreachable=tuple(a.span(location) for a in lost),
        sentence_id=id if key else None,
        location=location,
        explanation=get_explanation(item, location),
    )


def _glued(item: Mapping[str, Any], words: Sequence[Range], location: str) -> frozenset[int]:
    """The numbers of the words that stand right after the one before them."""
    numbers = [as_int(i, f'{location}: "glued"') for i in get_list(item, "glued", location)]
    for i in numbers:
        if not 0 < i < len(words) or words[i - 1][1] != words[i][0]:
            raise UserError(f'{location}: "glued" names word {i}, which does not stand right after another')
    return frozenset(numbers)


def _ranges(
    item: Mapping[str, Any], key: str, text: str, location: str, repairs: Repairs
) -> tuple[Range, ...]:
    """The words' ranges, which follow each other within the text; tokens of spaces and line ends are none."""
    ranges: list[Range] = []
    for number, value in enumerate(get_list(item, key, location)):
        where = f'{location}: "{key}"[{number}]'
        if isinstance(value, str):
            raise UserError(
                f'{where} is {shown(value)}; beside a "text", words are character ranges [start, end]; '
                "leave out one of the two"
            )
        pair = [value.get("start"), value.get("end")] if isinstance(value, dict) else value
        if not isinstance(pair, list) or len(pair) != 2:
            raise UserError(f"{where} is {shown(value)}; expected a range [start, end]")
        start, end, _ = check_span(pair[0], pair[1], "word", where)
        if not (ranges[-1][1] if ranges else 0) <= start < end <= len(text):
            raise UserError(
                f"{where} is {shown(value)}: empty, outside the text, or before the word before it"
            )
        if text[start:end].strip(" \t\r\n"):
            ranges.append((start, end))
        else:
            repairs.add("blank_word", where)
    return tuple(ranges)


def _spans(item: Mapping[str, Any], location: str) -> list[Annotation]:
    """The spans of a record; Prodigy leaves the key out where there are none."""
    key = one_of(item, _SPANS, location)
    return [] if key is None and is_prodigy(item) else get_spans(item, key or "entities", location)


def _tagged_documents(items: Sequence[_Item], tags: TagReader, repairs: Repairs) -> list[Document]:
    given = []
    for item, location in items:
        words = get_words(item, location)
        given.append((words, get_tags(item, len(words), location)))
        tags.add(given[-1][1], location)
    # All of them are known before any is asked for its entities.
    return [
        document_of_words(item, words, tags.entities(own, ([at] * len(words)).__getitem__), at, repairs)
        for (item, at), (words, own) in zip(items, given, strict=True)
    ]


def _read_words(
    path: Path, items: Iterable[_Item], schema: Schema | None, lists: WordLists, tagged: bool
) -> Read:
    for item, location in items:
        id, doc_id = get_id(item, "id", location), get_id(item, "doc_id", location)
        explanation = get_explanation(item, location)
        if tagged:
            words = get_words(item, location)
            tags, locations = get_tags(item, len(words), location), [location] * len(words)
            at = locations.__getitem__
            lists.add_tagged(words, tags, at, location, id=id, doc_id=doc_id, explanation=explanation)
        else:
            words, entities = _spanned(item, schema, location)
            lists.add(words, entities, location, id=id, doc_id=doc_id, explanation=explanation)
    return lists.read(path)


def _spanned(
    item: Mapping[str, Any], schema: Schema | None, location: str
) -> tuple[list[str], Iterable[Entity]]:
    """The words and the entities that the spans name."""
    words, entities = get_words(item, location), []
    for a in _spans(item, location):
        there = " ".join(words[a.start : a.end]) if 0 <= a.start < a.end <= len(words) else None
        if there is not None and (wrong := [said for said in a.surfaces if not same_words(said, there)]):
            raise UserError(
                f"{a.location}: the words [{a.start}, {a.end}) are {shown(there)}, not {shown(wrong[0])}; correct one "
                "of the two"
            )
        entities.append(Entity(a.start, a.end, resolve_label(schema, a.label, location)))
    return words, entities
