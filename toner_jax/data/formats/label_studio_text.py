"""Label Studio's texts: plain ones, HTML pages and dialogues, and how their regions' ranges are counted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from html import unescape
from html.parser import HTMLParser
from typing import Any

from toner_jax.atoms import Range
from toner_jax.data.formats.json_values import as_int, as_text
from toner_jax.data.formats.offsets import Annotation, Counting, FileCounting, countings, place_annotations
from toner_jax.data.reading import shown
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError

_PLAIN = "/text()[1]"  # the XPath of a text without elements
_INLINE = re.compile(
    "a|abbr|b|bdi|bdo|cite|code|data|del|dfn|em|font|i|ins|kbd|label|mark|q|s|samp|small|span|strike|strong|sub|sup|"
    "time|tt|u|var|wbr"
)
_HIDDEN = ("script", "style")


class PlainText:
    """A text that is shown as it is."""

    def __init__(self, value: str):
        self.text = value

    @cached_property
    def ways(self) -> Sequence[Counting]:
        """The ways in which its ranges may be counted."""
        return countings(self.text)

    def range(self, value: Mapping[str, Any], location: str) -> Range:
        """The range of a region, in the file's way of counting.

        Raises:
          UserError: it has none.
        """
        start, end = value.get("start"), value.get("end")
        if isinstance(start, str) and start.startswith("/"):
            offsets = value.get("globalOffsets")
            if isinstance(offsets, dict):
                start, end = offsets.get("start"), offsets.get("end")
            elif start == end == _PLAIN:
                start, end = value.get("startOffset"), value.get("endOffset")
            else:
                raise UserError(
                    f"{location}: a region's range is given by the XPath {shown(start)} alone, which cannot be read; "
                    'export the tasks from a Label Studio that writes "globalOffsets"'
                )
        return as_int(start, location), as_int(end, location)

    def learn(self, counting: FileCounting, annotations: Sequence[Annotation]) -> None:
        """Tells how the file counts; raises as `FileCounting.learn`."""
        counting.learn(self.text, annotations, ways=self.ways, folded=_folded)

    def placed(
        self, annotations: Sequence[Annotation], repairs: Repairs, counting: FileCounting
    ) -> list[Annotation]:
        """The annotations with ranges of the text's characters; raises as `place_annotations`."""
        return place_annotations(
            self.text, annotations, repairs, ways=self.ways, folded=_folded, known=counting.left
        )


class Page(PlainText):
    """The text of an HTML page, with line ends between its blocks. Ranges count the characters of the page's nodes, a
    line break among them or not, or those of the source."""

    def __init__(self, source: str):
        parser = _Parser(source)
        parser.feed(source)
        parser.close()
        self._source, self._found = source, parser.found
        super().__init__("".join(character for character, _, _ in self._found))

    @cached_property
    def ways(self) -> Sequence[Counting]:
        """As `PlainText.ways`."""
        of_source: list[int | None] = []
        for index, (_, at, _) in enumerate(self._found):
            of_source += [index] * (at + 1 - len(of_source))
        of_source += [len(self._found)] * (len(self._source) + 1 - len(of_source))
        found: list[tuple[str, list[int | None]]] = []
        for breaks in (0, 1):
            kept = [i for i, (_, _, weight) in enumerate(self._found) if weight + breaks > 1]
            found.append(("".join(self._found[i][0] for i in kept), [*kept, len(self._found)]))
        return [
            Counting(way.reasons, [None if at is None else to_text[at] for at in way.characters])
            for counted, to_text in (*found, (self._source, of_source))
            for way in countings(counted)
        ]

    def placed(
        self, annotations: Sequence[Annotation], repairs: Repairs, counting: FileCounting
    ) -> list[Annotation]:
        """As `PlainText.placed`, without the line ends between blocks, which no node holds.

        Raises:
          UserError: as there, or a region does not repeat its text, which tells how it is counted.
        """
        if bare := next((a for a in annotations if not a.surfaces), None):
            raise UserError(
                f'{bare.location}: a region of an HTML page has no "text", without which its range cannot be read'
            )
        found = []
        for a in super().placed(annotations, repairs, counting):
            surface = self.text[a.start : a.end]
            start = a.start + len(surface) - len(surface.lstrip())
            found.append(replace(a, pieces=((start, max(start, a.start + len(surface.rstrip()))),)))
        return found


class Dialogue(PlainText):
    """The phrases of a dialogue, a line each. A region gives phrases by their numbers, and ranges within them."""

    def __init__(self, phrases: Sequence[str]):
        super().__init__("\n".join(phrases))
        of_phrases = [countings(phrase) for phrase in phrases]
        self._room = [max(len(way.characters) for way in ways) for ways in of_phrases]
        self._phrases = phrases

    @cached_property
    def ways(self) -> Sequence[Counting]:
        """As `PlainText.ways`; each phrase has as much room as its widest way of counting needs."""
        found = []
        for reasons in dict.fromkeys(way.reasons for way in countings(self.text)):
            characters: list[int | None] = []
            begin = 0
            for phrase, room in zip(self._phrases, self._room, strict=True):
                ways = countings(phrase)
                way = next((w for w in ways if w.reasons == reasons), ways[0])
                own = [None if at is None else begin + at for at in way.characters]
                characters += own + [None] * (room - len(own))
                begin += len(phrase) + 1
            found.append(Counting(reasons, characters))
        return found

    def range(self, value: Mapping[str, Any], location: str) -> Range:
        """As `PlainText.range`."""
        return self._offset(value, "start", location), self._offset(value, "end", location)

    def _offset(self, value: Mapping[str, Any], side: str, location: str) -> int:
        number = value.get(side)
        if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) < 10:
            number = int(number)
        number, offset = (
            as_int(number, location),
            as_int(value.get(f"{side}Offset"), location),
        )
        if not 0 <= number < len(self._phrases) or not 0 <= offset < self._room[number]:
            raise UserError(
                f"{location}: a region names character {shown(offset)} of phrase {shown(number)}, which the dialogue "
                f"of {len(self._phrases)} phrases does not have"
            )
        return sum(self._room[:number]) + offset


def make_text(value: Any, key: str, of_page: bool, location: str) -> PlainText:
    """The text that a task's value is.

    Args:
      of_page: whether a string is the source of an HTML page.

    Raises:
      UserError: it is neither a string nor a dialogue.
    """
    if not isinstance(value, list):
        text = as_text(value, f'"{key}"', location)
        return Page(text) if of_page else PlainText(text)
    phrases = [phrase for phrase in value if isinstance(phrase, dict)]
    if len(phrases) < len(value):
        raise UserError(f'{location}: "{key}" is {shown(value)}; expected a text, or a list of phrases')
    names = [
        name
        for name in (phrases[0] if phrases else {})
        if name not in ("author", "name", "speaker", "role", "id")
        and all(isinstance(phrase.get(name), str) for phrase in phrases)
    ]
    if phrases and "text" not in names and len(names) != 1:
        raise UserError(
            f'{location}: the phrases of "{key}" have no "text"; their keys are '
            f"{', '.join(map(shown, list(phrases[0])[:10]))}"
        )
    name = "text" if "text" in names or not names else names[0]
    return Dialogue([as_text(phrase[name], f'"{name}"', location) for phrase in phrases])


def in_page(value: Mapping[str, Any]) -> bool:
    """Whether a region lies in an element of an HTML page."""
    start = value.get("start")
    return isinstance(start, str) and start.startswith("/") and start != _PLAIN


def _folded(text: str) -> str:
    """Without white space: Label Studio writes line ends as a backslash and an n, or not at all between blocks."""
    return "".join(text.replace("\\n", " ").split())


class _Parser(HTMLParser):
    """The characters of a page.

    Attributes:
      found: each character, where its source begins, and its weight: 2 of a node's text, 1 of a line break, 0 of the
        line ends that are put between blocks.
    """

    def __init__(self, source: str):
        super().__init__(convert_charrefs=False)
        self.found: list[tuple[str, int, int]] = []
        self._lines = [0, *(i + 1 for i, character in enumerate(source) if character == "\n")]
        self._hidden = 0

    @property
    def _at(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._hidden += tag in _HIDDEN
        if tag == "br":
            self.found.append(("\n", self._at, 1))
        else:
            self._block(tag)

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in _HIDDEN and self._hidden > 0
        self._block(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.found += [(character, self._at + i, 2) for i, character in enumerate(data)]

    def handle_entityref(self, name: str) -> None:
        self._reference(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._reference(f"&#{name};")

    def _reference(self, written: str) -> None:
        if not self._hidden:
            self.found += [(character, self._at, 2) for character in unescape(written)]

    def _block(self, tag: str) -> None:
        if not _INLINE.fullmatch(tag) and self.found and self.found[-1][0] != "\n":
            self.found.append(("\n", self._at, 0))
