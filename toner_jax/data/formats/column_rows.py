"""The lines of a column file: rows of a token and its tags, blank lines, and lines that are neither.

A line that begins a sentence with `# ` (or `#` and a tab) and is no row of the file's columns is a comment, as in
MultiCoNER, CoNLL-U and GermEval: the token `#` stands in a row with a tag. A first row that names its columns is a
header. Of CoNLL-U, `# newdoc id = X` begins a document, and the line of a multiword token (`1-2`) or of an empty node
(`8.1`), which annotate no word of their own, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from toner_jax.data.formats.headers import TAG, WORD
from toner_jax.data.notation import OUTSIDE, is_prefixed
from toner_jax.data.reading import read_lines, shown
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError

DOCSTART = "-DOCSTART-"
MEDLINE = "###MEDLINE:"
WEBANNO = "#FORMAT=WebAnno TSV"
# Of CoNLL-2000, which stand beside entities in CoNLL-2003.
_CHUNKS = {"ADJP", "ADVP", "CONJP", "INTJ", "LST", "NP", "PP", "PRT", "SBAR", "UCP", "VP"}
_LAST = (-1,)  # the columns of tags, where nothing is said

_TAG = re.compile(r"O|[BIESLU]-.+")
_COMMENT = re.compile(r"#([ \t]|$)")
_FIELD_COMMENT = re.compile(r"# ?[\w:.]+ = ?")  # CoNLL-U's `# sent_id = 1`, however many words
_NEW_DOCUMENT = re.compile(r"# ?newdoc\b(?:\s+id\s*=\s*(\S.*))?")
_NUMBER = re.compile(r"\d+")
_RANGE = re.compile(r"\d+[-.]\d+")
_NO_TAG = (*OUTSIDE, "_", "-")


def split_fields(line: str) -> list[str]:
    """The fields of a line: between tabs where it has one, else between runs of spaces."""
    # str.split() without an argument would also split at U+00A0, U+3000 and others inside tokens.
    if "\t" in line:
        return [part.strip(" ") for part in line.split("\t")]
    return [part for part in line.split(" ") if part]


def has_tag(row: Sequence[str]) -> bool:
    """Whether one of several fields is a tag."""
    return len(row) > 1 and any(map(_TAG.fullmatch, row))


def may_be_comment(line: str) -> bool:
    """Whether a line begins as comments do."""
    return _COMMENT.match(line) is not None


class Row(NamedTuple):
    """A word and its tags, one for each column of them."""

    number: int
    word: str
    tags: tuple[str, ...]


class Document(NamedTuple):
    """The beginning of a document, with the name that the line gives it, or ""."""

    name: str


class RowReader:
    """Reads the lines of one file.

    Attributes:
      repairs: lines left out: `comment`, `header`, `multiword_range`.
      header: the fields of the line that names the columns; empty without one.
    """

    def __init__(self, path: Path, token_column: int, tag_columns: Sequence[int]):
        self.repairs = Repairs()
        self.header: list[str] = []
        self._path = path
        self._token_column, self._tag_columns = token_column, tuple(tag_columns)
        self._first_line = self._width = self._token = 0
        self._tags: tuple[int, ...] = ()
        self._found: set[str] = set()  # tags of rows that are surely such
        self._read: set[str] = set()  # tags of all rows
        self._unread: tuple[int, ...] = ()  # columns that may hold tags, though nobody said so
        self._left: dict[str, int] = {}  # what they hold → its first line

    def __iter__(self) -> Iterator[Row | Document | None]:
        """Rows, beginnings of documents, and None where a sentence ends.

        Raises:
          UserError: the file cannot be read or has a malformed line, which is named, or columns of tags that are not
            read.
        """
        lines = read_lines(self._path)
        if lines[0].startswith(WEBANNO):
            raise self._error(1, "WebAnno's TSV is not read; export CoNLL 2002 from WebAnno or INCEpTION")
        self._settle_columns(lines)
        begun = False  # a sentence
        for number, line in enumerate(lines, 1):
            if not line or line.isspace():
                begun = False
                yield None
                continue
            fields = split_fields(line)
            if (name := _document(line, fields)) is not None:
                begun = False
                self._refuse_levels(number, fields)
                yield Document(name)
                continue
            if self._is_left_out(number, line, fields, begun):
                continue
            begun = True
            yield self._row(number, fields)
        self._refuse_unread()

    def _settle_columns(self, lines: Sequence[str]) -> None:
        """Settles on the first row that is no comment which columns are meant."""
        for number, line in enumerate(lines, 1):
            if not line or line.isspace() or may_be_comment(line):
                continue
            fields = split_fields(line)
            if _document(line, fields) is None:
                self._place_columns(number, len(fields))
                self._note_tags(lines)
                return
        # A file of nothing else: perhaps each of its words is #.
        rows = [
            (number, fields) for number, line in enumerate(lines, 1) if has_tag(fields := split_fields(line))
        ]
        if rows:
            self._place_columns(rows[0][0], len(rows[0][1]))

    def _note_tags(self, lines: Sequence[str]) -> None:
        """Notes the tags of all rows, by which the token # is told from a comment, where a line may be either."""
        if any(map(may_be_comment, lines)):
            rows = (split_fields(line) for line in lines if line and not may_be_comment(line))
            self._found.update(row[c] for row in rows if len(row) == self._width for c in self._tags)

    def _is_left_out(self, number: int, line: str, fields: Sequence[str], begun: bool) -> bool:
        """Whether a line is no row, which is counted."""
        if not begun and may_be_comment(line) and not self._is_row(line, fields):
            self._refuse_tagged_comment(number, line, fields)
            reason = "comment"
        elif len(fields) != self._width:
            return False
        elif number == self._first_line and self._is_header(fields):
            self.header = [*fields]
            reason = "header"
        elif not begun and fields == self.header:
            reason = "header"
        elif self._token and _RANGE.fullmatch(fields[0]):
            self._refuse_annotated_range(fields, f"{self._path}:{number}")
            reason = "multiword_range"
        else:
            return False
        self.repairs.add(reason, f"{self._path}:{number}")
        return True

    def _is_row(self, line: str, fields: Sequence[str]) -> bool:
        """Whether a line that may be a comment has the columns of a row and a tag in each that holds tags."""
        if len(fields) != self._width or _FIELD_COMMENT.match(line):
            return False
        return all(_TAG.fullmatch(fields[c]) or fields[c] in self._found for c in self._tags)

    def _refuse_tagged_comment(self, number: int, line: str, fields: Sequence[str]) -> None:
        """Refuses a comment that may be the token # with a tag that no other row has."""
        if len(fields) != self._width or _FIELD_COMMENT.match(line):
            return
        if tag := next((fields[c] for c in self._tags if is_prefixed(fields[c])), None):
            raise self._error(
                number,
                f"the line is a comment, or the token '#' with the tag {shown(tag)}; leave the comment out, or write "
                "the token otherwise",
            )

    def _refuse_levels(self, number: int, fields: Sequence[str]) -> None:
        """Refuses a document's line with a tag for each of several levels of nesting, of which one would be read."""
        if self._tag_columns == _LAST and len(fields) > 2 and set(fields[1:]) == {"O"}:
            raise self._error(
                number,
                f"the line has {len(fields) - 1} tags, as of nested entities, and only the last column is read; set "
                'data.tag_columns="()" to read all, or name one, as "(1,)"',
            )

    def _refuse_unread(self) -> None:
        """Refuses a column that is not read, though nobody said so, and has tags of the labels that are read, or of
        entities where none are read."""
        labels = {tag[2:] for tag in self._read if _TAG.fullmatch(tag)} - {""}
        only_outside = self._read <= {*OUTSIDE}
        for tag, number in self._left.items():
            if not _TAG.fullmatch(tag) or tag in OUTSIDE:
                continue
            if tag[2:] in labels or (only_outside and tag[2:] not in _CHUNKS):
                raise self._error(
                    number,
                    f"tag {shown(tag)} is in a column that is not read, and the last one, which is, has "
                    f'{"O alone" if only_outside else "its label too"}; set data.tag_columns="()" to read all columns '
                    f'after the token, or name those meant, as "({self._width - 1},)"',
                )

    def _is_header(self, fields: Sequence[str]) -> bool:
        names = [field.strip('#"').casefold() for field in fields]
        return names[self._token] in WORD and all(names[c] in TAG for c in self._tags)

    def _refuse_annotated_range(self, fields: Sequence[str], location: str) -> None:
        if tag := next((fields[c] for c in self._tags if fields[c] not in _NO_TAG), None):
            raise UserError(
                f"{location}: the line of a multiword token or an empty node ({fields[0]}) has the tag {shown(tag)}; "
                "annotate its words"
            )

    def _row(self, number: int, fields: list[str]) -> Row:
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
        for column in self._unread:
            self._left.setdefault(fields[column], number)
        tags = tuple([fields[c] for c in self._tags])
        self._read.update(tags)
        return Row(number, word, tags)

    def _place_columns(self, number: int, width: int) -> None:
        def index(column: int, what: str) -> int:
            if not -width <= column < width:
                raise self._error(number, f"{_columns(width)}, but the {what} is expected in column {column}")
            return column % width

        self._first_line, self._width = number, width
        self._token = index(self._token_column, "token")
        columns = self._tag_columns or range(self._token + 1, width)
        self._tags = tuple(dict.fromkeys(index(c, "tag") for c in columns))
        if self._tag_columns == _LAST:
            self._unread = tuple(c for c in range(width) if c != self._token and c not in self._tags)
        if not self._tags or self._token in self._tags:
            raise self._error(
                number, f"{_columns(width)}, which leaves none for the tag beside the token; add the tags"
            )

    def _error(self, number: int, message: str) -> UserError:
        return UserError(f"{self._path}:{number}: {message}")


def refuse_numbered_tokens(sentences: Sequence[Sequence[str]], path: Path) -> None:
    """Refuses a file whose tokens count 1, 2, 3 … in every sentence: they were taken from the wrong column.

    Raises:
      UserError: they do.
    """
    numbered = all(_NUMBER.fullmatch(words[0]) and list(words) == _count(len(words)) for words in sentences)
    if numbered and any(len(words) > 1 for words in sentences):
        raise UserError(
            f"{path}: the tokens are the numbers 1, 2, 3 … of each sentence; name the column of the words in "
            "data.token_column, and those of the tags in data.tag_columns"
        )


def refuse_header_rows(sentences: Sequence[Sequence[Row]], path: Path) -> None:
    """Refuses rows of a file of labels without prefixes that may name its columns, and would become entities: they
    begin a sentence, their token is a usual name of tokens' columns, and no other row has their tag.

    Raises:
      UserError: there is such a row.
    """
    heads = {rows[0].number: rows[0] for rows in sentences if rows[0].word.strip('#"').casefold() in WORD}
    elsewhere = {tag for rows in sentences for row in rows if row.number not in heads for tag in row.tags}
    for row in heads.values():
        if tag := next((tag for tag in row.tags if tag not in OUTSIDE and tag not in elsewhere), None):
            raise UserError(
                f"{path}:{row.number}: the row {shown(row.word)} with the tag {shown(tag)} may name the columns; "
                "remove it, or if it is a word, begin the file with a row of names, token and tag"
            )


def _count(length: int) -> list[str]:
    return [str(i) for i in range(1, length + 1)]


def _document(line: str, fields: Sequence[str]) -> str | None:
    """The name, or "", of the document that a line begins; None of other lines."""
    if DOCSTART in fields:
        return ""
    if line.lstrip()[:1] != "#":
        return None
    if fields[0].startswith(MEDLINE):
        return fields[0].removeprefix(MEDLINE)
    found = _NEW_DOCUMENT.fullmatch(line.rstrip())
    return (found[1] or "").strip() if found else None


def _columns(n: int) -> str:
    return f"{n} column" if n == 1 else f"{n} columns"
