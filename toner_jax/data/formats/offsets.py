"""Where annotations stand in their text, whichever way their file counts its characters.

Ranges count characters (code points). Tools in a browser count UTF-16 units, in which an emoji is two, and some count
a line end `\\r\\n` as one. What a file says stands at a range tells which way is meant; without that, whether the
ranges fit words. A file has one way: what one of its texts leaves open, the others settle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from toner_jax.atoms import Range, is_blank, unspaced
from toner_jax.data.documents import Span
from toner_jax.data.reading import shown
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError


@dataclass(frozen=True)
class Annotation:
    """A labelled range as a file has it.

    Attributes:
      pieces: its half-open ranges, in the file's way of counting; several for a discontinuous one.
      label: as the file spells it.
      location: names it in errors.
      surfaces: what the file says stands there, as often as it says so.
    """

    pieces: tuple[Range, ...]
    label: str
    location: str
    surfaces: tuple[str, ...] = ()

    @property
    def start(self) -> int:
        """Where its first piece begins."""
        return min(start for start, _ in self.pieces)

    @property
    def end(self) -> int:
        """Where its last piece ends."""
        return max(end for _, end in self.pieces)

    def span(self, location: str) -> Span:
        """What `read_documents` takes, named by `location` in its errors."""
        return Span(self.start, self.end, self.label, location)


class Counting(NamedTuple):
    """A way of counting.

    Attributes:
      reasons: what is counted as repaired where it gives another range; none for the file's own.
      characters: offset → index of the text's character; None inside one.
    """

    reasons: tuple[str, ...]
    characters: Sequence[int | None]


def spaced(text: str) -> str:
    """Text with single spaces for all white space: how it is compared with what a file says it is."""
    return " ".join(text.split())


Reasons = tuple[str, ...]

# The ways in which a file may be counted, by their reasons.
_WAYS: Mapping[Reasons, str] = {
    (): "characters (code points), line ends as they are",
    ("crlf_range",): "characters, \\r\\n as one",
    ("utf16_range",): "UTF-16 units",
    ("crlf_range", "utf16_range"): "UTF-16 units, \\r\\n as one",
}


class FileCounting:
    """What the texts of a file tell, one after the other, of how it counts.

    Attributes:
      left: the ways that may still be meant, by their reasons.
    """

    def __init__(self) -> None:
        self.left: tuple[Reasons, ...] = tuple(_WAYS)
        self._told: dict[Reasons, str] = {}  # where a way was ruled out

    def learn(
        self,
        text: str,
        annotations: Sequence[Annotation],
        *,
        ways: Sequence[Counting] | None = None,
        folded: Callable[[str], str] = spaced,
    ) -> None:
        """Rules out the ways in which a text is not counted; one that fits none tells nothing. Args: as for
        `place_annotations`.

        Raises:
          UserError: what is left does not fit it.
        """
        ways = countings(text) if ways is None else ways
        if not annotations or len(ways) < 2:
            return
        possible = {way.reasons for way in _possible(text, annotations, ways, folded)}
        fitting = [known for known in self.left if not possible or _in_text(known, ways) in possible]
        location = annotations[0].location
        if not fitting:
            own = next(known for known in _WAYS if _in_text(known, ways) in possible)
            raise UserError(
                f"{location}: its ranges fit if they count {_WAYS[own]}, those of {self._told[own]} only otherwise "
                f"({_WAYS[self.left[0]]}); count in one way in all of a file"
            )
        for known in self.left:
            if known not in fitting:
                self._told[known] = location
        self.left = tuple(fitting)


def _in_text(known: Reasons, ways: Sequence[Counting]) -> Reasons:
    """What is left of a file's way of counting in a text that does not have all that is counted otherwise."""
    there = {reason for way in ways for reason in way.reasons}
    return tuple(reason for reason in known if reason in there)


def countings(text: str) -> list[Counting]:
    """The ways in which a text's characters are counted, those apart that give it the same numbers."""
    ends, wide = "\r\n" in text, not text.isascii() and max(text) > "\uffff"
    found = [Counting((), range(len(text) + 1))]
    for as_one, units in ((True, False), (False, True), (True, True)):
        if as_one <= ends and units <= wide:
            reasons = ("crlf_range",) * as_one + ("utf16_range",) * units
            found.append(Counting(reasons, _characters(text, as_one, units)))
    return found


def place_annotations(
    text: str,
    annotations: Iterable[Annotation],
    repairs: Repairs,
    *,
    ways: Sequence[Counting] | None = None,
    folded: Callable[[str], str] = spaced,
    known: Sequence[Reasons] = tuple(_WAYS),
) -> list[Annotation]:
    """The annotations of a text with ranges of its characters: all are counted in one way.

    It is the one that gives each the text that the file repeats. Where nothing is repeated, it is the one in which all
    fit words, or where there is none, the file's own.

    Args:
      repairs: gets `crlf_range` and `utf16_range` for ranges that become others, and `span_cuts_word` for those of a
        text that may be counted otherwise which begin or end inside a word in every way.
      ways: those that may be meant; the first is the file's own. None: `countings`.
      folded: what is compared of a text.
      known: which ways the file leaves open: `FileCounting.left` once it knows all texts.

    Raises:
      UserError: the text is in no way what the file says it is, or in several ways, or a range is empty or outside it.
    """
    given = list(annotations)
    if not given:
        return []
    ways = countings(text) if ways is None else ways
    named = {_in_text(one, ways) for one in known}
    way = _meant(text, given, [way for way in ways if way.reasons in named], folded, repairs)
    placed = []
    for old in given:
        new = _moved(old, way)
        if new is None:
            raise _outside(text, old)
        for reason in way.reasons:
            without = tuple(other for other in way.reasons if other != reason)
            alike = any(_moved(old, other) == new for other in ways if other.reasons == without)
            repairs.add(reason, old.location, not alike)
        placed.append(new)
    return placed


def place_all(
    texts: Sequence[tuple[str, Sequence[Annotation]]], repairs: Repairs
) -> Iterator[list[Annotation]]:
    """The annotations of each text of a file, in order, as `place_annotations` gives them once all texts have told how
    the file counts; raises as that and as `FileCounting.learn`."""
    counting = FileCounting()
    for text, given in texts:
        counting.learn(text, given)
    for text, given in texts:
        yield place_annotations(text, given, repairs, known=counting.left)


def _possible(
    text: str, given: Sequence[Annotation], ways: Sequence[Counting], folded: Callable[[str], str]
) -> list[Counting]:
    """The ways that give each range what is said of it, of these those in which the others fit words."""
    said, silent = [a for a in given if a.surfaces], [a for a in given if not a.surfaces]
    agreeing = [way for way in ways if _agrees(text, said, way, folded)]
    fitting = [way for way in agreeing if all(_fits(text, a, way) for a in silent)]
    return fitting or (agreeing if said else [])


def _meant(
    text: str,
    given: Sequence[Annotation],
    ways: Sequence[Counting],
    folded: Callable[[str], str],
    repairs: Repairs,
) -> Counting:
    if len(ways) == 1 and not any(a.surfaces for a in given):
        return ways[0]
    possible = _possible(text, given, ways, folded)
    if not possible and any(a.surfaces for a in given):
        raise _disagreement(text, given, ways[0], folded)
    if not possible:
        for a in given:
            repairs.add("span_cuts_word", a.location, not _fits(text, a, ways[0]))
        return ways[0]
    way = possible[0]
    for other in possible[1:]:
        for a in given if other.reasons != way.reasons else ():
            one, two = _moved(a, way), _moved(a, other)
            if one and two and one != two:
                raise UserError(
                    f"{a.location}: {_range(a)} may be {shown(_at(text, one))} (counted in {_WAYS[way.reasons]}) or "
                    f"{shown(_at(text, two))} ({_WAYS[other.reasons]}); say which with the span's text beside it "
                    '("text")'
                )
    return way


def _characters(text: str, ends_as_one: bool, utf16: bool) -> list[int | None]:
    found: list[int | None] = []
    at = 0
    while at < len(text):
        found.append(at)
        if utf16 and text[at] > "\uffff":
            found.append(None)
        at += 2 if ends_as_one and text.startswith("\r\n", at) else 1
    return [*found, len(text)]


def _moved(annotation: Annotation, way: Counting) -> Annotation | None:
    """The annotation with ranges of characters; None where it has no such ranges."""
    pieces: list[Range] = []
    for start, end in annotation.pieces:
        if not 0 <= start < end < len(way.characters):
            return None
        a, b = way.characters[start], way.characters[end]
        if a is None or b is None or a >= b:
            return None
        pieces.append((a, b))
    return replace(annotation, pieces=tuple(pieces))


def _agrees(
    text: str, annotations: Sequence[Annotation], way: Counting, folded: Callable[[str], str]
) -> bool:
    """Whether the text is everywhere what the file says it is."""
    for annotation in annotations:
        if annotation.surfaces:
            moved = _moved(annotation, way)
            if moved is None or not _is_said(text, moved, folded):
                return False
    return True


def _is_said(text: str, annotation: Annotation, folded: Callable[[str], str]) -> bool:
    there = folded(_at(text, annotation))
    return all(folded(surface) == there for surface in annotation.surfaces)


def _at(text: str, annotation: Annotation) -> str:
    return " ".join(text[start:end] for start, end in annotation.pieces)


def _fits(text: str, annotation: Annotation, way: Counting) -> bool:
    """Whether no piece begins or ends at white space or inside a run of letters or of digits."""
    moved = _moved(annotation, way)
    if moved is None:
        return False
    edges = (edge for piece in moved.pieces for edge in piece)
    return not any(_inside(text, edge) for edge in edges) and not any(
        is_blank(text[a]) or is_blank(text[b - 1]) for a, b in moved.pieces
    )


def _inside(text: str, edge: int) -> bool:
    if not 0 < edge < len(text):
        return False
    before, after = text[edge - 1], text[edge]
    alike = (before.isalpha() and after.isalpha()) or (before.isdigit() and after.isdigit())
    return alike and not unspaced(before) and not unspaced(after)


def _disagreement(
    text: str, annotations: Sequence[Annotation], way: Counting, folded: Callable[[str], str]
) -> UserError:
    """What is wrong with the first annotation that is not what the file says it is."""
    for annotation in annotations:
        if not annotation.surfaces:
            continue
        moved = _moved(annotation, way)
        if moved is None:
            return _outside(text, annotation)
        if not _is_said(text, moved, folded):
            there = folded(_at(text, moved))
            said = next(s for s in annotation.surfaces if folded(s) != there)
            return UserError(
                f"{annotation.location}: the text at {_range(annotation)} is {shown(spaced(_at(text, moved)))}, not "
                f"{shown(said)}; ranges count characters (code points) of the text, line ends as they are; correct one "
                "of the two"
            )
    raise AssertionError("some annotation disagrees")


def _outside(text: str, annotation: Annotation) -> UserError:
    return UserError(
        f"{annotation.location}: span {_range(annotation)} is empty or outside its text of {len(text)} characters"
    )


def _range(annotation: Annotation) -> str:
    return ";".join(f"[{shown(start)}, {shown(end)})" for start, end in annotation.pieces)
