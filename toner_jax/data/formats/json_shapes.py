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
| GLiNER | `{tokenized_text: [word], ner: [[first, last, label]]}` | inclusive |

Those that annotate characters are in `json_texts.py`. The keys that a shape needs are listed; others are ignored.
PURE's and DyGIE's relation data mark the heads of mentions, which no other copy of these sets does, so records with
`relations` are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from toner_jax.data.documents import read_documents
from toner_jax.data.formats.json_texts import (
    TEXTS,
    is_tecoholic,
    read_texts,
    refuse_other_data,
    without_wrapping,
)
from toner_jax.data.formats.json_values import (
    Record,
    as_int,
    as_list,
    as_text,
    get_int,
    get_list,
    get_objects,
    get_surfaces,
    get_text,
    is_pair,
    read_values,
)
from toner_jax.data.formats.json_words import same_words
from toner_jax.data.formats.sample import Sample
from toner_jax.data.reading import Read, check_not_empty, resolve_label, shown
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema, make_sentence
from toner_jax.text.words import READING, Reading

_Span = tuple[int, int, str]  # words, half-open, and the label


@dataclass
class _Words:
    """A sentence of words, its spans, and the location that names it in errors."""

    words: list[str]
    spans: list[_Span]
    location: str
    doc_id: str | None = None


def read_json_shapes(
    path: Path, schema: Schema | None, split: str = "", *, reading: Reading = READING
) -> Read:
    """Reads a file of one of the shapes, an array of records or a record a line.

    Returns:
      The sentences. Counted: `discontinuous` (entities left out whose words are not neighbours, which
      this package cannot represent), `word_split` (a word with white space inside became several),
      `duplicate_entity`, and what `read_documents` counts for spans of characters.

    Raises:
      UserError: not JSON, a record of no known shape or of another than the records before it, or a value
        that is wrong; with the line or the record's number.
    """
    repairs = Repairs()
    values = list(without_wrapping(read_values(path), repairs))
    if not values:
        raise UserError(f"{path}: empty: it holds no record; check that this is the right file")
    shape = _shape(*values[0])
    for value, location in values:
        if (other := _shape(value, location)) != shape:
            raise UserError(
                f"{location}: a record of shape {other} after records of shape {shape}; give each a file"
            )
    if shape in TEXTS:
        documents = read_texts(shape, values, split, repairs)
        read = read_documents(documents, schema, split, reading=reading, repairs=repairs)
        check_not_empty(read.sentences, path)
        return read
    found = _merged_queries(values) if shape == "mrc query" else _each(_READERS[shape], values, repairs)
    sentences = tuple(
        make_sentence(f"{split}-{i}", *_checked(raw, schema, repairs), schema, doc_id=raw.doc_id)
        for i, raw in enumerate(found)
    )
    check_not_empty(sentences, path)
    return Read(sentences, repairs)


def recognizes_json_shapes(sample: Sample) -> bool:
    """Whether the first record is of one of the shapes."""
    first = sample.values[0] if sample.values else None
    return is_tecoholic(first) or known_shape(first) is not None


def known_shape(record: Any) -> str | None:
    """The shape of a record; None for others."""
    if not isinstance(record, dict):
        return "spaCy" if is_pair(record) else None
    for shape, keys in _KEYS.items():
        if all(
            key in record and (kind is None or isinstance(record[key], kind)) for key, kind in keys.items()
        ):
            return shape
    return None


def _shape(record: Any, location: str) -> str:
    if not isinstance(record, dict) and not is_pair(record):
        raise UserError(f'{location}: expected an object {{"…": …}}, not {shown(record)}')
    if isinstance(record, dict) and {"sentences", "ner", "relations"} <= record.keys():
        raise UserError(
            f"{location}: relation data of PURE or DyGIE (sentences, ner, relations): it marks the heads of mentions, "
            "not their whole extents, so its scores compare with no NER result; use a copy made for NER"
        )
    shape = known_shape(record)
    if shape is None:
        refuse_other_data(record, location)
        raise UserError(
            f"{location}: its keys ({', '.join(map(shown, list(record)[:8]))}) are of no known shape: "
            + "; ".join(f"{shape} has {', '.join(keys)}" for shape, keys in _KEYS.items())
            + "; data.format=auto finds other forms of JSON"
        )
    return shape


# Shape → the keys it is known by, and the kind of value where that is needed to tell.
_KEYS: Mapping[str, Mapping[str, type | None]] = {
    "W2NER": {"sentence": list, "ner": None},
    "mrc": {"context": None, "label": None},
    "mrc query": {"context": None, "entity_label": None, "span_position": None},
    "BARTNER": {"sentences": None, "ners": None},
    "PURE": {"sentences": None, "ner": None},
    "CNN_Nested_NER": {"tokens": None, "entity_mentions": None},
    "UIE": {"tokens": None, "entity": None},
    "GLiNER": {"tokenized_text": None, "ner": None},
    "GLiNER2": {"input": str, "output": dict},
    "characters": {"sentence": str, "entities": None},
}


def _each(
    reader: Callable[[Record, str, Repairs], Iterable[_Words]],
    records: Iterable[tuple[Record, str]],
    repairs: Repairs,
) -> Iterator[_Words]:
    for record, location in records:
        yield from reader(record, location, repairs)


def _w2ner(record: Record, location: str, repairs: Repairs) -> Iterator[_Words]:
    words, spans = _words(record["sentence"], "sentence", location), []
    for item, where in get_objects(record, "ner", location):
        if found := _run(item, "index", where, repairs):
            _check_said(item, words, found, where)
            spans.append((*found, get_text(item, "type", where)))
    yield _Words(words, spans, location)


def _uie(record: Record, location: str, repairs: Repairs) -> Iterator[_Words]:
    words, spans = _words(record["tokens"], "tokens", location), []
    for item, where in get_objects(record, "entity", location):
        if found := _run(item, "offset", where, repairs):
            get_text(item, "text", where)
            _check_said(item, words, found, where)
            spans.append((*found, get_text(item, "type", where)))
    yield _Words(words, spans, location)


def _cnn_nested(record: Record, location: str, repairs: Repairs) -> Iterator[_Words]:
    words, spans = _words(record["tokens"], "tokens", location), []
    for item, where in get_objects(record, "entity_mentions", location):
        start, end = get_int(item, "start", where), get_int(item, "end", where)
        _check_said(item, words, (start, end), where)
        spans.append((start, end, get_text(item, "entity_type", where)))
    yield _Words(words, spans, location)


def _bartner(record: Record, location: str, repairs: Repairs) -> Iterator[_Words]:
    yield from _sentence_lists(record, "ners", location, [0] * len(get_list(record, "sentences", location)))


def _pure(record: Record, location: str, repairs: Repairs) -> Iterator[_Words]:
    sentences = get_list(record, "sentences", location)
    lengths = [len(as_list(s, f'"sentences"[{i}]', location)) for i, s in enumerate(sentences)]
    yield from _sentence_lists(record, "ner", location, [0, *accumulate(lengths)][:-1])


def _sentence_lists(record: Record, key: str, location: str, shifts: Sequence[int]) -> Iterator[_Words]:
    """Sentences beside lists of `[first, last, type]`; `shifts` is taken off the word numbers in each."""
    sentences = get_list(record, "sentences", location)
    groups = get_list(record, key, location)
    if len(groups) != len(sentences):
        raise UserError(f'{location}: {len(sentences)} sentences but {len(groups)} lists in "{key}"')
    doc_id = None if record.get("doc_key") is None else get_text(record, "doc_key", location)
    for i, (words, group, shift) in enumerate(zip(sentences, groups, shifts, strict=True), 1):
        at = f"{location}: sentence {i}"
        spans = [(start - shift, end - shift, label) for start, end, label in _inclusive(group, key, at)]
        yield _Words(_words(words, "sentences", at), spans, at, doc_id)


def _inclusive(value: Any, key: str, location: str) -> Iterator[_Span]:
    """The spans of a list of `[first, last, type]`."""
    for item in as_list(value, f'its list in "{key}"', location):
        if not isinstance(item, list) or len(item) != 3:
            raise UserError(f'{location}: "{key}" holds {shown(item)}; expected [first, last, type]')
        first, last = (as_int(number, f'{location}: "{key}"') for number in item[:2])
        yield first, last + 1, as_text(item[2], f'a type in "{key}"', location)


def _mrc(record: Record, location: str, repairs: Repairs) -> Iterator[_Words]:
    labels = record["label"]
    if not isinstance(labels, dict):
        raise UserError(f'{location}: "label" is {shown(labels)}; expected an object of lists')
    spans = [
        (*_positions(position, f'{location}: "label"'), label)
        for label in labels
        for position in get_list(labels, label, f'{location}: "label"')
    ]
    yield _Words(_context(record, location), spans, location)


def _merged_queries(records: Iterable[tuple[Record, str]]) -> Iterator[_Words]:
    """One sentence for all records of a context. A context that several sentences share stands several times
    with each label: the n-th such record belongs to the n-th sentence."""
    sentences: dict[tuple[str, int], _Words] = {}
    times: Counter[tuple[str, str]] = Counter()
    for record, location in records:
        words = _context(record, location)
        context = record["context"]
        label = get_text(record, "entity_label", location)
        sentence = sentences.setdefault((context, times[context, label]), _Words(words, [], location))
        times[context, label] += 1
        for position in get_list(record, "span_position", location):
            start, end = _positions(position, f'{location}: "span_position"')
            if not start < end <= len(words):
                raise UserError(
                    f"{location}: span {position!r} lies outside the {len(words)} words of the context"
                )
            sentence.spans.append((start, end, label))
    yield from sentences.values()


def _positions(value: Any, location: str) -> tuple[int, int]:
    first, _, last = value.partition(";") if isinstance(value, str) else ("", "", "")
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in (first, last)):
        raise UserError(f'{location}: {shown(value)} where a span "first;last" is expected')
    return int(first), int(last) + 1


def _context(record: Record, location: str) -> list[str]:
    return _words(
        [word for word in get_text(record, "context", location).split(" ") if word], "context", location
    )


def _gliner(record: Record, location: str, repairs: Repairs) -> Iterator[_Words]:
    spans = list(_inclusive(record["ner"], "ner", location))
    yield _Words(_words(record["tokenized_text"], "tokenized_text", location), spans, location)


_READERS: Mapping[str, Callable[[Record, str, Repairs], Iterable[_Words]]] = {
    "W2NER": _w2ner,
    "mrc": _mrc,
    "BARTNER": _bartner,
    "PURE": _pure,
    "CNN_Nested_NER": _cnn_nested,
    "UIE": _uie,
    "GLiNER": _gliner,
}


def _checked(raw: _Words, schema: Schema | None, repairs: Repairs) -> tuple[list[str], list[Entity]]:
    """The words and the entities; words with white space inside are cut there, and spans move along."""
    starts: list[int] = []
    words: list[str] = []
    for word in raw.words:
        starts.append(len(words))
        parts = word.split()
        repairs.add("word_split", raw.location, len(parts) > 1)
        words += parts
    starts.append(len(words))
    entities = []
    for start, end, label in raw.spans:
        if not 0 <= start < end <= len(raw.words):
            raise UserError(
                f"{raw.location}: the span of words {start} to {end - 1} is empty or outside its {len(raw.words)} words"
            )
        entities.append(Entity(starts[start], starts[end], resolve_label(schema, label, raw.location)))
    repairs.add("duplicate_entity", raw.location, len(entities) - len(set(entities)))
    return words, entities


def _check_said(item: Record, words: Sequence[str], span: tuple[int, int], location: str) -> None:
    """Refuses a span that says something else than its words; one outside the words is refused later."""
    there = " ".join(words[max(span[0], 0) : span[1]])
    for said in get_surfaces(item) if 0 <= span[0] < span[1] <= len(words) else ():
        if not same_words(said, there):
            raise UserError(f"{location}: {shown(said)} is not what stands at its words, {shown(there)}")


def _run(item: Record, key: str, location: str, repairs: Repairs) -> tuple[int, int] | None:
    """The range that a list of word numbers covers; None, counted, where it has gaps."""
    numbers = [as_int(i, f'{location}: "{key}"') for i in get_list(item, key, location)]
    if not numbers or numbers != sorted(set(numbers)):
        raise UserError(f'{location}: "{key}" is {shown(numbers)}; expected word numbers in ascending order')
    if numbers[-1] - numbers[0] + 1 != len(numbers):
        repairs.add("discontinuous", location)
        return None
    return numbers[0], numbers[-1] + 1


def _words(value: Any, key: str, location: str) -> list[str]:
    words = [
        as_text(word, f'"{key}"[{i}]', location)
        for i, word in enumerate(as_list(value, f'"{key}"', location))
    ]
    if not words:
        raise UserError(f'{location}: "{key}" holds no words')
    if not all(word.strip() for word in words):
        raise UserError(f'{location}: "{key}" holds a word that is empty or white space')
    return words
