"""Sentences as JSON lines, exactly as they were read: what a work directory and the cache keep of data."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from toner_jax.atoms import GLUE, bare
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Sentence, Unreachable


def dump_sentences(sentences: Iterable[Sentence]) -> str:
    """One JSON object a line."""
    return "".join(
        json.dumps(
            {
                "id": s.id,
                "doc_id": s.doc_id,
                "text": s.text,
                "offsets": s.offsets,
                "glued": [i for i, word in enumerate(s.words) if word != bare(word)],
                "raw": s.raw,
                "entities": [[e.start, e.end, e.type] for e in s.entities],
                "unreachable": [[e.start, e.end, e.type] for e in s.unreachable],
                **({"explanation": s.explanation} if s.explanation else {}),
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
    return parse_sentences(lines, str(path))


def parse_sentences(lines: Iterable[str], source: str) -> list[Sentence]:
    """The sentences that `dump_sentences` wrote as lines.

    Args:
      source: names the lines in errors.

    Raises:
      UserError: a line is damaged.
    """
    sentences = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            text, offsets = entry["text"], tuple((a, b) for a, b in entry["offsets"])
            glued = set(entry["glued"])
            words = tuple(GLUE * (i in glued) + text[a:b] for i, (a, b) in enumerate(offsets))
            entities = tuple(Entity(start, end, name) for start, end, name in entry["entities"])
            lost = tuple(Unreachable(start, end, name) for start, end, name in entry["unreachable"])
            own = entry["doc_id"], lost, entry["raw"], entry.get("explanation", "")
            sentences.append(Sentence(entry["id"], words, offsets, text, entities, *own))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{source}:{number}: not a sentence ({error!r})") from error
    return sentences
