"""Raw texts as sentences, in groups small enough to be held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from toner_jax.atoms import without_glue
from toner_jax.schema import Sentence, make_sentence
from toner_jax.text.words import Reading, lines_of_words, sentence_from_text, sentences_from_text


class PretokenizedText(str):
    """A text with a sentence a line and white space around its words."""

    __slots__ = ()


# Raw text, or the words of one sentence.
Text = str | Sequence[str]
# The number of a text, a sentence of it, and whether that is the text's last.
Numbered = tuple[int, Sentence, bool]

# A group ends once it has so many words.
_WORDS = 1 << 17


def checked_texts(texts: Iterable[str]) -> list[str]:
    """All texts.

    Raises:
      TypeError: what is no list of strings, with the number of the item that is none.
    """
    if isinstance(texts, str | bytes):
        raise TypeError("expected a list of texts; wrap a single one: [text]")
    if isinstance(texts, Mapping) or getattr(texts, "ndim", 1) > 1:  # as a data frame's
        raise TypeError("expected a list of texts, not a table; give the part of it that holds them")
    if not isinstance(texts, Iterable):
        raise TypeError(f"expected a list of texts, not {texts!r}")
    found = list(texts)
    for i, text in enumerate(found):
        if not isinstance(text, str):
            raise TypeError(f"text {i} is {text!r}; expected a string")
    return found


def texts_or_words(
    texts: Iterable[str] | None, words: Iterable[Sequence[str]] | None
) -> Sequence[str] | Sequence[Sequence[str]]:
    """What `predict` was given: texts, or sentences as lists of words.

    Raises:
      TypeError: both or neither, or what is no list of them.
    """
    if (texts is None) == (words is None):
        raise TypeError("predict takes texts, or words=…, one of the two")
    if words is None:
        assert texts is not None
        return checked_texts(texts)
    sentences = [words] if isinstance(words, str) else list(words)
    if any(isinstance(sentence, str) for sentence in sentences):
        raise TypeError("words: expected a list of sentences, each a list of words; texts go without words=")
    return sentences


def sentence_groups(texts: Iterable[Text], size: int, reading: Reading) -> Iterator[list[Numbered]]:
    """The sentences of all texts in order, at most `size` at a time; a text without any has an empty one.

    Raises:
      TypeError: what is neither a string nor a list of strings, with its number.
    """
    group: list[Numbered] = []
    words = 0
    for numbered in numbered_sentences(texts, reading):
        group.append(numbered)
        words += len(numbered[1].words)
        if len(group) == size or words >= _WORDS:
            yield group
            group, words = [], 0
    if group:
        yield group


def numbered_sentences(texts: Iterable[Text], reading: Reading) -> Iterator[Numbered]:
    """The sentences of all texts in order, as they are asked for; a text without any has an empty one.

    Raises:
      TypeError: what is neither a string nor a list of strings, with its number.
    """
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            yield i, _sentence_of_words(i, text), True
            continue
        read = _lines_of_words if isinstance(text, PretokenizedText) else sentences_from_text
        sentences = read(str(i), text, reading)
        sentence = next(sentences)
        for following in sentences:
            yield i, sentence, False
            sentence = following
        yield i, sentence, True


def whole_texts(texts: Iterable[str], reading: Reading) -> Iterator[Numbered]:
    """Each text as one sentence."""
    for i, text in enumerate(texts):
        yield i, sentence_from_text(str(i), text, reading), True


def _lines_of_words(id: str, text: str, _: Reading) -> Iterator[Sentence]:
    lines = lines_of_words(text)
    for words in lines or [[]]:
        yield Sentence(id, tuple(without_glue(text[a:b]) for a, b in words), tuple(words), text, raw=True)


def _sentence_of_words(number: int, words: Sequence[str]) -> Sentence:
    if not isinstance(words, Sequence | np.ndarray):
        raise TypeError(f"text {number} is a {type(words).__name__}; expected a string, or a list of words")
    for i, word in enumerate(words):
        if not isinstance(word, str):
            raise TypeError(f"word {i} of text {number} is {word!r}; expected a string")
    # One of white space alone stays, so that the others keep their numbers; the model does not see it.
    return make_sentence(str(number), [word.strip() for word in words], (), None)
