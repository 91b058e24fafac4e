"""Sentences and words, and their offsets, in raw text."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, pairwise
from typing import Any

from toner_jax.atoms import GLUE, Range, between_blanks, cut_into_atoms, has_words, unspaced, without_glue
from toner_jax.common.environment import variable
from toner_jax.schema import Sentence

# Where entities may begin and end.
ATOMS, WORDS = "atoms", "words"

# Punkt without a trained model knows no abbreviations; these end few English sentences.
_ABBREVIATIONS = (
    "mr mrs ms dr prof st sr jr gen gov sen rep rev hon lt col sgt capt inc ltd co corp vs etc no vol fig al "
    "e.g i.e u.s u.k u.n jan feb mar apr jun jul aug sep sept oct nov dec a.m p.m"
)
# An end after an initial or what may be an abbreviation (`B.`, `Mk.`, `Fig.`), and what seldom begins a sentence.
_LONG_ABBREVIATIONS = (
    "Acad Assn Astron Biochem Biol Blvd Bros Calif Capt Chas Chem Cmdr Colo Conf Conn Dept Engl Exod Gen Geol Geophys "
    "Hist Ill Immunol Inst Intl Mass Math Matt Messrs Mich Minn Miss Mlle Mmes Natl Neurosci Okla Oreg Penn Pharmacol "
    "Phil Phys Physiol Proc Prof Psychol Sept Soc Surg Tenn Theol Univ Wash approx viz"
)
_DOUBTFUL = re.compile(
    rf"""(?<!\w)(?:\w|[A-ZÀ-ÖØ-Þ]\w{{1,2}}|{_LONG_ABBREVIATIONS.replace(" ", "|")})\.["'”’)\]]*\s*\Z"""
)
_MOST_JOINED = 1_000  # characters: of text all in lower case, every end is in doubt
_GOES_ON = re.compile(r"""["'“‘(\[]*[a-z0-9]""")
# The period that ends a sentence, before a tag or quotes, too.
_FINAL_PERIOD = re.compile(r"""(?<![.])\.(?=(?:</?\w[^<>]*>|[\s"'”’»)\]}])*$)""")
# Characters that are searched for sentences at a time: Punkt's time grows with the square of a text.
_BLOCK = 1 << 15
_SPACES = re.compile(r"\s+")
_BLANK_LINES = re.compile(r"\n[ \t\r]*\n")


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
            found = _without_doubtful_ends(block, list(punkt.span_tokenize(block)))
            if start + len(block) == end:
                done = end
            elif len(found) > 1:
                done = start + found.pop()[0]  # where it ends is not known yet
            else:
                spaces = list(_SPACES.finditer(block))
                cut, after = spaces[-1].span() if spaces else (len(block), len(block))
                found, done = [(0, cut)], start + after
            yield from ((start + a, start + b) for a, b in found if has_words(block[a:b]))
            start = done


def _without_doubtful_ends(text: str, sentences: Sequence[Range]) -> list[Range]:
    """The sentences, joined where one may not have ended: an entity that lies across could else never be found, and two
    sentences that are read at once cost next to nothing."""
    joined: list[Range] = []
    before = (0, 0)
    for start, end in sentences:
        doubtful = _DOUBTFUL.search(text, *before) or _GOES_ON.match(text, start)
        if joined and doubtful and end - joined[-1][0] <= _MOST_JOINED:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
        before = start, end
    return joined


def split_sentences(text: str) -> list[Range]:
    """All of `iter_sentences`."""
    return list(iter_sentences(text))


def split_words(text: str) -> list[Range]:
    """Character ranges of the words of any text, by Penn Treebank rules: punctuation stands apart, as in
    the benchmark sets. White space, and marks without width that are read as such, lie in no word, all other
    characters in one. Never raises."""
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
        words.append((start + a, start + b))
    return [part for a, b in words for part in pairwise([a, *_period(text, a, b), b])]


def _period(text: str, start: int, end: int) -> list[int]:
    """Where a word's last period stands, if it has others before it: `B.`, `U.S.`, but not `...`."""
    ends = end - start > 1 and text[end - 1] == "." and text[end - 2] != "."
    return [end - 1] if ends else []


def read_words(text: str, words: Sequence[Range], edges: str) -> tuple[tuple[Range, ...], tuple[str, ...]]:
    """The words of one sentence of raw text as a `Sentence` has them: their ranges, and how they are written.

    The period of an abbreviation stays glued to it (`Mr.`), since the model would else read another text; the one that
    ends the sentence stands apart, as in the benchmark sets.

    Args:
      words: as `split_into_sentences` gives them.
      edges: "atoms" cuts words into atoms, so that entities may begin and end inside them; "words" only what has
        letters of scripts without spaces.
    """
    begin, end = (words[0][0], words[-1][1]) if words else (0, 0)
    final = _FINAL_PERIOD.search(text[begin:end])
    last = begin + final.start() if final else -1
    ranges: list[Range] = []
    written: list[str] = []
    for a, b in words:
        glued = text[a:b] == "." and a != last and ranges and ranges[-1][1] == a
        cut = edges == ATOMS or unspaced(text[a:b])
        own = cut_into_atoms(text, a, b) if cut else [((a, b), without_glue(text[a:b]))]
        for i, (part, word) in enumerate(own):
            ranges.append(part)
            written.append(GLUE + word if glued and i == 0 else word)
    return tuple(ranges), tuple(written)


def _cover(sentence: str, spans: list[Range]) -> list[Range]:
    """The spans cut at white space, and what lies between them as words of their own."""
    edges = sorted({0, len(sentence), *(e for span in spans for e in span)})
    covered: list[Range] = []
    for a, b in pairwise(edges):
        covered += [(a + c, a + d) for c, d in between_blanks(sentence[a:b])]
    return covered


def sentence_from_text(id: str, text: str, edges: str = WORDS) -> Sentence:
    """The user's text as an unannotated sentence; offsets lead back to it."""
    parts = [_sentence(id, text, words, edges) for words in split_into_sentences(text)]
    words, offsets = ([x for part in parts for x in getattr(part, name)] for name in ("words", "offsets"))
    return Sentence(id, tuple(words), tuple(offsets), text)


def sentences_from_text(id: str, text: str, edges: str = WORDS) -> Iterator[Sentence]:
    """The sentences of the user's text, made as they are asked for; of a text without words one, empty.
    `text` of each is the whole text, and `offsets` lead into it. `edges` as for `read_words`."""
    found = False
    for start, end in iter_sentences(text):
        yield _sentence(id, text, words_between(text, start, end), edges)
        found = True
    if not found:
        yield Sentence(id, (), (), text)


def _sentence(id: str, text: str, words: Sequence[Range], edges: str) -> Sentence:
    offsets, written = read_words(text, words, edges)
    return Sentence(id, written, offsets, text)
