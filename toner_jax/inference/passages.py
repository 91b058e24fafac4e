"""Raw text of any length as inputs: as many whole sentences each as the generator reads at once."""

from __future__ import annotations

from collections.abc import Iterator

from toner_jax.schema import Sentence
from toner_jax.text.ids import WordIds
from toner_jax.text.words import Range, iter_sentences, words_between


def passages(id: str, text: str, word_ids: WordIds, limit: int) -> Iterator[Sentence]:
    """Parts of a text in order, made as they are asked for; a text that fits is one, an empty one too.

    Args:
      limit: pieces of a passage. A sentence with more is a passage of its own, which
        `toner_jax.inference.windows` cuts.

    Yields:
      Sentences of which `text` is the whole text and `offsets` lead into it.
    """
    words: list[Range] = []
    pieces, count = 0, 0
    for start, end in iter_sentences(text):
        more = words_between(text, start, end)
        length = len(word_ids.words([text[a:b] for a, b in more]))
        if words and pieces + length > limit:
            yield _sentence(id, text, words)
            words, pieces, count = [], 0, count + 1
        words += more
        pieces += length
    if words or not count:
        yield _sentence(id, text, words)


def _sentence(id: str, text: str, words: list[Range]) -> Sentence:
    return Sentence(id, tuple(text[a:b] for a, b in words), tuple(words), text)
