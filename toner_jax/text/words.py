"""Sentences and words, and their offsets, in raw text."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, pairwise
from typing import Any

from toner_jax.common.environment import variable
from toner_jax.schema import Sentence

Range = tuple[int, int]  # half-open, in characters

# Punkt without a trained model knows no abbreviations; these end few English sentences.
_ABBREVIATIONS = (
    "mr mrs ms dr prof st sr jr gen gov sen rep rev hon lt col sgt capt inc ltd co corp vs etc no vol fig al "
    "e.g i.e u.s u.k u.n jan feb mar apr jun jul aug sep sept oct nov dec a.m p.m"
)
# Characters that are searched for sentences at a time: Punkt's time grows with the square of a text.
_BLOCK = 1 << 15
_SPACES = re.compile(r"\s+")
_BLANK_LINES = re.compile(r"\n[ \t\r]*\n")
_INITIALS = re.compile(r"(?:\w\.)+\w")


@cache
def _libraries() -> tuple[Any, Any]:
    # Its import looks for a folder to download to, which we never do, and fails for a user without a home.
    home = os.path.expanduser("~")
    with variable("HOME", tempfile.gettempdir() if home == "~" else home):
        from nltk.tokenize import NLTKWordTokenizer
        from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    parameters = PunktParameters()
    parameters.abbrev_types = set(_ABBREVIATIONS.split())
    return PunktSentenceTokenizer(parameters), NLTKWordTokenizer()


def iter_sentences(text: str) -> Iterator[Range]:
    """Character ranges of the sentences of any text, by Punkt's rules; a blank line always ends one. They
    are found as they are asked for, in time proportional to the text; without an end in `_BLOCK` characters
    one is cut at white space."""
    punkt, _ = _libraries()
    edges = chain([(0, 0)], (m.span() for m in _BLANK_LINES.finditer(text)), [(len(text), len(text))])
    for (_, start), (end, _) in pairwise(edges):
        while start < end:
            block = text[start : min(start + _BLOCK, end)]
            found = list(punkt.span_tokenize(block))
            if start + len(block) == end:
                done = end
            elif len(found) > 1:
                done = start + found.pop()[0]  # where it ends is not known yet
            else:
                spaces = list(_SPACES.finditer(block))
                cut, after = spaces[-1].span() if spaces else (len(block), len(block))
                found, done = [(0, cut)], start + after
            yield from ((start + a, start + b) for a, b in found if block[a:b].strip())
            start = done


def split_sentences(text: str) -> list[Range]:
    """All of `iter_sentences`."""
    return list(iter_sentences(text))


def split_words(text: str) -> list[Range]:
    """Character ranges of the words of any text, by Penn Treebank rules: punctuation stands apart, as in
    the benchmark sets. White space lies in no word, all other characters in one. Never raises."""
    return [word for words in split_into_sentences(text) for word in words]


def split_into_sentences(text: str, sentences: Sequence[Range] | None = None) -> list[list[Range]]:
    """The words (as `split_words`) of each sentence.

    Args:
      sentences: character ranges to take as the sentences; None finds them. A range without a word is
        left out, and what lies outside all of them has no words.
    """
    ranges = iter_sentences(text) if sentences is None else sentences
    return [words for start, end in ranges if (words := words_between(text, start, end))]


def words_between(text: str, start: int, end: int) -> list[Range]:
    """The words (as `split_words`) of the sentence at characters `start` … `end`."""
    _, treebank = _libraries()
    sentence = text[start:end]
    try:
        inside = list(treebank.span_tokenize(sentence))
    except ValueError:  # a few odd mixtures of quotes cannot be placed; cut at white space alone
        inside = [(0, len(sentence))]
    words: list[Range] = []
    for a, b in _cover(sentence, inside):
        if words and sentence[a:b] == "." and _INITIALS.fullmatch(text, words[-1][0], start + a):
            words[-1] = words[-1][0], start + b  # `U.S.` stays whole where it ends a sentence, too
        else:
            words.append((start + a, start + b))
    return words


def _cover(sentence: str, spans: list[Range]) -> list[Range]:
    """The spans cut at white space, and what lies between them as words of their own."""
    edges = sorted({0, len(sentence), *(e for span in spans for e in span)})
    covered: list[Range] = []
    for a, b in pairwise(edges):
        at = a
        for part in sentence[a:b].split():
            at = sentence.index(part, at)
            covered.append((at, at + len(part)))
            at += len(part)
    return covered


def sentence_from_text(id: str, text: str) -> Sentence:
    """The user's text as an unannotated sentence; offsets lead back to it."""
    ranges = split_words(text)
    return Sentence(id, tuple(text[a:b] for a, b in ranges), tuple(ranges), text)


def sentences_from_text(id: str, text: str) -> Iterator[Sentence]:
    """The sentences of the user's text, made as they are asked for; of a text without words one, empty.
    `text` of each is the whole text, and `offsets` lead into it."""
    found = False
    for start, end in iter_sentences(text):
        ranges = words_between(text, start, end)
        yield Sentence(id, tuple(text[a:b] for a, b in ranges), tuple(ranges), text)
        found = True
    if not found:
        yield Sentence(id, (), (), text)
