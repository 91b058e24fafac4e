"""How the tags of one file are written: where the prefix stands, if there is one, and what separates it from the label.

A file has one way of writing, which all its tags together tell: `B-PER` and its like (`B_PER`, `b-per`, `B.PER`),
`PER-B`, or labels alone (`PER`). The prefixes are B, I, E and S, and what other schemes call them: L and M and U and W.
A label may hold separators of its own: `location-GPE` begins with no prefix. Where tags can be read in two ways,
neither is taken: `data.tag_prefix` says which is meant.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from toner_jax.data.reading import shown
from toner_jax.errors import ParameterError, UserError

TAG_PREFIXES = ("auto", "first", "last", "none")  # values of data.tag_prefix
OUTSIDE = ("O", "o")

# What a prefix means: M is the I of BMES, L and U are the E and S of BILOU, W is the S of BMEWO.
_PREFIXES = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}
_SEPARATORS = "-_:/"
_UNKNOWN = {"-": "spaCy writes it for", "_": "CoNLL-U writes it for"}
_UNKNOWN_PREFIX = re.compile(r"[A-Z]-.")
_SEVERAL = re.compile(r"[,;|]")  # between the tags of one word
_WANTED = "write O, B-TYPE or I-TYPE"
# Without these no file is made: `E-MAIL`, `S-BAHN`, `U-BOOT`, `W-2` and `M-16` are rather names.
_BEGINNING = {"B", "I"}


@dataclass(frozen=True)
class Notation:
    """Where a tag's prefix stands, "first", "last" or "none", and what separates it from the label."""

    prefix: str = "first"
    separator: str = "-"

    def split(self, tag: str) -> tuple[str, str] | None:
        """The prefix (B, I, E or S) and the label of a tag; None of one that is not written so."""
        if self.prefix == "none":
            return "I", tag
        letter, label = self.cut(tag)
        return (_PREFIXES[letter.upper()], label) if letter.upper() in _PREFIXES and label.strip() else None

    def cut(self, tag: str) -> tuple[str, str]:
        """What stands for the prefix and for the label, whatever they are."""
        if self.prefix == "last":
            label, _, letter = tag.rpartition(self.separator)
            return letter, label
        letter, mark, label = tag.partition(self.separator)
        return (letter, label) if mark else ("", tag)

    def __str__(self) -> str:
        """How it is told to users; nothing for the usual one."""
        if self.prefix == "none" or self == Notation():
            return ""
        ends = ("TYPE", "B") if self.prefix == "last" else ("B", "TYPE")
        return f", written {self.separator.join(ends)}"


PLAIN = Notation("none", "")
_NOTATIONS = tuple(Notation(prefix, mark) for prefix in ("first", "last") for mark in _SEPARATORS)


def settle_notation(tags: Mapping[str, str], prefix: str) -> Notation:
    """The one notation of all tags of a file.

    Args:
      tags: every spelling → where it first stands, in order.
      prefix: of `TAG_PREFIXES`; "auto" looks at the tags.

    Raises:
      UserError: a tag that is none, one written otherwise than the rest, or tags that can be read in two ways; it
        names where the tag stands.
    """
    if prefix not in TAG_PREFIXES:
        raise ParameterError("data.tag_prefix", repr(prefix), f"choose one of {', '.join(TAG_PREFIXES)}")
    labels = {tag: at for tag, at in tags.items() if tag not in OUTSIDE}
    if prefix in ("auto", "none") and all(outside in tags for outside in OUTSIDE):
        raise UserError(
            f"{tags['o']}: tag 'o' may be a label, or mean the same as 'O' ({tags['O']}); write only one of them, or "
            "set data.tag_prefix=first or data.tag_prefix=last, where both are no label"
        )
    for tag, at in labels.items():
        _refuse_strange(tag, at, prefix)
    if prefix == "none":
        return PLAIN
    able = [n for n in (*_NOTATIONS, *_rarer_notations(labels)) if prefix in ("auto", n.prefix)]
    fitting = {n: [tag for tag in labels if n.split(tag)] for n in able}
    best = max(able, key=lambda n: len(fitting[n]))  # the first of several
    other = next((tag for tag in labels if tag not in fitting[best]), None)
    if other is None:
        if prefix == "auto" and labels:
            _refuse_two_readings(best, list(labels), tags)
        return best
    if prefix == "auto" and not fitting[best]:
        _refuse_strange_labels(labels, tags)
        return PLAIN
    unlike = f", unlike {shown(first)} ({labels[first]})" if (first := next(iter(fitting[best]), "")) else ""
    raise _error(labels[other], f"{_problem(other, best)}{unlike}", best, unlike != "")


def _rarer_notations(labels: Collection[str]) -> list[Notation]:
    """Those with another separator than usual, `B.PER`, that all labels fit, or two that only a prefix tells apart."""
    whole = [tag for tag in labels if len(tag) > 2]
    marks = dict.fromkeys(mark for tag in whole for mark in (tag[1], tag[-2]) if not mark.isalnum())
    found = []
    for notation in (
        Notation(p, mark) for mark in marks if mark not in _SEPARATORS for p in ("first", "last")
    ):
        pairs = (its for its in _prefixes(notation, labels).values() if len(its) > 1 and its & _BEGINNING)
        if all(map(notation.split, labels)) or any(pairs):
            found.append(notation)
    return found


def _prefixes(notation: Notation, tags: Iterable[str]) -> Mapping[str, set[str]]:
    """The prefixes of each label, in whatever case, of those tags that are written so."""
    prefixes: defaultdict[str, set[str]] = defaultdict(set)
    for tag in tags:
        if found := notation.split(tag):
            prefixes[found[1].casefold()].add(found[0])
    return prefixes


def _refuse_strange(tag: str, location: str, prefix: str) -> None:
    """Refuses what is a tag in no notation of a prefix."""
    if not tag.strip():
        raise UserError(f"{location}: the tag is empty; {_WANTED}")
    if tag in _UNKNOWN:
        raise UserError(
            f"{location}: tag {tag!r} ({_UNKNOWN[tag]} a word whose annotation is unknown) is neither O nor an "
            "entity; annotate the word, or leave its sentence out"
        )
    able = [n for n in _NOTATIONS if prefix in ("auto", n.prefix)] or [Notation()]
    parts = [part.strip() for part in _SEVERAL.split(tag)]
    if len(parts) > 1 and all(part in OUTSIDE or any(n.split(part) for n in able) for part in parts):
        raise UserError(
            f"{location}: tag {shown(tag)} holds several annotations; keep one "
            "(WNUT-17's emerging.test.annotated is such a copy)"
        )
    if prefix != "none" and tag.rstrip(_SEPARATORS).upper() in _PREFIXES:
        raise UserError(f"{location}: tag {shown(tag)} names no type; {_WANTED}")


def _refuse_strange_labels(labels: Mapping[str, str], tags: Mapping[str, str]) -> None:
    """Refuses labels without prefixes that may be no tags, or tags of a scheme that nobody knows."""
    for tag, at in labels.items():
        if _UNKNOWN_PREFIX.match(tag) or tag.strip(_SEPARATORS) != tag:
            raise _error(at, _problem(tag, Notation()), Notation(), True)
    if not any(outside in tags for outside in OUTSIDE):
        tag, at = next(iter(labels.items()))
        raise _error(at, f"tag {shown(tag)} has no prefix, and no word has the tag O", PLAIN, True)


def is_prefixed(tag: str) -> bool:
    """Whether a tag has a prefix in some notation; it may yet be a label without one."""
    return any(notation.split(tag) for notation in _NOTATIONS)


def _refuse_two_readings(notation: Notation, labels: Sequence[str], tags: Mapping[str, str]) -> None:
    """Refuses tags that fit a notation and may yet be labels without prefixes, as `e-mail` and `hepatitis_B`, or have
    their prefix at the other end, as `S-B` and `S-I`."""
    tag = labels[0]
    letter, label = notation.cut(tag)
    other = Notation("last" if notation.prefix == "first" else "first", notation.separator)
    if all(map(other.split, labels)):
        raise UserError(
            f"{tags[tag]}: tag {shown(tag)} may have its prefix at its beginning or at its end; set "
            "data.tag_prefix=first or data.tag_prefix=last"
        )
    if not _is_sure(notation, labels, tags):
        raise UserError(
            f"{tags[tag]}: tag {shown(tag)} may be a label, or the label {shown(label)} with the prefix {letter!r}; "
            f"set data.tag_prefix=none or data.tag_prefix={notation.prefix}"
        )


def _is_sure(notation: Notation, labels: Sequence[str], tags: Mapping[str, str]) -> bool:
    """Whether tags that fit a notation are no labels without prefixes."""
    letters = {notation.cut(tag)[0] for tag in labels}
    if not _BEGINNING & {letter.upper() for letter in letters}:
        return False
    if notation == Notation() and any(letter.isupper() for letter in letters):
        return True
    prefixes = _prefixes(notation, labels)
    if any(len(found) > 1 for found in prefixes.values()):
        return True
    # `b-per` beside `o`; `B_PER` and `B_ORG` beside `O`, but not `B_CELL` alone.
    cases = {outside.isupper() for outside in OUTSIDE if outside in tags}
    alike = cases == {letter.isupper() for letter in letters}
    usual = notation.separator in _SEPARATORS  # `E.coli` and `B.subtilis` are names
    return notation.prefix == "first" and alike and usual and (notation.separator == "-" or len(prefixes) > 1)


def _problem(tag: str, notation: Notation) -> str:
    letter, label = notation.cut(tag)
    if letter.upper() in _PREFIXES and not label.strip():
        return f"tag {shown(tag)} names no type"
    if letter and label:
        return f"tag {shown(tag)} has the unknown prefix {shown(letter)}"
    return f"tag {shown(tag)} has no prefix"


def _error(location: str, problem: str, notation: Notation, may_be_plain: bool) -> UserError:
    mark, last = notation.separator or "-", notation.prefix == "last"
    kinds = [f"TYPE{mark}{p}" if last else f"{p}{mark}TYPE" for p in "BI"]
    plain = ", or set data.tag_prefix=none if tags are labels alone" if may_be_plain else ""
    return UserError(f"{location}: {problem}; write O, {kinds[0]} or {kinds[1]}{plain}")
