"""The JSON shapes that annotate characters of a text.

| shape | record |
| --- | --- |
| characters | `{sentence: "text", entities: [{start, end, type}]}` |
| InstructUIE | `{sentence: "text", entities: [{pos: [start, end], type, name}]}` |
| spaCy's training data | `["text", {entities: [[start, end, label]]}]` |
| tecoholic's annotator | `{classes, annotations: [["text", {entities: [[start, end, label]]}], …]}` |
| GLiNER2 | `{input: "text", output: {entities: {label: ["mention"]}}}` |

Ends are exclusive. GLiNER2 gives no ranges: a mention must stand in its text as often as it is listed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from toner_jax.data.documents import Document
from toner_jax.data.formats.json_values import (
    Record,
    as_text,
    check_span,
    get_list,
    get_objects,
    get_spans,
    get_surfaces,
    get_text,
    get_value,
    is_pair,
)
from toner_jax.data.formats.offsets import Annotation, place_all
from toner_jax.data.reading import running_document, shown
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError

Value = tuple[Any, str]  # of a file, and its location

# What data for language models are in, by keys; ranges of entities are in none of them.
_CONVERSATIONS: Mapping[str, tuple[str, ...]] = {
    "the conversations of ShareGPT and UniversalNER": ("conversations",),
    "chat messages": ("messages",),
    "Alpaca's instructions": ("instruction", "output"),
    "prompts and completions": ("prompt", "completion"),
    "prompts and responses": ("prompt", "response"),
}


def is_tecoholic(value: object) -> bool:
    """Whether it is the one object that tecoholic's annotator writes."""
    return isinstance(value, dict) and {"classes", "annotations"} <= value.keys()


def without_wrapping(values: Iterable[Value], repairs: Repairs) -> Iterator[Value]:
    """The values, and instead of tecoholic's object its pairs; texts that nobody annotated are counted.

    Raises:
      UserError: an annotation is neither a pair nor null.
    """
    for value, location in values:
        if not is_tecoholic(value):
            yield value, location
            continue
        for number, pair in enumerate(get_list(value, "annotations", location), 1):
            where = f"{location}: annotation {number}"
            if pair is not None and not is_pair(pair):
                raise UserError(f'{where} is {shown(pair)}; expected ["text", {{"entities": [...]}}]')
            repairs.add("unannotated_text", where, pair is None)
            if pair is not None:
                yield pair, where


def refuse_other_data(record: Mapping[str, Any], location: str) -> None:
    """Refuses records that are known to hold no ranges of entities, by the name of their form.

    Raises:
      UserError: it is such a record.
    """
    for name, keys in _CONVERSATIONS.items():
        if all(key in record for key in keys):
            raise UserError(
                f"{location}: these are {name} ({', '.join(keys)}), which name entities but not where they are; "
                "bring the data that they were made of, as words with tags or texts with ranges"
            )
    if "paragraphs" in record:
        raise UserError(
            f"{location}: spaCy 2's training JSON (paragraphs), which is not read; make a .spacy file of it with "
            "python -m spacy convert"
        )


# A document, still without the annotations beside it, which its file may count otherwise.
_Annotated = tuple[Document, list[Annotation]]


def read_texts(shape: str, values: Sequence[Value], split: str, repairs: Repairs) -> Iterator[Document]:
    """The documents of a file.

    Args:
      shape: of its values, one of `TEXTS`.
      split: begins the ids of texts that have none.

    Raises:
      UserError: one is malformed, has spans beside its entities, or mentions more or less often than they are listed;
        or as `place_all`.
    """
    read = TEXTS[shape]
    given = [read(v, at, running_document(split, i), repairs) for i, (v, at) in enumerate(values)]
    every = place_all([(document.text, found) for document, found in given], repairs)
    for (document, _), placed in zip(given, every, strict=True):
        yield replace(document, spans=(*document.spans, *(a.span(a.location) for a in placed)))


def _sentence(record: Record, location: str, id: str, repairs: Repairs) -> _Annotated:
    """A record of the shape "characters" or of InstructUIE: one sentence."""
    text = get_text(record, "sentence", location)
    if not text.strip():
        raise UserError(f'{location}: "sentence" is empty')
    found = []
    for item, where in get_objects(record, "entities", location):
        pair = get_list(item, "pos", where) if "pos" in item and "start" not in item else None
        if pair is not None and len(pair) != 2:
            raise UserError(f'{where}: "pos" is {shown(pair)}; expected [start, end]')
        start, end = pair or (get_value(item, "start", where), get_value(item, "end", where))
        first, last, label = check_span(start, end, get_text(item, "type", where), where)
        found.append(Annotation(((first, last),), label, where, get_surfaces(item)))
    return Document(None, text, sentences=((0, len(text)),), location=location), found


def _pair(value: list[Any], location: str, id: str, repairs: Repairs) -> _Annotated:
    """A pair of spaCy's training data: a text of any number of sentences."""
    text, annotations = as_text(value[0], "the text", location), value[1]
    if annotations.get("spans"):
        raise UserError(f'{location}: has "spans", which are not read; keep "entities" alone')
    return Document(id, text, location=location), get_spans(annotations, "entities", location)


def _mentions(record: Record, location: str, id: str, repairs: Repairs) -> _Annotated:
    """A record of GLiNER2."""
    text, output = get_text(record, "input", location), record["output"]
    labels = get_value(output, "entities", f'{location}: "output" of GLiNER2')
    if not isinstance(labels, dict):
        raise UserError(f'{location}: "entities" is {shown(labels)}; expected lists of mentions by label')
    repairs.add("not_entities", location, len(output) - 1)
    found = []
    for label in labels:
        mentions = [
            as_text(m, f"a mention of {shown(label)}", location) for m in get_list(labels, label, location)
        ]
        for mention, times in Counter(mentions).items():
            found_at = (
                [m.span() for m in re.finditer(rf"(?<!\w){re.escape(mention)}(?!\w)", text)]
                if mention
                else []
            )
            if len(found_at) != times:
                raise UserError(
                    f"{location}: GLiNER2 lists {shown(mention)} {_often(times)}, but it stands in the text "
                    f"{_often(len(found_at))}, and nothing says where it is meant; give ranges: "
                    '{"text", "entities": [[start, end, label]]}'
                )
            for start, end in found_at:
                first, last, name = check_span(start, end, label, location)
                found.append(Annotation(((first, last),), name, location, (mention,)))
    return Document(id, text, tuple(a.span(location) for a in found), location=location), []


TEXTS: Mapping[str, Callable[[Any, str, str, Repairs], _Annotated]] = {
    "characters": _sentence,
    "spaCy": _pair,
    "GLiNER2": _mentions,
}


def _often(times: int) -> str:
    return f"{times} time{'s' * (times != 1)}"
