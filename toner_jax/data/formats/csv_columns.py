"""CSV with a header: a word and its tag a row, and the sentence it belongs to or blank rows between sentences.

    Sentence #,Word,POS,Tag
    Sentence: 1,Rain,NN,O
    ,in,IN,O
    ,Lima,NNP,B-geo

A sentence's rows repeat its name or leave it out after the first.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from toner_jax.data.reading import Read, check_not_empty, read_text, shown
from toner_jax.data.tags import Tag, TagReader
from toner_jax.data.word_lists import sentence_from_words
from toner_jax.errors import UserError
from toner_jax.schema import Schema, Sentence

_WORD = ("word", "token", "words", "tokens", "text")
_TAG = ("tag", "ner_tag", "ner", "label", "tags", "ner_tags", "labels", "entity")
_SENTENCE = ("sentence #", "sentence", "sentence_id", "sentence id", "sent_id", "sentence_idx", "sent")

# More words than any sentence has: a file without sentences would be read as a single one.
_LONGEST = 1_000

_Row = tuple[int, list[str]]


def read_csv_columns(
    path: Path, schema: Schema | None, split: str = "", *, columns: Sequence[str] = ()
) -> Read:
    """Sentences of a CSV file whose fields are separated by commas, semicolons or tabs.

    Args:
      path: UTF-8; its first row names the columns.
      schema: its names and tags are the labels that the file may use; None leaves them as they are.
      split: begins the sentences' ids.
      columns: the names of the columns of words and of tags, and if there is one of sentences; () finds the
        usual ones.

    Returns:
      The sentences, without documents. Repairs: those of `TagReader` and `sentence_from_words`.

    Raises:
      UserError: the file cannot be read, is empty, lacks a column, or has a malformed row, which is named.
    """
    rows = _rows(path)
    number, header = next((row for row in rows if not _blank(row[1])), (1, []))
    if not header:
        raise UserError(f"{path}: empty: it holds no sentence; check that this is the right file")
    word, tag, sentence_name = _columns(header, columns, f"{path}:{number}")
    reader = TagReader(schema)
    counts: Counter[str] = Counter()
    sentences: list[Sentence] = []
    words: list[str] = []
    tags: list[Tag] = []
    current = ""
    first = number

    def end_sentence() -> None:
        nonlocal words, tags
        if len(words) > _LONGEST and sentence_name is None:
            raise UserError(
                f"{path}:{first}: a sentence of {len(words)} words; put blank rows between sentences, or "
                "name the column of sentences in data.columns"
            )
        if words:
            sentence = sentence_from_words(
                f"{split}-{len(sentences)}" if split else str(len(sentences)),
                words,
                reader.entities(tags),
                schema,
                doc_id=None,
                place=f"{path}:{first}",
                counts=counts,
            )
            if sentence:
                sentences.append(sentence)
        words, tags = [], []

    for number, row in rows:
        if _blank(row):
            end_sentence()
            continue
        place = f"{path}:{number}"
        if len(row) != len(header):
            raise UserError(f"{place}: {len(row)} fields where the header has {len(header)}")
        name = row[sentence_name].strip() if sentence_name is not None else ""
        if name and name != current:
            end_sentence()
            current = name
        if not row[word].strip() or "\n" in row[word]:
            fault = (
                "holds a line end; is a quote not closed?"
                if row[word].strip()
                else "is empty; write its word"
            )
            raise UserError(f"{place}: the word {fault}")
        first = first if words else number
        words.append(row[word])
        tags.append(reader.parse(row[tag].strip(), place))
    end_sentence()
    check_not_empty(sentences, path)
    return Read(tuple(sentences), {**reader.repairs(), **+counts})


def _blank(row: Sequence[str]) -> bool:
    return not any(field.strip() for field in row)


def _rows(path: Path) -> Iterator[_Row]:
    """Rows with the lines on which they begin."""
    text = read_text(path)
    top = text.lstrip(" \r\n").split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=top.count), strict=True)
    begin = 1
    try:
        for row in reader:
            yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f'{path}:{begin}: not CSV ({error}); put a field that holds " in quotes, and each " in it twice'
        ) from error


def _columns(header: Sequence[str], columns: Sequence[str], place: str) -> tuple[int, int, int | None]:
    """The places of words, tags and, if there is such a column, of sentences."""
    folded = [name.strip().casefold() for name in header]

    def find(names: Sequence[str], what: str) -> int | None:
        found = [i for i, name in enumerate(folded) if name in names]
        if len(found) > 1:
            raise UserError(f"{place}: several columns may hold {what}; {choose}")
        return found[0] if found else None

    choose = (
        f"the header is {shown(', '.join(header))}: name the columns of words and of tags in data.columns"
    )
    if columns and not 2 <= len(columns) <= 3:
        raise UserError(
            f"data.columns={tuple(columns)!r}: give the columns of words, of tags and of sentences"
        )
    given = [(name.strip().casefold(),) for name in columns]
    word = find(given[0] if given else _WORD, "words")
    tag = find(given[1] if given else _TAG, "tags")
    if word is None or tag is None:
        raise UserError(f"{place}: no column of {'words' if word is None else 'tags'}; {choose}")
    sentence = find((given[2] if len(given) > 2 else ()) if given else _SENTENCE, "sentences")
    if sentence is None and len(given) > 2:
        raise UserError(f"{place}: no column of sentences called {columns[2]!r}; {choose}")
    return word, tag, sentence
