"""Sentences of raw text: `sentencex` finds their ends; where one is in doubt, two are read as one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, pairwise

import sentencex

from toner_jax.atoms import WITHOUT_WIDTH, Range, has_words

# Characters that are searched at a time, and of a text without an end at last.
_BLOCK, _LARGEST_BLOCK = 1 << 11, 1 << 15
_MOST_JOINED = 1_000  # characters: of text all in lower case, every end is in doubt
_MOST_QUOTED = 500  # characters: more between two quotation marks are not one quotation

# An end after an initial or what may be an abbreviation (`B.`, `Mk.`, `Fig.`), and what seldom begins a sentence.
_LONG_ABBREVIATIONS = (
    "Acad Assn Astron Biochem Biol Blvd Bros Calif Capt Chas Chem Cmdr Colo Conf Conn Dept Engl Exod Gen Geol Geophys "
    "Hist Ill Immunol Inst Intl Mass Math Matt Messrs Mich Minn Miss Mlle Mmes Natl Neurosci Okla Oreg Penn Pharmacol "
    "Phil Phys Physiol Proc Prof Psychol Sept Soc Surg Tenn Theol Univ Wash approx viz"
)
_DOUBTFUL = re.compile(
    rf"""(?<!\w)(?:\w|[A-ZÀ-ÖØ-Þ]\w{{1,2}}|{_LONG_ABBREVIATIONS.replace(" ", "|")})\.["'”’)\]]*\s*\Z"""
)
_GOES_ON = re.compile(r"""["'“‘(\[]*[a-z0-9]""")
_SURE = "。！？｡"  # no abbreviation ends in these

_BLANK_LINES = re.compile(rf"(?>\r\n?|\n)(?:[^\S\r\n]|[{WITHOUT_WIDTH}])*(?>\r\n?|\n)")
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")
_OPENING = re.compile(r"""(?<=\s)["'“‘„«(\[¿¡]+\Z""")
_SPACES = re.compile(r"\s+")
_QUOTES = re.compile(r"""["'`“”„‘’‚«»‹›「」『』()（）\[\]{}]""")


def iter_sentences(text: str, language: str = "en") -> Iterator[Range]:
    """Character ranges of the sentences of any text; a blank line always ends one. They are found as they are asked
    for, in time proportional to the text; without an end in `_LARGEST_BLOCK` characters one is cut at white space.

    Args:
      language: its code, as `en` or `de`, for its abbreviations; one that `sentencex` does not know is read as English.
    """
    edges = chain([(0, 0)], (m.span() for m in _BLANK_LINES.finditer(text)), [(len(text), len(text))])
    for (_, start), (end, _) in pairwise(edges):
        size = _BLOCK
        while start < end:
            block = text[start : min(start + size, end)]
            ends = [b for _, b in _parts(block, language)]
            if start + len(block) < end and len(ends) == 1 and size < _LARGEST_BLOCK:
                size *= 2
                continue
            found = _without_doubtful_ends(block, list(pairwise([0, *ends])))
            if start + len(block) == end:
                done = end
            elif len(found) > 1:
                done = start + found.pop()[0]  # where it ends is not known yet
            else:
                spaces = list(_SPACES.finditer(block))
                cut, after = spaces[-1].span() if spaces else (len(block), len(block))
                found, done = [(0, cut)], start + after
            yield from ((start + a, start + b) for a, b in found if has_words(block[a:b]))
            start, size = done, _BLOCK


def _parts(text: str, language: str) -> list[Range]:
    """What `sentencex` makes of a text, which it covers. It takes all that stands between two quotation marks or
    brackets for one sentence; a mark without its partner would swallow a text."""
    parts: list[Range] = []
    for a, b in _segments(text, language):
        inside = [(a, b)]
        if b - a > _MOST_QUOTED:
            inside = [(a + c, a + d) for c, d in _segments(_QUOTES.sub(",", text[a:b]), language)]
        parts += inside
    return parts


def _segments(text: str, language: str) -> list[Range]:
    # Half of a surrogate pair is written `?`. White space that ASCII lacks, between a capital and a period, makes
    # sentencex 1.0 panic.
    encodable = _WIDE_SPACE.sub(" ", text.encode("utf-8", "replace").decode("utf-8"))
    ends = list(accumulate(map(len, sentencex.segment(language, encodable))))
    # It leaves a mark that opens a sentence with the one before.
    for i, (start, end) in enumerate(pairwise([0, *ends[:-1]])):
        if opened := _OPENING.search(text, start, end):
            ends[i] = opened.start()
    return list(pairwise([0, *ends]))


def _without_doubtful_ends(text: str, sentences: Sequence[Range]) -> list[Range]:
    """The sentences without white space around them, joined where one may not have ended: an entity that lies across
    could else never be found, and two sentences that are read at once cost next to nothing."""
    joined: list[Range] = []
    before = (0, 0)
    for a, b in sentences:
        inside = text[a:b].strip()
        if not inside:
            continue
        start = a + text[a:b].index(inside)
        end = start + len(inside)
        doubtful = text[before[1] - 1] not in _SURE and (
            _DOUBTFUL.search(text, *before) or _GOES_ON.match(text, start)
        )
        if joined and doubtful and end - joined[-1][0] <= _MOST_JOINED:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
        before = start, end
    return joined
