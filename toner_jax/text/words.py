"""Sentences and words, and their places, in raw text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from toner_jax.schema import Sentence

Range = tuple[int, int]  # half-open, in characters

# Punkt without a trained model knows no abbreviations; these end few English sentences.
_ABBREVIATIONS = (
    "mr mrs ms dr prof st sr jr gen gov sen rep rev hon lt col sgt capt inc ltd co corp vs etc no vol fig al "
    "e.g i.e u.s u.k u.n jan feb mar apr jun jul aug sep sept oct nov dec a.m p.m"
)
_BLANK_LINES = re.compile(r"\n[ \t\r]*\n")
_INITIALS = re.compile(r"(?:\w\.)+\w")


@cache
def _libraries() -> tuple[Any, Any]:
    from nltk.tokenize import NLTKWordTokenizer
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    parameters = PunktParameters()
    parameters.abbrev_types = set(_ABBREVIATIONS.split())
    return PunktSentenceTokenizer(parameters), NLTKWordTokenizer()


def split_sentences(text: str) -> list[Range]:
    """Character ranges of the sentences of any text, by Punkt's rules; a blank line always ends one."""
    punkt, _ = _libraries()
    ranges: list[Range] = []
    blank_lines = [m.span() for m in _BLANK_LINES.finditer(text)]
    for (_, start), (end, _) in pairwise([(0, 0), *blank_lines, (len(text), len(text))]):
        paragraph = text[start:end]
        ranges += [
            (start + a, start + b) for a, b in punkt.span_tokenize(paragraph) if paragraph[a:b].strip()
        ]
    return ranges


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
    _, treebank = _libraries()
    out: list[list[Range]] = []
    for start, end in split_sentences(text) if sentences is None else sentences:
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
        if words:
            out.append(words)
    return out


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
