"""Sentences that come as lists of words with spans of words, whatever file held them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from toner_jax.data.reading import check_characters, shown
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema, Sentence, make_sentence


def sentence_from_words(
    id: str,
    words: Sequence[str],
    entities: Iterable[Entity],
    schema: Schema | None,
    *,
    doc_id: str | None,
    place: str,
    counts: Counter[str],
) -> Sentence | None:
    """A sentence of words joined by single spaces, or None for one without words.

    Some tokenizers keep white space as tokens of its own. Such words are left out, and white space around
    others too.

    Args:
      entities: half-open spans of `words`, with the types' names.
      place: names the sentence in errors.
      counts: repairs are added to it: `blank_word`, `word_trimmed`, `blank_entity` (it had blank words
        alone), `duplicate_entity`, `empty_text`.

    Raises:
      UserError: a span outside the words, or a character that is none.
    """
    kept: list[str] = []
    before = [0]  # per word boundary, the words kept before it
    for word in words:
        if stripped := word.strip():
            kept.append(stripped)
        counts["blank_word"] += not stripped
        counts["word_trimmed"] += bool(stripped) and stripped != word
        before.append(len(kept))
    check_characters(" ".join(kept), place)
    found: list[Entity] = []
    for e in entities:
        if not 0 <= e.start < e.end <= len(words):
            raise UserError(
                f"{place}: span [{shown(e.start)}, {shown(e.end)}) is empty or outside its {len(words)} words"
            )
        moved = Entity(before[e.start], before[e.end], e.type)
        if moved.start < moved.end:
            found.append(moved)
        else:
            counts["blank_entity"] += 1
    if not kept:
        counts["empty_text"] += 1
        return None
    counts["duplicate_entity"] += len(found) - len(set(found))
    return make_sentence(id, kept, found, schema, doc_id=doc_id)
