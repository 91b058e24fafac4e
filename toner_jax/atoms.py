"""Atoms: the finest places where an entity may begin or end, a function of the text alone.

An atom is a run of letters, a run of digits, or any other character; each character of a script that is written
without spaces between words (Han, kana, Hangul, Thai, Lao, Khmer, Burmese) is one. None begins or ends inside a
grapheme cluster (UAX #29), so a letter keeps its accents and a flag its two halves.

In a sentence an atom that stands right after another, as in `IL-2`, is written with `GLUE` before it: so the words of a
sentence say where there are spaces, and none is ever put into what a model reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, wraps
from itertools import pairwise
from typing import ParamSpec, TypeVar

import regex

P = ParamSpec("P")
R = TypeVar("R")

Range = tuple[int, int]  # half-open, in characters

_SHORT = 100  # characters of a word that is memoised

_WITHOUT_SPACES = "".join(
    rf"\p{{scx={name}}}" for name in ("Han", "Hira", "Kana", "Hang", "Thai", "Lao", "Khmr", "Mymr")
)
_ATOM = regex.compile(
    rf"(?:(?=[\p{{L}}--[{_WITHOUT_SPACES}]])\X)+|(?:(?=[\p{{Nd}}--[{_WITHOUT_SPACES}]])\X)+|\X",
    regex.VERSION1,
)
_OF_SCRIPT_WITHOUT_SPACES = regex.compile(rf"[\p{{L}}&&[{_WITHOUT_SPACES}]]", regex.VERSION1)
# Korean puts spaces between its words, though not between a word and its particles.
_UNSPACED = rf"[[\p{{L}}&&[{_WITHOUT_SPACES}]]--\p{{Hang}}]"
_HAS_UNSPACED = regex.compile(_UNSPACED, regex.VERSION1)
_MARKS = regex.compile(r"\p{M}+")
# Full-width punctuation has its space in itself.
_WIDE = r"[[\u3001-\u303f\uff01-\uff65]--[\p{L}\p{Nd}]]"
_SPACED_LETTER = rf"[\p{{L}}--{_UNSPACED}]"
# Seen at the end of one word and the beginning of the next: no space between the two.
_TOGETHER = regex.compile(
    rf"{_WIDE}\n|\n{_WIDE}|{_UNSPACED}\n(?!{_SPACED_LETTER})|(?<!{_SPACED_LETTER})\n{_UNSPACED}",
    regex.VERSION1,
)

# White space, and the marks of no width that tokenizers read as such; joiners count inside a word.
WITHOUT_WIDTH = r"\u200b\u200e\u200f\ufeff"
_BLANK = rf"\s{WITHOUT_WIDTH}"
_IS_BLANK = re.compile(rf"[{_BLANK}]")
_NOT_BLANK = re.compile(rf"[^{_BLANK}\u200c\u200d][^{_BLANK}]*")

# Stands before a word that follows the one before it without white space. No text holds this private-use character.
GLUE = "\ue000"


def bare(word: str) -> str:
    """A word's own characters."""
    return word.removeprefix(GLUE)


def join(words: Sequence[str]) -> str:
    """Words as a text: single spaces between them, none before a glued one."""
    return bare(" ".join(words).replace(f" {GLUE}", ""))


def whole_words(words: Iterable[str]) -> list[str]:
    """What stands between white space: each glued word with those before it."""
    found: list[str] = []
    for word in words:
        if found and word.startswith(GLUE):
            found[-1] += bare(word)
        else:
            found.append(bare(word))
    return found


def without_glue(text: str) -> str:
    """A user's text, in which `GLUE` means nothing: as long as it was, with another private-use character for it."""
    return text.replace(GLUE, "\ue001")


def between_blanks(text: str) -> Iterator[Range]:
    """The character ranges of what stands between white space, or marks that are not seen and read as such."""
    return (match.span() for match in _NOT_BLANK.finditer(text))


def is_blank(character: str) -> bool:
    """Whether it is white space, or a mark that is not seen and read as such."""
    return _IS_BLANK.match(character) is not None


def has_words(text: str) -> bool:
    """Whether anything of the text is more than blank."""
    return _NOT_BLANK.search(text) is not None


def has_alphanumeric(text: str) -> bool:
    """Whether it has a letter or a digit, of whatever script."""
    return any(map(str.isalnum, text))


def unspaced(word: str) -> bool:
    """Whether it has letters of a script that is written without spaces, so that it may be several words."""
    return _OF_SCRIPT_WITHOUT_SPACES.search(word) is not None


def memoised_if_short(function: Callable[P, R]) -> Callable[P, R]:
    """Memoises what a function makes of a word, its first argument: of so many words that none of them may be long."""
    memoised = lru_cache(maxsize=1 << 16)(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return (memoised if len(args[0]) <= _SHORT else function)(*args, **kwargs)  # type: ignore[arg-type]

    return call


@memoised_if_short
def atoms(word: str) -> tuple[Range, ...]:
    """The character ranges of a word's atoms, which cover it."""
    return tuple(match.span() for match in _ATOM.finditer(word))


@memoised_if_short
def parts(word: str) -> tuple[str, ...]:
    """The atoms of a word as a sentence writes them: all with `GLUE` but the first, which has it if the word does."""
    text = bare(word)
    found = [text[a:b] for a, b in atoms(text)]
    return tuple(atom if i == 0 and text == word else GLUE + atom for i, atom in enumerate(found))


def cut_into_atoms(text: str, start: int, end: int) -> Iterator[tuple[Range, str]]:
    """The atoms of a text's word at characters `start` … `end`, each with how a sentence writes it."""
    word = without_glue(text[start:end])
    for (a, b), written in zip(atoms(word), parts(word), strict=True):
        yield (start + a, start + b), written


def _last(word: str) -> str:
    """The last character, marks on it (accents, vowels) aside."""
    found: str = _MARKS.sub("", word)
    return found[-1:]


def glue_words(words: Sequence[str], gaps: Sequence[bool] | None = None) -> tuple[str, ...]:
    """Words that were given one by one, as a sentence writes them. There is no space beside a letter of a script
    that is written without them, unless a letter of another stands on its other side; none beside full-width
    punctuation; and none at all where a sentence with such letters came character by character.

    Args:
      gaps: whether the text has something between each word and the next, where there is a text.
    """
    words = [without_glue(word) for word in words]
    together = [_TOGETHER.search(f"{_last(a)}\n{b[:1]}") is not None for a, b in pairwise(words)]
    if all(len(word) == 1 for word in words) and any(map(_HAS_UNSPACED.match, words)):
        together = [True] * len(together)
    if gaps is not None:
        together = [t and not gap for t, gap in zip(together, gaps, strict=True)]
    return tuple(GLUE + w if glued else w for w, glued in zip(words, [False, *together], strict=False))
