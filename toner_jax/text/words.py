"""Words, and their offsets, in raw text."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from toner_jax.atoms import GLUE, Range, between_blanks, cut_into_atoms, has_words, unspaced, without_glue
from toner_jax.common.alone import Alone
from toner_jax.common.environment import variable
from toner_jax.schema import Sentence
from toner_jax.text.sentences import iter_sentences

# Where entities may begin and end.
ATOMS, WORDS, AUTO = "atoms", "words", "auto"

_NOT_SPACE = re.compile(r"[^ \t\r]+")
# The period that ends a sentence, before a tag or quotes, too.
_FINAL_PERIOD = re.compile(r"""(?<![.])\.(?=(?:</?\w[^<>]*>|[\s"'”’»)\]}])*$)""")


@dataclass(frozen=True)
class Reading:
    """How raw text is read.

    Attributes:
      edges: where entities may begin and end: "atoms" (so is "auto") or "words", but for scripts without spaces, where
        it is always at atoms.
      language: a code, as `en` or `de`, for the abbreviations that end no sentence.
      split_sentences: whether texts are split into sentences; False takes each as one.
    """

    edges: str = AUTO
    language: str = "en"
    split_sentences: bool = True

    def sentences(self, text: str) -> Iterator[Range]:
        """Character ranges of the text's sentences."""
        if self.split_sentences:
            return iter_sentences(text, self.language)
        return iter([(0, len(text))] if has_words(text) else [])

    def at_atoms(self, word: str) -> bool:
        """Whether entities may begin and end inside the word."""
        return self.edges != WORDS or unspaced(word)


READING = Reading()


@cache
def _treebank() -> Any:
    # Its import looks for a folder to download to, which we never do, and fails for a user without a home.
    home = os.path.expanduser("~")
    with variable("HOME", tempfile.gettempdir() if home == "~" else home):
        # Without the rest of NLTK, whose import takes a second and a half.
        return Alone("nltk").load("nltk.tokenize.destructive").NLTKWordTokenizer()


def lines_of_words(text: str) -> list[list[Range]]:
    """The words of each line, bounded by spaces, tabs and line ends alone; lines without words left out."""
    lines: list[list[Range]] = []
    start = 0
    for line in text.split("\n"):
        if words := [(start + m.start(), start + m.end()) for m in _NOT_SPACE.finditer(line)]:
            lines.append(words)
        start += len(line) + 1
    return lines


def split_into_sentences(
    text: str, sentences: Sequence[Range] | None = None, reading: Reading = READING
) -> list[list[Range]]:
    """The words (as `words_between` gives them) of each sentence.

    Args:
      sentences: character ranges to take as the sentences; None finds them. A range without a word is
        left out, and what lies outside all of them has no words.
    """
    ranges = reading.sentences(text) if sentences is None else sentences
    return [words for start, end in ranges if (words := words_between(text, start, end))]


def words_between(text: str, start: int, end: int) -> list[Range]:
    """Character ranges of the words of the sentence at characters `start` … `end`, by Penn Treebank rules: punctuation
    stands apart, as in the benchmark sets. White space, and marks without width that are read as such, lie in no word,
    all other characters in one. Never raises."""
    sentence = text[start:end]
    try:
        inside = list(_treebank().span_tokenize(sentence))
    except ValueError:  # a few odd mixtures of quotes cannot be placed; cut at white space alone
        inside = [(0, len(sentence))]
    words: list[Range] = []
    for a, b in _cover(sentence, inside):
        words.append((start + a, start + b))
    return [part for a, b in words for part in pairwise([a, *_period(text, a, b), b])]


def _period(text: str, start: int, end: int) -> list[int]:
    """Where a word's last period stands, if it has others before it: `B.`, `U.S.`, but not `...`."""
    ends = end - start > 1 and text[end - 1] == "." and text[end - 2] != "."
    return [end - 1] if ends else []


def read_words(
    text: str, words: Sequence[Range], reading: Reading
) -> tuple[tuple[Range, ...], tuple[str, ...]]:
    """The words of one sentence of raw text as a `Sentence` has them: their ranges, and how they are written.

    The period of an abbreviation stays glued to it (`Mr.`), since the model would else read another text; the one that
    ends the sentence stands apart, as in the benchmark sets.

    Args:
      words: as `split_into_sentences` gives them.
    """
    begin, end = (words[0][0], words[-1][1]) if words else (0, 0)
    final = _FINAL_PERIOD.search(text[begin:end])
    last = begin + final.start() if final else -1
    ranges: list[Range] = []
    written: list[str] = []
    for a, b in words:
        word = text[a:b]
        glued = word == "." and a != last and ranges and ranges[-1][1] == a
        own = cut_into_atoms(text, a, b) if reading.at_atoms(word) else [((a, b), without_glue(word))]
        for i, (part, piece) in enumerate(own):
            ranges.append(part)
            written.append(GLUE + piece if glued and i == 0 else piece)
    return tuple(ranges), tuple(written)


def _cover(sentence: str, spans: list[Range]) -> list[Range]:
    """The spans cut at white space, and what lies between them as words of their own."""
    edges = sorted({0, len(sentence), *(e for span in spans for e in span)})
    covered: list[Range] = []
    for a, b in pairwise(edges):
        covered += [(a + c, a + d) for c, d in between_blanks(sentence[a:b])]
    return covered


def sentence_from_text(id: str, text: str, reading: Reading = READING) -> Sentence:
    """The user's text as an unannotated sentence; offsets lead back to it."""
    parts = [_sentence(id, text, words, reading) for words in split_into_sentences(text, None, reading)]
    words, offsets = ([x for part in parts for x in getattr(part, name)] for name in ("words", "offsets"))
    return Sentence(id, tuple(words), tuple(offsets), text, raw=True)


def sentences_from_text(id: str, text: str, reading: Reading = READING) -> Iterator[Sentence]:
    """The sentences of the user's text, made as they are asked for; of a text without words one, empty.
    `text` of each is the whole text, and `offsets` lead into it."""
    found = False
    for start, end in reading.sentences(text):
        yield _sentence(id, text, words_between(text, start, end), reading)
        found = True
    if not found:
        yield Sentence(id, (), (), text, raw=True)


def _sentence(id: str, text: str, words: Sequence[Range], reading: Reading) -> Sentence:
    offsets, written = read_words(text, words, reading)
    return Sentence(id, written, offsets, text, raw=True)
