"""Doccano's JSON lines, of a project with or without relations:

{"text": "Rain in Lima.", "label": [[8, 12, "LOC"]]}
{"text": "Rain in Lima.", "entities": [{"start_offset": 8, "end_offset": 12, "label": "LOC"}], "relations": []}
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from toner_jax.data.documents import Document, read_documents
from toner_jax.data.formats.answers import approved_in_doccano, is_prodigy
from toner_jax.data.formats.json_values import (
    Record,
    get_explanation,
    get_id,
    get_list,
    get_spans,
    get_text,
    one_of,
    read_records,
)
from toner_jax.data.formats.offsets import Annotation, place_all
from toner_jax.data.formats.sample import Sample
from toner_jax.data.reading import Read, check_not_empty, running_document
from toner_jax.data.repairs import Repairs
from toner_jax.schema import Schema
from toner_jax.text.words import READING, Reading

_SPANS = ("label", "labels", "entities")


def read_doccano(
    path: Path,
    schema: Schema | None,
    split: str = "",
    *,
    pretokenized: bool = False,
    reading: Reading = READING,
) -> Read:
    """Sentences of Doccano's export of sequence labelling; a text's `id` is the `doc_id`.

    Args:
      schema: its names and tags are the labels that the file may use; None leaves them as they are.
      split: begins the ids of sentences, and of texts without one.
      pretokenized, reading: as for `read_documents`.

    Returns:
      The sentences. Repairs: those of `read_documents` and of `place_all`, `not_entities` (relations), and
      `unapproved` (left out).

    Raises:
      UserError: the file cannot be read, is empty, or has a malformed object, which is named.
    """
    repairs = Repairs()

    def documents() -> Iterator[Document]:
        items = list(approved_in_doccano(read_records(path), repairs))
        given = [(get_text(item, "text", at), _spans(item, at)) for item, at in items]
        every = zip(items, given, place_all(given, repairs), strict=True)
        for i, ((item, location), (text, _), placed) in enumerate(every):
            spans = tuple(a.span(location) for a in placed)
            relations = get_list(item, "relations", location) if "relations" in item else []
            repairs.add("not_entities", location, len(relations))
            id = get_id(item, "id", location) or running_document(split, i)
            explanation = get_explanation(item, location)
            yield Document(id, text, spans, location=location, explanation=explanation)

    read = read_documents(
        documents(), schema, split, pretokenized=pretokenized, reading=reading, repairs=repairs
    )
    check_not_empty(read.sentences, path)
    return read


def _spans(item: Record, location: str) -> list[Annotation]:
    return get_spans(item, one_of(item, _SPANS, location) or _SPANS[0], location)


def recognizes_doccano(sample: Sample) -> bool:
    """Whether texts have a `label` of lists, or `entities` with `start_offset`. Where all are empty: whether
    JSON lines have labels or relations."""
    texts = [item for item in sample.records if "text" in item and not is_prodigy(item)]
    for item in texts:
        for key in _SPANS:
            found = item.get(key)
            if isinstance(found, list) and found:
                if key == "entities":
                    return isinstance(found[0], dict) and "start_offset" in found[0]
                return isinstance(found[0], list)
    keys = {key for item in texts for key in item}
    return sample.first.startswith("{") and bool(keys & {"label", "labels", "relations"})
