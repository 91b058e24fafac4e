"""Sentences that come as lists of words, with tags or with spans of words, whatever file held them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from toner_jax.data.reading import Read, check_characters, check_not_empty, shown
from toner_jax.data.repairs import Repairs
from toner_jax.data.tag_names import Tagging
from toner_jax.data.tags import Place, TagReader
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema, Sentence, make_sentence


class WordLists:
    """The sentences of one source that gives them as words, added in order, and what was repaired.

    Some tokenizers keep white space as tokens of its own. Such words are left out, and white space around
    others too.
    """

    def __init__(self, schema: Schema | None, split: str, tagging: Tagging | None = None):
        """`split` begins the ids of sentences that have none of their own; `tagging` is for `add_tagged`."""
        self._tags = TagReader(schema, tagging)
        self._waiting: list[Callable[[], None]] = []
        self._schema, self._prefix = schema, f"{split}-" if split else ""
        self._sentences: list[Sentence] = []
        self._repairs = Repairs()

    def add(
        self,
        words: Sequence[str],
        entities: Iterable[Entity],
        location: str,
        *,
        id: str | None = None,
        doc_id: str | None = None,
        explanation: str = "",
    ) -> None:
        """Adds a sentence of words joined by single spaces; one without words is counted alone.

        Args:
          entities: half-open spans of `words`, with the types' names.
          location: names the sentence in errors.

        Raises:
          UserError: a span outside the words, or a character that is none.
        """
        trimmed, before = self._trimmed(words, location)
        check_characters(" ".join(trimmed), location)
        found: list[Entity] = []
        for e in entities:
            if not 0 <= e.start < e.end <= len(words):
                raise UserError(
                    f"{location}: span [{shown(e.start)}, {shown(e.end)}) is empty or outside its {len(words)} words"
                )
            moved = Entity(before[e.start], before[e.end], e.type)
            if moved.start < moved.end:
                found.append(moved)
            else:
                self._repairs.add("blank_entity", location)
        if not trimmed:
            self._repairs.add("empty_text", location)
            return
        self._repairs.add("duplicate_entity", location, len(found) - len(set(found)))
        id = id or f"{self._prefix}{len(self._sentences)}"
        made = make_sentence(id, trimmed, found, self._schema, doc_id=doc_id)
        self._sentences.append(replace(made, explanation=explanation))

    def add_tagged(
        self, words: Sequence[str], tags: Sequence[str], place: Place, location: str, *,
        id: str | None = None, doc_id: str | None = None, explanation: str = "",
    ) -> None:  # fmt: skip
        """Adds a sentence with a tag for each word, as `add`. What the tags mean all of them together tell, so that
        `read` makes the sentence.

        Args:
          place: names where a word stands in errors, by its number.
        """
        for i, tag in enumerate(tags):
            self._tags.add((tag,), place(i))

        def add() -> None:
            entities = self._tags.entities(tags, place)
            self.add(words, entities, location, id=id, doc_id=doc_id, explanation=explanation)

        self._waiting.append(add)

    def _trimmed(self, words: Sequence[str], location: str) -> tuple[list[str], list[int]]:
        """The words without white space, and for each boundary of the given ones how many stand before it."""
        trimmed: list[str] = []
        before = [0]
        for word in words:
            if stripped := word.strip():
                trimmed.append(stripped)
            self._repairs.add("blank_word", location, not stripped)
            self._repairs.add("word_trimmed", location, bool(stripped) and stripped != word)
            before.append(len(trimmed))
        return trimmed, before

    def read(self, location: str | Path) -> Read:
        """All sentences. Repairs: those of `TagReader`, `blank_word`, `word_trimmed`, `blank_entity` (it had
        blank words alone), `duplicate_entity` and `empty_text`.

        Raises:
          UserError: there is no sentence, and it names `location`, or a tag means nothing.
        """
        for add in self._waiting:
            add()
        check_not_empty(self._sentences, location)
        repairs = self._tags.repairs()
        repairs.update(self._repairs)
        return Read(tuple(self._sentences), repairs)
