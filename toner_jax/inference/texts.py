"""Raw texts as sentences, in groups small enough to be held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from toner_jax.schema import Sentence
from toner_jax.text.words import Reading, sentences_from_text

# The number of a text, a sentence of it, and whether that is the text's last.
Numbered = tuple[int, Sentence, bool]

# A group ends once it has so many words.
_WORDS = 1 << 17


def sentence_groups(texts: Iterable[str], size: int, reading: Reading) -> Iterator[list[Numbered]]:
    """The sentences of all texts in order, at most `size` at a time; a text without any has an empty one."""
    group: list[Numbered] = []
    words = 0
    for numbered in _numbered(texts, reading):
        group.append(numbered)
        words += len(numbered[1].words)
        if len(group) == size or words >= _WORDS:
            yield group
            group, words = [], 0
    if group:
        yield group


def _numbered(texts: Iterable[str], reading: Reading) -> Iterator[Numbered]:
    for i, text in enumerate(texts):
        sentences = sentences_from_text(str(i), text, reading)
        sentence = next(sentences)
        for following in sentences:
            yield i, sentence, False
            sentence = following
        yield i, sentence, True
