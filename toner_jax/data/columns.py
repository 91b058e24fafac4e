"""Reader of column files: one token a line, its tags beside it, a blank line between sentences.

It reads CoNLL-2003 (four columns), WNUT-17 and JNLPBA (token, tag) and GENIA's nested form (one tag
column per level of nesting).

Tags are IOB. Spans are the same whether a file is IOB1 or IOB2: `B-X` always begins an entity, and
`I-X` begins one wherever no entity of type X is open in its column. The scheme only decides whether
the latter is normal or a fault, and it is settled once per file. Under IOB1 an entity begins with
`B-` only right after another of its own type. So a file is IOB1 when some entity begins with `I-`
and none begins with `B-` where IOB1 would have put `I-`; any other file is IOB2, and each of its
entities that begins with `I-` was repaired and is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from toner_jax.data.reading import Read, check_not_empty, read_lines, resolve_label, running_document
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema, make_sentence

_DOCSTART = "-DOCSTART-"
_MEDLINE = "###MEDLINE:"

# A tag, parsed: its prefix and the name of its type; outside any entity both are empty.
_Tag = tuple[str, str]
_OUTSIDE: _Tag = ("", "")


def read_columns(
    path: str | Path,
    schema: Schema,
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
      schema: its names and tags are the labels that the file may use.
      split: begins the sentences' ids, `{split}-{i}`, and those of documents without a number.
      token_column: the token's column, from 0; negative counts from the last.
      tag_columns: the tags' columns, likewise; empty means every column after the token (nested).

    Returns:
      The sentences, whose `doc_id` is MEDLINE's number or a running one, and None throughout a file
      without document lines. Repairs: `i_without_b` (an entity of an IOB2 file began with `I-`) and
      `duplicate_entity` (two columns annotate the same span with the same type).

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
    counts = {
        "i_without_b": parsed.starts["I"] if parsed.scheme == "IOB2" else 0,
        "duplicate_entity": parsed.duplicates,
    }
    return Read(sentences, {reason: n for reason, n in counts.items() if n})


def iob_scheme(
    path: str | Path, schema: Schema, *, token_column: int = 0, tag_columns: Sequence[int] = (-1,)
) -> str:
    """Whether a column file is "IOB1" or "IOB2", as `read_columns` settles it.

    Raises:
      UserError: as `read_columns`.
    """
    return _parse(Path(path), schema, "", token_column, tag_columns).scheme


class _Parsed(NamedTuple):
    """A file's sentences (words, entities, document), and what `_spans` counted in it."""

    sentences: list[tuple[list[str], set[Entity], str | None]]
    starts: Counter[str]
    duplicates: int

    @property
    def scheme(self) -> str:
        return "IOB1" if self.starts["I"] and not self.starts["B"] else "IOB2"


def _parse(path: Path, schema: Schema, split: str, token_column: int, tag_columns: Sequence[int]) -> _Parsed:
    parser = _RowParser(path, schema, token_column, tag_columns)
    starts: Counter[str] = Counter()
    duplicates = 0
    raw: list[tuple[list[str], set[Entity], str | None]] = []
    words: list[str] = []
    layers: list[tuple[_Tag, ...]] = []  # per word, its tag in every column
    documents, document = 0, running_document(split, 0)

    def end_sentence() -> None:
        nonlocal words, layers, duplicates
        if words:
            found = [entity for tags in zip(*layers, strict=True) for entity in _spans(tags, starts)]
            entities = set(found)
            duplicates += len(found) - len(entities)
            raw.append((words, entities, document))
            words, layers = [], []

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
    end_sentence()
    if not documents:
        raw = [(words, entities, None) for words, entities, _ in raw]
    return _Parsed(raw, starts, duplicates)


def _split(line: str) -> list[str]:
    # str.split() without an argument would also split at U+00A0, U+3000 and others inside tokens.
    if "\t" in line:
        return [part.strip(" ") for part in line.split("\t")]
    return [part for part in line.split(" ") if part]


class _RowParser:
    """Checks the rows of one file and takes the token and the parsed tags out of each."""

    def __init__(self, path: Path, schema: Schema, token_column: int, tag_columns: Sequence[int]):
        self._path, self._schema = path, schema
        self._token_column, self._tag_columns = token_column, tuple(tag_columns)
        self._first_line = self._width = self._token = 0
        self._tags: tuple[int, ...] = ()
        self._known: dict[str, _Tag] = {"O": _OUTSIDE}

    def __call__(self, number: int, fields: list[str]) -> tuple[str, tuple[_Tag, ...]]:
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
        known = self._known
        try:
            return word, tuple([known[fields[c]] for c in self._tags])
        except KeyError:
            for c in self._tags:
                if fields[c] not in known:
                    known[fields[c]] = self._parse_tag(number, fields[c])
            return word, tuple([known[fields[c]] for c in self._tags])

    def _place_columns(self, number: int, width: int) -> None:
        """Settles on the first row which columns are meant."""

        def place(column: int, what: str) -> int:
            if not -width <= column < width:
                raise self._error(number, f"{_columns(width)}, but the {what} is expected in column {column}")
            return column % width

        self._first_line, self._width = number, width
        self._token = place(self._token_column, "token")
        columns = self._tag_columns or range(self._token + 1, width)
        self._tags = tuple(dict.fromkeys(place(c, "tag") for c in columns))
        if not self._tags or self._token in self._tags:
            raise self._error(
                number, f"{_columns(width)}, which leaves none for the tag beside the token; add the tags"
            )

    def _parse_tag(self, number: int, tag: str) -> _Tag:
        prefix, dash, label = tag.partition("-")
        wanted = "write O, B-TYPE or I-TYPE"
        if not tag:
            problem = f"the tag is empty; {wanted}"
        elif not dash:
            problem = f"tag {tag!r} has no prefix; {wanted}"
        elif "," in tag and all(part == "O" or part[:2] in ("B-", "I-") for part in tag.split(",")):
            problem = (
                f"tag {tag!r} holds several annotations; keep one "
                "(WNUT-17's emerging.test.annotated is such a copy)"
            )
        elif prefix not in ("B", "I"):
            problem = f"tag {tag!r} has the unknown prefix {prefix!r}; {wanted}"
        elif not label:
            problem = f"tag {tag!r} names no type; {wanted}"
        else:
            return prefix, resolve_label(self._schema, label, f"{self._path}:{number}")
        raise self._error(number, problem)

    def _error(self, number: int, message: str) -> UserError:
        return UserError(f"{self._path}:{number}: {message}")


def _columns(n: int) -> str:
    return f"{n} column" if n == 1 else f"{n} columns"


def _spans(tags: Sequence[_Tag], starts: Counter[str]) -> Iterator[Entity]:
    """The entities of one column of one sentence.

    Counts in `starts` what tells the schemes apart: entities that begin with `I-` (never in IOB2)
    under "I", and with `B-` elsewhere than right after their own type (never in IOB1) under "B".
    """
    start, current = 0, ""
    for i, (prefix, type_) in enumerate(tags):
        if prefix != "B" and type_ == current:
            continue
        if current:
            yield Entity(start, i, current)
        if prefix and type_ != current:
            starts[prefix] += 1
        start, current = i, type_
    if current:
        yield Entity(start, len(tags), current)
