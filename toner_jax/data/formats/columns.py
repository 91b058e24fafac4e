"""Column files: one token a line, its tags beside it, a blank line between sentences.

It reads CoNLL-2003 (four columns), WNUT-17 and JNLPBA (token, tag) and GENIA's nested form (one tag
column per level of nesting). Tags follow any scheme of
`toner_jax.data.tags`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from toner_jax.atoms import bare
from toner_jax.data.formats.sample import Sample
from toner_jax.data.reading import (
    Read,
    check_not_empty,
    read_lines,
    running_document,
    shown,
    warn_of_unreachable,
)
from toner_jax.data.tags import Tag, TagReader
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema, Sentence, make_sentence

_DOCSTART = "-DOCSTART-"
_MEDLINE = "###MEDLINE:"
_SUFFIXES = (".conll", ".iob", ".iob2", ".bio")  # of nothing but column files, sound or not
_ROWS = 50  # enough to tell columns from prose
_TAG = re.compile(r"O|[BIESLU]-.+")
_UNWRITABLE = re.compile(r"[\t\n\r]|^ | $|^$")


def read_columns(
    path: str | Path,
    schema: Schema | None,
    *,
    split: str = "",
    token_column: int = 0,
    tag_columns: Sequence[int] = (-1,),
) -> Read:
    """Reads a column file.

    Columns are separated by tabs in a line that has one, else by runs of spaces; no other white
    space separates columns or lines, so a token may hold any other character. `-DOCSTART-` and
    `###MEDLINE:…` lines begin a document.

    Args:
      path: UTF-8, with or without a byte order mark, lines ending in LF or CRLF.
      schema: its names and tags are the labels that the file may use; None leaves them as they are.
      split: begins the sentences' ids, `{split}-{i}`, and those of documents without a number.
      token_column: the token's column, from 0; negative counts from the last.
      tag_columns: the tags' columns, likewise; empty means every column after the token (nested).

    Returns:
      The sentences, whose `doc_id` is MEDLINE's number or a running one, and None throughout a file
      without document lines. Repairs: those of `TagReader`, and `duplicate_entity` (two columns annotate
      the same span with the same type).

    Raises:
      UserError: the file cannot be read, is empty, or has a malformed line, which is named.
    """
    parsed = _parse(Path(path), schema, split, token_column, tag_columns)
    prefix = f"{split}-" if split else ""
    sentences = tuple(
        make_sentence(f"{prefix}{i}", words, entities, schema, doc_id=document)
        for i, (words, entities, document) in enumerate(parsed.sentences)
    )
    check_not_empty(sentences, path)
    repairs = parsed.reader.repairs()
    for location, times in parsed.duplicates:
        repairs.add("duplicate_entity", location, times)
    return Read(sentences, repairs)


def recognizes_columns(sample: Sample) -> bool:
    """Whether a file is named like CoNLL's, or most of its first lines hold a tag among several columns."""
    if sample.is_folder or sample.is_json or sample.first.startswith(("#begin document", "<DOC ")):
        return False
    if sample.path.suffix.lower() in _SUFFIXES:
        return True
    rows = _sample_rows(sample)
    return sum(map(_has_tag, rows)) > len(rows) / 2


def resembles_columns(sample: Sample) -> bool:
    """Whether most of a text's first lines, of which there are several, have as many columns, whatever they hold, or
    all but the very first hold a tag."""
    if sample.is_json or sample.is_binary:
        return False
    rows = _sample_rows(sample)
    widths = Counter(len(row) for row in rows)
    width, count = max(widths.items(), key=lambda item: item[1], default=(0, 0))
    return len(rows) > 1 and ((width > 1 and count > len(rows) / 2) or all(map(_has_tag, rows[1:])))


def has_tag(line: str) -> bool:
    """Whether one of a line's several columns is a tag."""
    return _has_tag(_split(line))


def _has_tag(row: Sequence[str]) -> bool:
    return len(row) > 1 and any(map(_TAG.fullmatch, row))


def _sample_rows(sample: Sample) -> list[list[str]]:
    """The first lines' columns; lines that begin a document or a comment do not count."""
    lines = [line for line in sample.lines[:_ROWS] if not line.startswith((_DOCSTART, _MEDLINE))]
    return [_split(line) for line in lines if not line.startswith("# ")] or [_split(line) for line in lines]


def tag_scheme(
    path: str | Path, schema: Schema, *, token_column: int = 0, tag_columns: Sequence[int] = (-1,)
) -> str:
    """The scheme of a column file's tags, as `read_columns` settles it: "IOB1", "IOB2" or "IOBES".

    Raises:
      UserError: as `read_columns`.
    """
    return _parse(Path(path), schema, "", token_column, tag_columns).reader.scheme


class _Parsed(NamedTuple):
    """A file's sentences (words, entities, document), what its tags were like, and where entities stood twice."""

    sentences: list[tuple[list[str], set[Entity], str | None]]
    reader: TagReader
    duplicates: list[tuple[str, int]]


def _parse(
    path: Path, schema: Schema | None, split: str, token_column: int, tag_columns: Sequence[int]
) -> _Parsed:
    reader = TagReader(schema)
    parser = _RowParser(path, reader, token_column, tag_columns)
    duplicates: list[tuple[str, int]] = []
    raw: list[tuple[list[str], set[Entity], str | None]] = []
    words: list[str] = []
    layers: list[tuple[Tag, ...]] = []  # per word, its tag in every column
    numbers: list[int] = []  # of the words' lines
    documents, document = 0, running_document(split, 0)

    def place(word: int) -> str:
        return f"{path}:{numbers[word]}"

    def end_sentence() -> None:
        nonlocal words, layers, numbers
        if words:
            found = [entity for tags in zip(*layers, strict=True) for entity in reader.entities(tags, place)]
            entities = set(found)
            if len(entities) < len(found):
                duplicates.append((place(0), len(found) - len(entities)))
            raw.append((words, entities, document))
            words, layers, numbers = [], [], []

    for number, line in enumerate(read_lines(path), 1):
        if not line or line.isspace():
            end_sentence()
            continue
        fields = _split(line)
        medline = fields[0].startswith(_MEDLINE)
        if medline or _DOCSTART in fields:
            end_sentence()
            documents += 1
            document = fields[0].removeprefix(_MEDLINE) if medline else ""
            document = document or running_document(split, documents)
            continue
        word, tags = parser(number, fields)
        words.append(word)
        layers.append(tags)
        numbers.append(number)
    end_sentence()
    if not documents:
        raw = [(words, entities, None) for words, entities, _ in raw]
    return _Parsed(raw, reader, duplicates)


def write_columns(sentences: Iterable[Sentence], path: Path) -> None:
    """Writes IOB2 columns separated by tabs: a tag column for each level of nesting that some sentence has,
    and a `-DOCSTART-` line wherever another `doc_id` begins.

    `read_columns(path, schema, tag_columns=())` gives the same words, entities and bounds of documents. The
    format has no room for the ids and for the original text: of raw text, each atom is a word. Nor for entities that
    are unreachable; how many there are is said.

    Raises:
      UserError: a word holds a tab, a line end or spaces at its edges, or reads as the beginning of a document.
    """
    sentences = list(sentences)
    warn_of_unreachable(sentences, path)
    layers = [tag_layers(len(s.words), s.entities) for s in sentences]
    depth = max([1, *map(len, layers)])
    document = None
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for s, levels in zip(sentences, layers, strict=True):
            if s.doc_id != document:
                document = s.doc_id
                begin_document(file, depth)
            words = list(map(bare, s.words))
            for word in filter(is_unwritable, words):
                raise UserError(f"sentence {s.id}: word {shown(word)} cannot stand in a column")
            write_sentence(file, words, levels, depth)


def is_unwritable(word: str) -> bool:
    """Whether a word cannot stand in a column: it holds a tab, a line end or spaces at its edges, is empty, or reads as
    the beginning of a document."""
    return bool(_UNWRITABLE.search(word)) or word == _DOCSTART or word.startswith(_MEDLINE)


def begin_document(file: IO[str], depth: int) -> None:
    """Writes the line that begins a document, with `depth` columns of tags."""
    file.write("\t".join([_DOCSTART, *["O"] * depth]) + "\n\n")


def write_sentence(file: IO[str], words: Sequence[str], layers: Sequence[Sequence[str]], depth: int) -> None:
    """Writes a sentence's words, none of which `is_unwritable`, beside `depth` columns of tags (from `tag_layers`)."""
    outside = ["O"] * len(words)
    for row in zip(words, *layers, *[outside] * (depth - len(layers)), strict=True):
        file.write("\t".join(row) + "\n")
    file.write("\n")


def tag_layers(length: int, entities: Iterable[Entity]) -> list[list[str]]:
    """IOB2 tags of a sentence of `length` words: as few columns as hold the entities, which are sorted by their
    beginning, and none of which overlap in one."""
    layers: list[list[str]] = []
    ends: list[int] = []
    for e in entities:
        level = next((i for i, end in enumerate(ends) if end <= e.start), len(layers))
        if level == len(layers):
            layers.append(["O"] * length)
            ends.append(0)
        ends[level] = e.end
        layers[level][e.start : e.end] = [f"B-{e.type}"] + [f"I-{e.type}"] * (e.end - e.start - 1)
    return layers


def _split(line: str) -> list[str]:
    # str.split() without an argument would also split at U+00A0, U+3000 and others inside tokens.
    if "\t" in line:
        return [part.strip(" ") for part in line.split("\t")]
    return [part for part in line.split(" ") if part]


class _RowParser:
    """Checks the rows of one file and takes the token and the parsed tags out of each."""

    def __init__(self, path: Path, reader: TagReader, token_column: int, tag_columns: Sequence[int]):
        self._path, self._reader = path, reader
        self._token_column, self._tag_columns = token_column, tuple(tag_columns)
        self._first_line = self._width = self._token = 0
        self._tags: tuple[int, ...] = ()

    def __call__(self, number: int, fields: list[str]) -> tuple[str, tuple[Tag, ...]]:
        if len(fields) != self._width:
            if self._width:
                raise self._error(
                    number,
                    f"{_columns(len(fields))} where line {self._first_line} has {self._width}; "
                    "give every line the same columns",
                )
            self._place_columns(number, len(fields))
        word = fields[self._token]
        if not word:
            raise self._error(number, "the token is empty; remove the line or write its token")
        known = self._reader.known
        try:
            return word, tuple([known[fields[c]] for c in self._tags])
        except KeyError:
            location = f"{self._path}:{number}"
            return word, tuple([self._reader.parse(fields[c], location) for c in self._tags])

    def _place_columns(self, number: int, width: int) -> None:
        """Settles on the first row which columns are meant."""

        def index(column: int, what: str) -> int:
            if not -width <= column < width:
                raise self._error(number, f"{_columns(width)}, but the {what} is expected in column {column}")
            return column % width

        self._first_line, self._width = number, width
        self._token = index(self._token_column, "token")
        columns = self._tag_columns or range(self._token + 1, width)
        self._tags = tuple(dict.fromkeys(index(c, "tag") for c in columns))
        if not self._tags or self._token in self._tags:
            raise self._error(
                number, f"{_columns(width)}, which leaves none for the tag beside the token; add the tags"
            )

    def _error(self, number: int, message: str) -> UserError:
        return UserError(f"{self._path}:{number}: {message}")


def _columns(n: int) -> str:
    return f"{n} column" if n == 1 else f"{n} columns"
