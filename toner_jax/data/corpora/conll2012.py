"""Files of the CoNLL-2012 shared task, `*gold_conll` and `*gold_skel`: a word a line, named entities in
brackets in 0-based column 10."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from toner_jax.data.reading import read_lines, resolve_label
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema

_WORD, _NAMES = 3, 10
_BEGIN = re.compile(r"#begin document \(?([^();\s]+)\)?(?:; part (\d+))?\s*")
_BRACKETS = re.compile(r"\(([^()*\s]+)|(\*)|(\))")


class RawSentence(NamedTuple):
    """A sentence as a file has it.

    Attributes:
      document: the document's id, such as `bc/cctv/00/cctv_0000`.
      part: which part of it, such as `000`; long documents have several.
      entities: in the file's order, duplicates included.
    """

    document: str
    part: str
    words: list[str]
    entities: list[Entity]


def read_conll2012(path: Path, schema: Schema | None) -> Iterator[RawSentence]:
    """The sentences of one file, those without entities too.

    Words are as the file spells them, `-LRB-`, `/.` and the like included: so the published counts and
    scores have them. In `gold_skel` files every word is `[WORD]`.

    Raises:
      UserError: a malformed line, brackets that do not match within their sentence, a label that the schema
        lacks, or a document that does not end.
    """
    document = _Document(path)
    sentence = _Sentence(path, schema)
    lines = read_lines(path)
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line or line.isspace():
            if sentence.words:
                yield RawSentence(document.id, document.part, *sentence.take())
            if line.startswith("#"):
                document.mark(number, line)
        elif not document.begun:
            raise UserError(f"{path}:{number}: a row before any `#begin document (ID); part NNN`")
        else:
            sentence.add(number, line)
    if document.begun:
        raise UserError(
            f"{path}:{len(lines)}: the document begun on line {document.begun} has no `#end document`; is the "
            "file cut off?"
        )


class _Document:
    """The document whose rows are being read.

    Attributes:
      id, part: of the last that began.
      begun: the line of its beginning; 0 outside any document.
    """

    def __init__(self, path: Path):
        self._path = path
        self.id = self.part = ""
        self.begun = 0

    def mark(self, number: int, line: str) -> None:
        """Begins or ends a document by a line that starts with `#`."""
        location = f"{self._path}:{number}"
        if line.startswith("#begin document"):
            match = _BEGIN.fullmatch(line)
            if match is None:
                raise UserError(f"{location}: expected `#begin document (ID); part NNN`")
            if self.begun:
                raise UserError(f"{location}: the document begun on line {self.begun} has no `#end document`")
            self.id, self.part, self.begun = match[1], match[2] or "000", number
        elif line.startswith("#end document"):
            if not self.begun:
                raise UserError(f"{location}: `#end document` where none has begun")
            self.begun = 0
        else:
            raise UserError(
                f"{location}: expected a row, `#begin document` or `#end document`, not {line[:40]!r}"
            )


class _Sentence:
    """The rows of the sentence being read."""

    def __init__(self, path: Path, schema: Schema | None):
        self._path, self._schema = path, schema
        self._types: dict[str, str] = {}
        self._reset()

    def _reset(self) -> None:
        self.words: list[str] = []
        self._entities: list[Entity] = []
        self._open: list[tuple[int, str, int]] = []  # (first word, type, line)
        self._width = 0

    def add(self, number: int, line: str) -> None:
        fields = [field for field in line.replace("\t", " ").split(" ") if field]
        if len(fields) <= _NAMES:
            raise UserError(
                f"{self._path}:{number}: {len(fields)} columns; a CoNLL-2012 row has named entities in column "
                f"{_NAMES + 1}"
            )
        if self._width and len(fields) != self._width:
            raise UserError(
                f"{self._path}:{number}: {len(fields)} columns where the sentence has {self._width}; "
                "mend or remove the row"
            )
        self._width = len(fields)
        self.words.append(fields[_WORD])
        if fields[_NAMES] not in ("*", "-"):
            self._brackets(fields[_NAMES], number)

    def _brackets(self, cell: str, number: int) -> None:
        """Opens and closes the entities of a cell: `(PERSON*`, `*)`, `(GPE)`, `(DATE(CARDINAL)*`."""
        at = 0
        word = len(self.words) - 1
        for match in _BRACKETS.finditer(cell):
            if match.start() != at:
                break
            at = match.end()
            label, _, closing = match.groups()
            if label:
                if label not in self._types:
                    self._types[label] = resolve_label(self._schema, label, f"{self._path}:{number}")
                self._open.append((word, self._types[label], number))
            elif closing:
                if not self._open:
                    raise UserError(
                        f"{self._path}:{number}: `)` in {cell!r} closes no entity of the sentence"
                    )
                start, name, _ = self._open.pop()
                self._entities.append(Entity(start, word + 1, name))
        if at != len(cell):
            raise UserError(
                f"{self._path}:{number}: named entities {cell!r}: write (TYPE, * and ) as in (GPE), (DATE* or *)"
            )

    def take(self) -> tuple[list[str], list[Entity]]:
        if self._open:
            _, name, number = self._open[-1]
            raise UserError(
                f"{self._path}:{number}: the {name} that begins here is not closed in its sentence"
            )
        done = self.words, self._entities
        self._reset()
        return done
