"""The JSON shapes in which preprocessed benchmarks are passed around, told apart by their keys.

| shape | record | a span's end |
| --- | --- | --- |
| W2NER | `{sentence: [word], ner: [{index: [i, …], type}]}` | the last index of the list |
| mrc | `{context, label: {TYPE: ["first;last"]}}`, words separated by spaces | inclusive |
| mrc query | `{context, entity_label, span_position: ["first;last"]}`, a record for each type | inclusive |
| BARTNER | `{sentences: [[word]], ners: [[[first, last, type]]]}`, within the sentence | inclusive |
| PURE, DyGIE | `{sentences: [[word]], ner: [[[first, last, type]]]}`, within the document | inclusive |
| CNN_Nested_NER | `{tokens, entity_mentions: [{start, end, entity_type}]}` | exclusive |
| UIE | `{tokens, entity: [{offset: [i, …], type, text}]}` | the last index of the list |
| characters | `{sentence: "text", entities: [{start, end, type}]}`, in characters | exclusive |

The keys that a shape needs are listed; others are ignored. PURE's and DyGIE's relation data mark the heads
of mentions, which no other copy of these sets does, so records with `relations` are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from toner_jax.data.documents import Document, Span, read_documents
from toner_jax.data.formats.json_records import as_int, as_list, as_text, get_key, kind_of, read_records
from toner_jax.data.reading import Read, check_not_empty, resolve_label
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema, make_sentence

_Span = tuple[int, int, str]  # words, half-open, and the label


@dataclass
class _Words:
    """A sentence of words, its spans, and the place that names it in errors."""

    words: list[str]
    spans: list[_Span]
    place: str
    doc_id: str | None = None


def read_json_shapes(path: Path, schema: Schema | None, split: str) -> Read:
    """Reads a file of one of the shapes, an array of records or a record a line.

    Returns:
      The sentences. Counted: `discontinuous` (entities left out whose words are not neighbours, which
      this package cannot represent), `word_split` (a word with white space inside became several),
      `duplicate_entity`, and what `read_documents` counts for spans of characters.

    Raises:
      UserError: not JSON, a record of no known shape or of another than the records before it, or a value
        that is wrong; with the line or the record's number.
    """
    records = list(read_records(path))
    if not records:
        raise UserError(f"{path}: empty: it holds no record; check that this is the right file")
    shape = _shape(records[0][1], records[0][0])
    for place, record in records:
        if (other := _shape(record, place)) != shape:
            raise UserError(
                f"{place}: a record of shape {other} after records of shape {shape}; give each a file"
            )
    counts: Counter[str] = Counter()
    if shape == "characters":
        read = read_documents([_characters(record, place) for place, record in records], schema, split)
        sentences = tuple(replace(s, doc_id=None) for s in read.sentences)
        counts.update(read.repairs)
    else:
        found = _merged_queries(records) if shape == "mrc query" else _each(_READERS[shape], records, counts)
        sentences = tuple(
            make_sentence(f"{split}-{i}", *_checked(raw, schema, counts), schema, doc_id=raw.doc_id)
            for i, raw in enumerate(found)
        )
    check_not_empty(sentences, path)
    return Read(sentences, {reason: n for reason, n in counts.items() if n})


def _shape(record: Mapping[str, Any], place: str) -> str:
    if {"sentences", "ner", "relations"} <= record.keys():
        raise UserError(
            f"{place}: relation data of PURE or DyGIE (sentences, ner, relations): it marks the heads of mentions, not "
            "their whole extents, so its scores compare with no NER result; use a copy made for NER"
        )
    for shape, keys in _KEYS.items():
        if all(
            key in record and (kind is None or isinstance(record[key], kind)) for key, kind in keys.items()
        ):
            return shape
    raise UserError(
        f"{place}: its keys ({', '.join(map(repr, list(record)[:8]))}) are of no known shape: "
        + "; ".join(f"{shape} has {', '.join(keys)}" for shape, keys in _KEYS.items())
    )


# Shape → the keys it is known by, and the kind of value where that is needed to tell.
_KEYS: Mapping[str, Mapping[str, type | None]] = {
    "W2NER": {"sentence": list, "ner": None},
    "mrc": {"context": None, "label": None},
    "mrc query": {"context": None, "entity_label": None, "span_position": None},
    "BARTNER": {"sentences": None, "ners": None},
    "PURE": {"sentences": None, "ner": None},
    "CNN_Nested_NER": {"tokens": None, "entity_mentions": None},
    "UIE": {"tokens": None, "entity": None},
    "characters": {"sentence": str, "entities": None},
}


def _each(
    reader: Callable[[dict[str, Any], str, Counter[str]], Iterable[_Words]],
    records: Iterable[tuple[str, dict[str, Any]]],
    counts: Counter[str],
) -> Iterator[_Words]:
    for place, record in records:
        yield from reader(record, place, counts)


def _w2ner(record: dict[str, Any], place: str, counts: Counter[str]) -> Iterator[_Words]:
    spans = []
    for item in as_list(record["ner"], "ner", place):
        found = _run(get_key(item, "index", place), "index", place, counts)
        if found:
            spans.append((*found, as_text(get_key(item, "type", place), "type", place)))
    yield _Words(_words(record["sentence"], "sentence", place), spans, place)


def _uie(record: dict[str, Any], place: str, counts: Counter[str]) -> Iterator[_Words]:
    words, spans = _words(record["tokens"], "tokens", place), []
    for item in as_list(record["entity"], "entity", place):
        found = _run(get_key(item, "offset", place), "offset", place, counts)
        if found:
            written = as_text(get_key(item, "text", place), "text", place)
            if "".join(written.split()) != "".join(" ".join(words[slice(*found)]).split()):
                raise UserError(
                    f"{place}: entity {written!r} is not what stands at its words {item['offset']}"
                )
            spans.append((*found, as_text(get_key(item, "type", place), "type", place)))
    yield _Words(words, spans, place)


def _cnn_nested(record: dict[str, Any], place: str, counts: Counter[str]) -> Iterator[_Words]:
    spans = [
        (
            as_int(get_key(item, "start", place), "start", place),
            as_int(get_key(item, "end", place), "end", place),
            as_text(get_key(item, "entity_type", place), "entity_type", place),
        )
        for item in as_list(record["entity_mentions"], "entity_mentions", place)
    ]
    yield _Words(_words(record["tokens"], "tokens", place), spans, place)


def _bartner(record: dict[str, Any], place: str, counts: Counter[str]) -> Iterator[_Words]:
    yield from _sentence_lists(
        record, "ners", place, [0] * len(as_list(record["sentences"], "sentences", place))
    )


def _pure(record: dict[str, Any], place: str, counts: Counter[str]) -> Iterator[_Words]:
    lengths = [len(as_list(s, "sentences", place)) for s in as_list(record["sentences"], "sentences", place)]
    yield from _sentence_lists(record, "ner", place, [0, *accumulate(lengths)][:-1])


def _sentence_lists(record: dict[str, Any], key: str, place: str, shifts: Sequence[int]) -> Iterator[_Words]:
    """Sentences beside lists of `[first, last, type]`; `shifts` is taken off the places in each."""
    sentences = as_list(record["sentences"], "sentences", place)
    groups = as_list(record[key], key, place)
    if len(groups) != len(sentences):
        raise UserError(f"{place}: {len(sentences)} sentences but {len(groups)} lists in {key!r}")
    doc_id = record.get("doc_key")
    doc_id = as_text(doc_id, "doc_key", place) if doc_id is not None else None
    for i, (words, group, shift) in enumerate(zip(sentences, groups, shifts, strict=True), 1):
        at = f"{place}: sentence {i}"
        spans = []
        for item in as_list(group, key, at):
            if not isinstance(item, list) or len(item) != 3:
                raise UserError(f"{at}: {key!r} holds {kind_of(item)} where [first, last, type] is expected")
            first, last = (as_int(value, key, at) for value in item[:2])
            spans.append((first - shift, last - shift + 1, as_text(item[2], key, at)))
        yield _Words(_words(words, "sentences", at), spans, at, doc_id)


def _mrc(record: dict[str, Any], place: str, counts: Counter[str]) -> Iterator[_Words]:
    labels = record["label"]
    if not isinstance(labels, dict):
        raise UserError(f"{place}: 'label' is {kind_of(labels)}, not an object of lists")
    spans = [
        (*_positions(position, place), label)
        for label, positions in labels.items()
        for position in as_list(positions, f"label of {label!r}", place)
    ]
    yield _Words(_context(record, place), spans, place)


def _merged_queries(records: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[_Words]:
    """One sentence for all records of a context. A context that several sentences share stands several times
    with each label: the n-th such record belongs to the n-th sentence."""
    sentences: dict[tuple[str, int], _Words] = {}
    times: Counter[tuple[str, str]] = Counter()
    for place, record in records:
        words = _context(record, place)
        context = record["context"]
        label = as_text(record["entity_label"], "entity_label", place)
        sentence = sentences.setdefault((context, times[context, label]), _Words(words, [], place))
        times[context, label] += 1
        for position in as_list(record["span_position"], "span_position", place):
            start, end = _positions(position, place)
            if not start < end <= len(words):
                raise UserError(
                    f"{place}: span {position!r} lies outside the {len(words)} words of the context"
                )
            sentence.spans.append((start, end, label))
    yield from sentences.values()


def _positions(value: Any, place: str) -> tuple[int, int]:
    first, _, last = value.partition(";") if isinstance(value, str) else ("", "", "")
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in (first, last)):
        raise UserError(f'{place}: {value!r} where a span "first;last" is expected')
    return int(first), int(last) + 1


def _context(record: dict[str, Any], place: str) -> list[str]:
    return _words(
        [word for word in as_text(record["context"], "context", place).split(" ") if word], "context", place
    )


def _characters(record: dict[str, Any], place: str) -> Document:
    text = as_text(record["sentence"], "sentence", place)
    if not text.strip():
        raise UserError(f"{place}: the sentence is empty")
    spans = [
        Span(
            as_int(get_key(item, "start", place), "start", place),
            as_int(get_key(item, "end", place), "end", place),
            as_text(get_key(item, "type", place), "type", place),
            place,
        )
        for item in as_list(record["entities"], "entities", place)
    ]
    return Document(place, text, tuple(spans), ((0, len(text)),))


_READERS: Mapping[str, Callable[[dict[str, Any], str, Counter[str]], Iterable[_Words]]] = {
    "W2NER": _w2ner,
    "mrc": _mrc,
    "BARTNER": _bartner,
    "PURE": _pure,
    "CNN_Nested_NER": _cnn_nested,
    "UIE": _uie,
}


def _checked(raw: _Words, schema: Schema | None, counts: Counter[str]) -> tuple[list[str], list[Entity]]:
    """The words and the entities; words with white space inside are cut there, and spans move along."""
    starts: list[int] = []
    words: list[str] = []
    for word in raw.words:
        starts.append(len(words))
        parts = word.split()
        counts["word_split"] += len(parts) > 1
        words += parts
    starts.append(len(words))
    entities = []
    for start, end, label in raw.spans:
        if not 0 <= start < end <= len(raw.words):
            raise UserError(
                f"{raw.place}: the span of words {start} to {end - 1} is empty or outside its {len(raw.words)} words"
            )
        entities.append(Entity(starts[start], starts[end], resolve_label(schema, label, raw.place)))
    counts["duplicate_entity"] += len(entities) - len(set(entities))
    return words, entities


def _run(value: Any, key: str, place: str, counts: Counter[str]) -> tuple[int, int] | None:
    """The range that a list of word numbers covers; None, counted, where it has gaps."""
    numbers = [as_int(i, key, place) for i in as_list(value, key, place)]
    if not numbers or numbers != sorted(set(numbers)):
        raise UserError(f"{place}: {key!r} is {numbers}, not word numbers in ascending order")
    if numbers[-1] - numbers[0] + 1 != len(numbers):
        counts["discontinuous"] += 1
        return None
    return numbers[0], numbers[-1] + 1


def _words(value: Any, key: str, place: str) -> list[str]:
    words = [as_text(word, key, place) for word in as_list(value, key, place)]
    if not words:
        raise UserError(f"{place}: {key!r} holds no words")
    if not all(word.strip() for word in words):
        raise UserError(f"{place}: {key!r} holds a word that is empty or white space")
    return words
