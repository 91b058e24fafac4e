"""Column files: one token a line, its tags beside it, a blank line between sentences.

It reads CoNLL-2003 (four columns), WNUT-17 and JNLPBA (token, tag), GENIA's nested form (one tag column per level of
nesting), MultiCoNER, GermEval, and what else has a token and its tags a line (`column_rows.py`). Tags follow any scheme
of `toner_jax.data.tags`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from toner_jax.atoms import Range, bare
from toner_jax.common.files import naming
from toner_jax.data.formats.column_rows import (
    DOCSTART,
    MEDLINE,
    WEBANNO,
    Document,
    Row,
    RowReader,
    has_tag,
    may_be_comment,
    refuse_header_rows,
    refuse_numbered_tokens,
    split_fields,
)
from toner_jax.data.formats.sample import Sample
from toner_jax.data.notation import OUTSIDE
from toner_jax.data.reading import (
    Read,
    check_not_empty,
    running_document,
    shown,
    warn_of_unreachable,
)
from toner_jax.data.repairs import Repairs
from toner_jax.data.tag_names import Tagging
from toner_jax.data.tags import PLAIN_SCHEME, TagReader
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema, Sentence, make_sentence

TAG_SUFFIXES = (".iob2", ".iob", ".bio", ".bmes", ".conllu")  # of nothing but column files, sound or not
_ROWS = 50  # enough to tell columns from prose
_UNWRITABLE = re.compile(r"[\t\n\r]|^ | $|^$")


def read_columns(
    path: str | Path,
    schema: Schema | None,
    *,
    split: str = "",
    token_column: int = 0,
    tag_columns: Sequence[int] = (-1,),
    tagging: Tagging | None = None,
) -> Read:
    """Reads a column file.

    Columns are separated by tabs in a line that has one, else by runs of spaces; no other white
    space separates columns or lines, so a token may hold any other character. `-DOCSTART-`,
    `###MEDLINE:…` and `# newdoc` lines begin a document.

    Args:
      path: UTF-8, with or without a byte order mark, lines ending in LF or CRLF.
      schema: its names and tags are the labels that the file may use; None leaves them as they are.
      split: begins the sentences' ids, `{split}-{i}`, and those of documents without a number.
      token_column: the token's column, from 0; negative counts from the last.
      tag_columns: the tags' columns, likewise; empty means every column after the token (nested).
      tagging: how the tags are written, where they do not tell.

    Returns:
      The sentences, whose `doc_id` is that of the document's line or a running one, and None throughout a file
      without document lines. Repairs: those of `TagReader` and of `RowReader`, and `duplicate_entity` (two columns
      annotate the same span with the same type).

    Raises:
      UserError: the file cannot be read, is empty, or has a malformed line, which is named.
    """
    parsed = _parse(Path(path), schema, split, token_column, tag_columns, tagging)
    prefix = f"{split}-" if split else ""
    sentences = tuple(
        make_sentence(f"{prefix}{i}", words, entities, schema, doc_id=document)
        for i, (words, entities, document) in enumerate(parsed.sentences)
    )
    check_not_empty(sentences, path)
    return Read(sentences, parsed.repairs)


def recognizes_columns(sample: Sample) -> bool:
    """Whether a file is named like CoNLL's, or most of its first lines hold a tag among several columns."""
    if sample.is_folder or sample.is_json or sample.first.startswith(("#begin document", "<DOC ")):
        return False
    if sample.first.startswith(WEBANNO):
        return True  # its reader says what to do
    if sample.path.suffix.lower() in (".conll", *TAG_SUFFIXES):
        return True
    rows = _sample_rows(sample)
    return sum(map(has_tag, rows)) > len(rows) / 2


def resembles_columns(sample: Sample) -> bool:
    """Whether most of a text's first lines, of which there are several, have as many columns, whatever they hold, or
    all but the very first hold a tag."""
    if sample.is_json or sample.is_binary:
        return False
    rows = _sample_rows(sample)
    widths = Counter(len(row) for row in rows)
    width, count = max(widths.items(), key=lambda item: item[1], default=(0, 0))
    return len(rows) > 1 and ((width > 1 and count > len(rows) / 2) or all(map(has_tag, rows[1:])))


def _sample_rows(sample: Sample) -> list[list[str]]:
    """The first lines' columns; lines that begin a document or a comment do not count."""
    lines = [line for line in sample.lines[:_ROWS] if not line.startswith((DOCSTART, MEDLINE))]
    rows = [split_fields(line) for line in lines if not may_be_comment(line)]
    return rows or [split_fields(line) for line in lines]


class _Parsed(NamedTuple):
    """A file's sentences (words, entities, document), and what was mended or left out."""

    sentences: list[tuple[list[str], set[Entity], str | None]]
    repairs: Repairs


class _Rows(NamedTuple):
    """A sentence: its rows, and the document it is of."""

    rows: list[Row]
    document: str


def _parse(
    path: Path,
    schema: Schema | None,
    split: str,
    token_column: int,
    tag_columns: Sequence[int],
    tagging: Tagging | None,
) -> _Parsed:
    reader, lines = TagReader(schema, tagging), RowReader(path, token_column, tag_columns)
    sentences, has_documents = _sentences(lines, split)
    seen: set[tuple[str, ...]] = set()  # few, so that most locations need not be written
    for row in (row for rows, _ in sentences for row in rows if row.tags not in seen):
        seen.add(row.tags)
        reader.add(row.tags, f"{path}:{row.number}")
    refuse_numbered_tokens([[row.word for row in rows] for rows, _ in sentences], path)
    parsed: list[tuple[list[str], set[Entity], str | None]] = []
    repairs = Repairs()
    for rows, document in sentences:
        found = list(_entities(rows, reader, path))
        entities = set(found)
        for entity, times in Counter(found).items() if len(entities) < len(found) else ():
            repairs.add("duplicate_entity", f"{path}:{rows[entity.start].number}", times - 1)
        parsed.append(([row.word for row in rows], entities, document if has_documents else None))
    if sentences and reader.scheme == PLAIN_SCHEME:
        _refuse_plain_column(sentences, path)
        if not lines.header:
            refuse_header_rows([rows for rows, _ in sentences], path)
    total = reader.repairs()
    total.update(repairs)
    total.update(lines.repairs)
    return _Parsed(parsed, total)


def _entities(rows: Sequence[Row], reader: TagReader, path: Path) -> Iterator[Entity]:
    """The entities of a sentence, column by column."""
    for tags in zip(*(row.tags for row in rows), strict=True):
        yield from reader.entities(tags, lambda word: f"{path}:{rows[word].number}")


def _refuse_plain_column(sentences: Sequence[_Rows], path: Path) -> None:
    """Refuses, among several columns of labels without prefixes, one that holds no O: parts of speech, perhaps."""
    first = sentences[0].rows[0]
    for column, tag in enumerate(first.tags):
        if len(first.tags) > 1 and not any(r.tags[column] in OUTSIDE for rows, _ in sentences for r in rows):
            raise UserError(
                f"{path}:{first.number}: tag {shown(tag)} is in a column without any O beside others of labels; name "
                "the columns of tags in data.tag_columns"
            )


def _sentences(lines: RowReader, split: str) -> tuple[list[_Rows], bool]:
    """The sentences of a file, and whether it names or bounds documents."""
    sentences: list[_Rows] = []
    documents, document = 0, running_document(split, 0)
    rows: list[Row] = []
    for line in lines:
        if isinstance(line, Row):
            if not rows:
                sentences.append(_Rows(rows, document))
            rows.append(line)
            continue
        rows = []
        if isinstance(line, Document):
            documents += 1
            document = line.name or running_document(split, documents)
    return sentences, documents > 0


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
    with naming(path), path.open("w", encoding="utf-8", newline="\n") as file:
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
    return bool(_UNWRITABLE.search(word)) or word == DOCSTART or word.startswith(MEDLINE)


def may_be_unwritable(text: str) -> bool:
    """Whether a word of a text, which holds no white space, may be so."""
    return DOCSTART in text or MEDLINE in text


def begin_document(file: IO[str], depth: int) -> None:
    """Writes the line that begins a document, with `depth` columns of tags."""
    file.write("\t".join([DOCSTART, *["O"] * depth]) + "\n\n")


def write_sentence(file: IO[str], words: Sequence[str], layers: Sequence[Sequence[str]], depth: int) -> None:
    """Writes a sentence's words, none of which `is_unwritable`, beside `depth` columns of tags (from `tag_layers`)."""
    outside = ["O"] * len(words)
    for row in zip(words, *layers, *[outside] * (depth - len(layers)), strict=True):
        file.write("\t".join(row) + "\n")
    file.write("\n")


def tag_layers(length: int, entities: Iterable[Entity]) -> list[list[str]]:
    """IOB2 tags of a sentence of `length` words: as few columns as hold the entities, which are sorted by their
    beginning, and none of which overlap in one."""
    entities = list(entities)
    levels = tag_levels((e.start, e.end) for e in entities)
    layers = [["O"] * length for _ in range(max(levels, default=-1) + 1)]
    for e, level in zip(entities, levels, strict=True):
        layers[level][e.start : e.end] = [f"B-{e.type}"] + [f"I-{e.type}"] * (e.end - e.start - 1)
    return layers


def tag_levels(ranges: Iterable[Range]) -> list[int]:
    """The column of tags that each of some ranges goes to, which are sorted by their beginning: the first in which
    nothing overlaps it."""
    levels: list[int] = []
    ends: list[int] = []  # of each level's last
    for start, end in ranges:
        level = next((i for i, last in enumerate(ends) if last <= start), len(ends))
        ends[level:] = [end, *ends[level + 1 :]]
        levels.append(level)
    return levels
