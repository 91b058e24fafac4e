"""Words and tags of JSON records, and where such words stand in the text that they were made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from toner_jax.atoms import Range
from toner_jax.data.documents import Document, Span
from toner_jax.data.formats.json_values import as_text, get_explanation, get_id, get_list, get_text, one_of
from toner_jax.data.reading import shown
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError
from toner_jax.schema import Entity

WORDS = ("words", "tokens")
TAGS = ("tags", "ner_tags")

# How Penn Treebank's tokenizers write brackets and quotes.
_WRITTEN = {
    "-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}", "``": '"', "''": '"',
}  # fmt: skip


def get_words(item: Mapping[str, Any], location: str) -> list[str]:
    """The record's words, as they are.

    Raises:
      UserError: they are missing, or no list of strings.
    """
    key = one_of(item, WORDS, location) or WORDS[0]
    return [as_text(word, f'"{key}"[{i}]', location) for i, word in enumerate(get_list(item, key, location))]


def get_tags(item: Mapping[str, Any], length: int, location: str) -> list[str]:
    """The tags of `length` words, without white space around them; numbers, whose names stand elsewhere, as digits.

    Raises:
      UserError: there are more or fewer, or they are no list of strings.
    """
    key = one_of(item, TAGS, location) or TAGS[0]
    tags = get_list(item, key, location)
    if len(tags) != length:
        raise UserError(f'{location}: {len(tags)} "{key}" for {length} words')
    for tag in tags:
        if not isinstance(tag, str | int) or isinstance(tag, bool):
            raise UserError(
                f'{location}: "{key}" holds {shown(tag)}; expected strings such as "B-TYPE", or their numbers'
            )
    return [str(tag).strip() for tag in tags]


def same_words(one: str, other: str) -> bool:
    """Whether two texts are alike but for white space and how brackets and quotes are written."""

    def plain(text: str) -> str:
        for written, meant in _WRITTEN.items():
            text = text.replace(written, meant)
        return "".join(text.split())

    return plain(one) == plain(other)


def document_of_words(
    item: Mapping[str, Any], words: Sequence[str], entities: Iterable[Entity], location: str, repairs: Repairs
) -> Document:
    """A record of words beside the text that they were made of, which becomes one sentence with these words.

    Args:
      entities: half-open spans of `words`.
      repairs: gets `blank_word` for words of white space, which are left out, and `blank_entity`.

    Raises:
      UserError: a word that the text does not have after the one before it.
    """
    text = get_text(item, "text", location)
    ranges = _found(words, text, location)
    spans: list[Span] = []
    for entity in entities:
        inside = [found for found in ranges[entity.start : entity.end] if found]
        repairs.add("blank_entity", location, not inside)
        spans += [Span(inside[0][0], inside[-1][1], entity.type, location)] if inside else []
    repairs.add("blank_word", location, ranges.count(None))
    return Document(
        get_id(item, "doc_id", location),
        text,
        tuple(spans),
        words=(tuple(found for found in ranges if found),),
        sentence_id=get_id(item, "id", location),
        location=location,
        explanation=get_explanation(item, location),
    )


def _found(words: Sequence[str], text: str, location: str) -> list[Range | None]:
    """Where the words stand in the text, one after the other; None for one of white space."""
    ranges: list[Range | None] = []
    end = 0
    for number, given in enumerate(words):
        word = given.strip()
        if not word:
            ranges.append(None)
            continue
        start = end
        while start < len(text) and text[start].isspace():
            start += 1
        if not text.startswith(word, start):
            raise UserError(
                f'{location}: word {number} is {shown(word)}, but "text" goes on with '
                f"{shown(text[start : start + 20])}; correct or leave out one of the two"
            )
        end = start + len(word)
        ranges.append((start, end))
    if text[end:].strip():
        raise UserError(
            f'{location}: after its last word "text" goes on with {shown(text[end:].strip()[:20])}; '
            "correct or leave out one of the two"
        )
    return ranges
