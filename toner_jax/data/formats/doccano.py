"""Doccano's JSON lines, of a project with or without relations:

{"text": "Rain in Lima.", "label": [[8, 12, "LOC"]]}
{"text": "Rain in Lima.", "entities": [{"start_offset": 8, "end_offset": 12, "label": "LOC"}], "relations": []}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from toner_jax.data.documents import Document, Span, read_documents
from toner_jax.data.formats.json_items import get_id, get_list, get_spans, get_text, one_of, read_items
from toner_jax.data.reading import Read, check_not_empty
from toner_jax.schema import Schema

_SPANS = ("label", "labels", "entities")


def read_doccano(path: Path, schema: Schema | None, split: str = "", *, pretokenized: bool = False) -> Read:
    """Sentences of Doccano's export of sequence labelling; a text's `id` is the `doc_id`.

    Args:
      schema: its names and tags are the labels that the file may use; None leaves them as they are.
      split: begins the ids of sentences, and of texts without one.
      pretokenized: as for `read_documents`.

    Returns:
      The sentences. Repairs: those of `read_documents`, and `not_entities` (relations).

    Raises:
      UserError: the file cannot be read, is empty, or has a malformed object, which is named.
    """
    counts: Counter[str] = Counter()

    def documents() -> Iterator[Document]:
        for i, (item, place) in enumerate(read_items(path)):
            text = get_text(item, "text", place)
            found = get_spans(item, one_of(item, _SPANS, place) or _SPANS[0], place)
            spans = tuple(Span(start, end, label, place) for start, end, label in found)
            counts["not_entities"] += len(get_list(item, "relations", place)) if "relations" in item else 0
            default = f"{split}-doc-{i}" if split else f"doc-{i}"
            yield Document(get_id(item, "id", place) or default, text, spans, place=place)

    read = read_documents(documents(), schema, split, pretokenized=pretokenized)
    check_not_empty(read.sentences, path)
    return Read(read.sentences, {**read.repairs, **+counts})
