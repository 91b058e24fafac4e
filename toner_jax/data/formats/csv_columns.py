"""CSV with a header: a word and its tag a row, and the sentence it belongs to or blank rows between sentences.

    Sentence #,Word,POS,Tag
    Sentence: 1,Rain,NN,O
    ,in,IN,O
    ,Lima,NNP,B-geo

A sentence's rows repeat its name or leave it out after the first. Where a column names documents, a sentence ends with
its document: some number the sentences of each anew.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from toner_jax.data.formats.column_rows import has_tag, split_fields
from toner_jax.data.formats.headers import TAG, WORD
from toner_jax.data.formats.sample import Sample
from toner_jax.data.reading import Read, check_not_empty, read_text, shown
from toner_jax.data.tag_names import Tagging
from toner_jax.data.word_lists import WordLists
from toner_jax.errors import ParameterError, UserError
from toner_jax.schema import Schema

_SENTENCE = ("sentence #", "sentence", "sentence_id", "sentence id", "sent_id", "sentence_idx", "sent")
_DOCUMENT = (
    "document", "document_id", "document id", "document #", "doc", "doc_id", "doc id", "docid", "file", "file_name",
    "filename", "file_id",
)  # fmt: skip

# Of rows of entities or of texts, not of words: what `predict` writes, and what Label Studio exports.
_RANGE = ({"start", "end"}, {"start_offset", "end_offset"}, {"begin", "end"})
_TASKS = {"annotator", "annotation_id", "lead_time"}

_DELIMITERS = ",;\t"

# More words than any sentence has: a file without sentences would be read as a single one.
_LONGEST = 1_000
_LONGEST_UNPARTED = 200  # where no blank row says that such rows end sentences

_Row = tuple[int, list[str]]


def read_csv_columns(
    path: Path,
    schema: Schema | None,
    split: str = "",
    *,
    columns: Sequence[str] = (),
    tagging: Tagging | None = None,
) -> Read:
    """Sentences of a CSV file whose fields are separated by commas, semicolons or tabs.

    Args:
      path: UTF-8; its first row names the columns.
      schema: its names and tags are the labels that the file may use; None leaves them as they are.
      split: begins the sentences' ids.
      columns: the names of the columns of words and of tags, and if there is one of sentences; () finds the
        usual ones.
      tagging: how the tags are written, where they do not tell.

    Returns:
      The sentences, without documents. Repairs: those of `WordLists`.

    Raises:
      UserError: the file cannot be read, is empty, lacks a column, or has a malformed row, which is named.
    """
    rows = list(_rows(path))
    number, header = next((row for row in rows if not _blank(row[1])), (1, []))
    check_not_empty(header, path)
    word, tag, name = _columns(header, columns, f"{path}:{number}")
    documents = [i for i, column in enumerate(header) if _fold(column) in _DOCUMENT]
    names = [i for i in {*documents, name} - {word, tag} if i is not None]
    rows = [row for row in rows if row[0] > number]
    longest = _LONGEST if _are_parted(rows) else _LONGEST_UNPARTED
    lists = WordLists(schema, split, tagging)
    for sentence in _sentences(rows, header, word, names, path):
        location = f"{path}:{sentence[0][0]}"
        if len(sentence) > longest and name is None:
            raise UserError(
                f"{location}: a sentence of {len(sentence)} words; put blank rows between sentences, or "
                "name the column of sentences in data.columns"
            )
        locations = [f"{path}:{number}" for number, _ in sentence]
        tags = [row[tag].strip() for _, row in sentence]
        lists.add_tagged([row[word] for _, row in sentence], tags, locations.__getitem__, location)
    return lists.read(path)


def recognizes_csv(sample: Sample) -> bool:
    """Whether a file's first line names a column of words and one of tags, or the file is named so and its first
    line has several fields and is no row of a column file."""
    first = sample.first
    if sample.is_folder or sample.is_binary:
        return False
    if sample.path.suffix.lower() == ".csv":
        return any(mark in first for mark in _DELIMITERS) and not has_tag(split_fields(first))
    names = {name.strip().strip('"').casefold() for name in first.split(_delimiter(first))}
    return bool(names & set(WORD)) and bool(names & set(TAG))


def _sentences(
    rows: Iterable[_Row], header: Sequence[str], word: int, names: Sequence[int], path: Path
) -> Iterator[list[_Row]]:
    """The rows of each sentence: a blank row ends one, and so does another name in a column of names.

    Raises:
      UserError: a row of another width, one without a word, or the header again.
    """
    sentence: list[_Row] = []
    current = [""] * len(names)
    for number, row in rows:
        blank = _blank(row)
        if not blank:
            _check_row(row, header, word, f"{path}:{number}")
        named = current if blank else [row[i].strip() or old for i, old in zip(names, current, strict=True)]
        if sentence and (blank or named != current):
            yield sentence
            sentence = []
        current = named
        if not blank:
            sentence.append((number, row))
    if sentence:
        yield sentence


def _are_parted(rows: Sequence[_Row]) -> bool:
    """Whether a blank row stands between others."""
    blank = [_blank(row) for _, row in rows]
    return (
        any(blank)
        and not all(blank)
        and True in blank[blank.index(False) : len(blank) - blank[::-1].index(False)]
    )


def _refuse_other_rows(header: Sequence[str], location: str) -> None:
    """Refuses a header of entities or of texts, unless it has a column of words that cannot be that of texts."""
    folded = {_fold(name) for name in header}
    if folded & _TASKS or (any(span <= folded for span in _RANGE) and not folded & ({*WORD} - {"text"})):
        raise UserError(
            f"{location}: the header is {shown(', '.join(header))}: rows are entities or tasks, not words; export "
            "JSON, or name the columns of words and of tags in data.columns"
        )


def _check_row(row: Sequence[str], header: Sequence[str], word: int, location: str) -> None:
    if len(row) != len(header):
        raise UserError(f"{location}: {len(row)} fields where the header has {len(header)}")
    if row == header:
        raise UserError(f"{location}: the header stands here again; remove the row")
    if not row[word].strip():
        raise UserError(f"{location}: the word is empty; write its word")
    if "\n" in row[word]:
        raise UserError(f"{location}: the word holds a line end; is a quote not closed?")


def _fold(name: str) -> str:
    return name.strip().casefold()


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _blank(row: Sequence[str]) -> bool:
    return not any(field.strip() for field in row)


def _rows(path: Path) -> Iterator[_Row]:
    """Rows with the lines on which they begin."""
    text = read_text(path)
    if (at := text.find("\r\r")) >= 0:  # each would end a row, and a blank row a sentence
        raise UserError(
            f"{path}:{text.count(chr(10), 0, at) + 1}: carriage return before the line end; end lines with LF or CRLF"
        )
    top = text.lstrip(" \r\n").split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(top), strict=True)
    begin = 1
    try:
        for row in reader:
            yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f'{path}:{begin}: not CSV ({error}); put a field that holds " in quotes, and each " in it twice'
        ) from error


def _columns(header: Sequence[str], columns: Sequence[str], location: str) -> tuple[int, int, int | None]:
    """The columns of words, tags and, if there is such a column, of sentences."""
    if not columns:
        _refuse_other_rows(header, location)
    folded = [_fold(name) for name in header]

    def find(names: Sequence[str], what: str) -> int | None:
        found = [i for i, name in enumerate(folded) if name in names]
        if len(found) > 1:
            raise UserError(f"{location}: several columns may hold {what}; {choose}")
        return found[0] if found else None

    choose = (
        f"the header is {shown(', '.join(header))}: name the columns of words and of tags in data.columns"
    )
    if columns and not 2 <= len(columns) <= 3:
        raise ParameterError(
            "data.columns", repr(tuple(columns)), "give the columns of words, of tags and of sentences"
        )
    given = [(_fold(name),) for name in columns]
    word = find(given[0] if given else WORD, "words")
    tag = find(given[1] if given else TAG, "tags")
    if word is None or tag is None:
        raise UserError(f"{location}: no column of {'words' if word is None else 'tags'}; {choose}")
    sentence = find((given[2] if len(given) > 2 else ()) if given else _SENTENCE, "sentences")
    if sentence is None and len(given) > 2:
        raise UserError(f"{location}: no column of sentences called {columns[2]!r}; {choose}")
    return word, tag, sentence
