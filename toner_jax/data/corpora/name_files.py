"""The `.name` files of the OntoNotes 5.0 release: a sentence a line, its words separated by spaces, entities
in ENAMEX elements."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from toner_jax.data.corpora.conll2012 import RawSentence
from toner_jax.data.reading import read_lines, resolve_label
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema

_DOCUMENT = re.compile(r'<DOC DOCNO="([^"@]+)(?:@([^"@]*))?[^"]*">')
_TAG = re.compile(r"<[^<>]*>")
_ENAMEX = re.compile(r'<ENAMEX((?: +[A-Z_]+="[^"]*")*) *>')
_ATTRIBUTE = re.compile(r'([A-Z_]+)="([^"]*)"')
# The release spells what SGML could mistake for mark-up so; brackets stay as in the treebank (`-LRB-`).
_SPELLED = (("-LAB-", "<"), ("-RAB-", ">"), ("-AMP-", "&"))


@dataclass
class _Mention:
    """An entity as its tags give it, in the line's words before any is split."""

    type: str
    start: int
    end: int
    skip: int  # characters of the first word that are not part of it (S_OFF)
    spare: int  # and of the last (E_OFF)


def read_name_file(path: Path, schema: Schema | None) -> Iterator[RawSentence]:
    """The sentences of one file.

    Where `S_OFF` or `E_OFF` say that an entity begins or ends inside a word, the word is split there.

    Raises:
      UserError: mark-up that does not match, an unknown label or attribute, an offset that leaves nothing of
        a word, or a file that is cut off.
    """
    document = part = ""
    begun = 0
    lines = read_lines(path)
    for number, line in enumerate(lines, 1):
        line = line.strip(" \t")
        location = f"{path}:{number}"
        if not line:
            continue
        if line.startswith("<DOC"):
            match = _DOCUMENT.fullmatch(line)
            if match is None or begun:
                raise UserError(f'{location}: expected one `<DOC DOCNO="ID@…">` for each document')
            document, part, begun = match[1], match[2] or "0000", number
        elif not begun:
            raise UserError(f'{location}: text before `<DOC DOCNO="ID@…">`')
        elif line == "</DOC>":
            begun = 0
        else:
            words, mentions = _read_line(line, schema, location)
            if words:
                yield RawSentence(document, part, *_split_words(words, mentions, location))
    if begun:
        raise UserError(
            f"{path}:{len(lines)}: the document of line {begun} has no `</DOC>`; is the file cut off?"
        )


def _read_line(line: str, schema: Schema | None, location: str) -> tuple[list[str], list[_Mention]]:
    words: list[str] = []
    mentions: list[_Mention] = []
    open_: list[_Mention] = []
    at, glued = 0, False  # whether the text so far ends inside a word
    for match in [*_TAG.finditer(line), None]:
        text = line[at : match.start() if match else None]
        if "<" in text or ">" in text:
            raise UserError(f"{location}: a stray `<` or `>`; the release writes them -LAB- and -RAB-")
        if glued and text and not text.startswith(" "):
            raise UserError(
                f"{location}: {text[:20]!r} is glued to an entity; the release uses E_OFF for that"
            )
        words += [_decoded(word) for word in text.split(" ") if word]
        if text:
            glued = not text.endswith(" ")
        if match is None:
            break
        at = match.end()
        if match[0] == "</ENAMEX>":
            if not open_:
                raise UserError(f"{location}: `</ENAMEX>` closes no entity of the line")
            mention = open_.pop()
            mention.end = len(words)
            if mention.end <= mention.start:
                raise UserError(f"{location}: an entity without words")
        else:
            mention = _opened(match[0], schema, location)
            if glued:
                raise UserError(
                    f"{location}: {match[0]} stands inside a word; the release uses S_OFF for that"
                )
            mention.start = len(words)
            open_.append(mention)
            mentions.append(mention)
    if open_:
        raise UserError(f"{location}: an ENAMEX of type {open_[-1].type} is not closed on its line")
    return words, mentions


def _opened(tag: str, schema: Schema | None, location: str) -> _Mention:
    match = _ENAMEX.fullmatch(tag)
    if match is None:
        raise UserError(f'{location}: unknown tag {tag!r}; expected <ENAMEX TYPE="…"> or </ENAMEX>')
    given = dict(_ATTRIBUTE.findall(match[1]))
    label = given.pop("TYPE", None)
    offsets = [given.pop(name, "0") for name in ("S_OFF", "E_OFF")]
    if label is None or given or not all(o.isascii() and o.isdigit() and len(o) < 5 for o in offsets):
        raise UserError(f'{location}: {tag!r}: an ENAMEX has TYPE="…" and may have S_OFF="n" and E_OFF="n"')
    return _Mention(resolve_label(schema, label, location), 0, 0, int(offsets[0]), int(offsets[1]))


def _decoded(word: str) -> str:
    for spelled, character in _SPELLED:
        word = word.replace(spelled, character)
    return html.unescape(word)


def _split_words(words: list[str], mentions: list[_Mention], location: str) -> tuple[list[str], list[Entity]]:
    """The words split where mentions begin and end inside them, and the entities over the new words."""
    cuts: list[set[int]] = [{0, len(word)} for word in words]
    for m in mentions:
        last = len(words[m.end - 1])
        first = m.skip if m.end - m.start == 1 else 0
        if m.skip >= len(words[m.start]) or first + m.spare >= last:
            raise UserError(
                f"{location}: S_OFF={m.skip}, E_OFF={m.spare} leave nothing of {' '.join(words[m.start : m.end])!r}"
            )
        cuts[m.start].add(m.skip)
        cuts[m.end - 1].add(last - m.spare)
    pieces: list[str] = []
    at: dict[tuple[int, int], int] = {}  # (word, cut) → the new word that begins there
    for i, word in enumerate(words):
        edges = sorted(cuts[i])
        for a, b in pairwise(edges):
            at[i, a] = len(pieces)
            pieces.append(word[a:b])
        at[i, len(word)] = len(pieces)
    entities = [
        Entity(at[m.start, m.skip], at[m.end - 1, len(words[m.end - 1]) - m.spare], m.type) for m in mentions
    ]
    return pieces, entities
