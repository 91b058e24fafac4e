"""Raw texts as sentences, in groups small enough to be held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from toner_jax.schema import Sentence, make_sentence
from toner_jax.text.words import Reading, sentences_from_text

# Raw text, or the words of one sentence.
Text = str | Sequence[str]
# The number of a text, a sentence of it, and whether that is the text's last.
Numbered = tuple[int, Sentence, bool]

# A group ends once it has so many words.
_WORDS = 1 << 17


def sentence_groups(texts: Iterable[Text], size: int, reading: Reading) -> Iterator[list[Numbered]]:
    """The sentences of all texts in order, at most `size` at a time; a text without any has an empty one.

    Raises:
      TypeError: what is neither a string nor a list of strings, with its number.
    """
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


def _numbered(texts: Iterable[Text], reading: Reading) -> Iterator[Numbered]:
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            yield i, _sentence_of_words(i, text), True
            continue
        sentences = sentences_from_text(str(i), text, reading)
        sentence = next(sentences)
        for following in sentences:
            yield i, sentence, False
            sentence = following
        yield i, sentence, True


def _sentence_of_words(number: int, words: Sequence[str]) -> Sentence:
    if not isinstance(words, Sequence | np.ndarray):
        raise TypeError(f"text {number} is a {type(words).__name__}; expected a string, or a list of words")
    for i, word in enumerate(words):
        if not isinstance(word, str):
            raise TypeError(f"word {i} of text {number} is {word!r}; expected a string")
    # One of white space alone stays, so that the others keep their numbers; the model does not see it.
    return make_sentence(str(number), [word.strip() for word in words], (), None)
