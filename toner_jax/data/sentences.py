"""Sentences as JSON lines, exactly as they were read: what a work directory keeps of its data."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from toner_jax.errors import UserError
from toner_jax.schema import Entity, Sentence


def dump_sentences(sentences: Iterable[Sentence]) -> str:
    """One JSON object a line."""
    return "".join(
        json.dumps(
            {
                "id": s.id,
                "doc_id": s.doc_id,
                "text": s.text,
                "offsets": s.offsets,
                "entities": [[e.start, e.end, e.type] for e in s.entities],
            }
        )
        + "\n"
        for s in sentences
    )


def load_sentences(path: Path) -> list[Sentence]:
    """Reads what `dump_sentences` wrote.

    Raises:
      UserError: the file is missing or damaged, with its line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    sentences = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            text, offsets = entry["text"], tuple((a, b) for a, b in entry["offsets"])
            words = tuple(text[a:b] for a, b in offsets)
            entities = tuple(Entity(start, end, name) for start, end, name in entry["entities"])
            sentences.append(Sentence(entry["id"], words, offsets, text, entities, entry["doc_id"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}:{number}: not a sentence ({error!r})") from error
    return sentences
