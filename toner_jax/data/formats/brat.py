"""brat's standoff format: a folder of `.txt` files, each with the annotations of its text in an `.ann` file.

T1	Person 0 6	Wellington          an entity: type, half-open range of characters, and what stands there
T2	Person 0 4;9 12	left hand       a discontinuous one
R1 … E1 … A1 … M1 … N1 … * … #1 …    relations, events, attributes and notes, which are no entities
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from toner_jax.atoms import Range, bare
from toner_jax.common import reads
from toner_jax.common.files import describe_failure
from toner_jax.data.documents import Document, Span, read_documents
from toner_jax.data.formats.offsets import Annotation, place_all
from toner_jax.data.formats.sample import Sample
from toner_jax.data.reading import Read, check_not_empty, read_text, shown, warn_of_unreachable
from toner_jax.data.repairs import Repairs
from toner_jax.errors import ParameterError, UserError
from toner_jax.schema import Schema, Sentence
from toner_jax.text.words import READING, Reading

_ENTITY = re.compile(r"(?P<type>[^\t ]+) (?P<ranges>[0-9]+ [0-9]+(;[0-9]+ [0-9]+)*)")
_ID = re.compile(r"T[0-9]+")
_OTHER = re.compile(r"[REAMN][0-9]+\t|\*\t|#")
_LINE_ENDS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")  # as any reader may know them
_DISCONTINUOUS = ("refuse", "join", "skip")


def read_brat(
    folder: Path,
    schema: Schema | None,
    split: str = "",
    *,
    discontinuous: str = "refuse",
    pretokenized: bool = False,
    reading: Reading = READING,
) -> Read:
    """Sentences of a folder, with its subfolders; a file's path within it, less `.txt`, is the `doc_id`.

    Args:
      schema: its names and tags are the labels that the files may use; None leaves them as they are.
      discontinuous: what becomes of an entity in pieces: "refuse", "join" (with what lies between), or "skip". Pieces
        with white space alone between them are one.
      pretokenized, reading: as for `read_documents`; set it for what `write_brat` wrote.

    Returns:
      Sentences by file, in the order of the files' names with numbers by value. Repairs: those of
      `read_documents` and `place_all`, `discontinuous`, `not_entities` (lines), and
      `text_without_annotations` (a `.txt` without `.ann`, which is left out).

    Raises:
      UserError: there is nothing to read, an `.ann` lacks its `.txt`, or a line is malformed or does not fit
        the text, which is named.
    """
    if discontinuous not in _DISCONTINUOUS:
        reason = f"choose one of {', '.join(_DISCONTINUOUS)}"
        raise ParameterError("data.discontinuous", repr(discontinuous), reason)
    if not reads.is_folder(folder):
        raise UserError(f"{folder}: no such folder; brat's format is a folder of .txt and .ann files")
    repairs = Repairs()
    documents = _documents(folder, discontinuous, repairs)
    read = read_documents(
        documents, schema, split, pretokenized=pretokenized, reading=reading, repairs=repairs
    )
    check_not_empty(read.sentences, folder)
    return read


def recognizes_brat(sample: Sample) -> bool:
    """Whether a folder holds `.ann` files."""
    return sample.holds(".ann")


def write_brat(sentences: Iterable[Sentence], folder: Path) -> None:
    """Writes one `.txt` and `.ann` a document, a sentence a line, words separated by single spaces.

    `read_brat(folder, schema, pretokenized=True)` gives the same words, entities and documents. The format
    has no room for the sentences' ids, for white space within words (such a word becomes several) and for
    the original text, nor for entities that are unreachable; how many there are is said. Sentences without a
    `doc_id` go to `document.txt`.

    Raises:
      UserError: the folder exists and is not empty, or a word holds a line end.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: not an empty folder; give a new one")
    sentences = list(sentences)
    warn_of_unreachable(sentences, folder)
    documents: dict[str, list[Sentence]] = {}
    for s in sentences:
        documents.setdefault(s.doc_id or "document", []).append(s)
    folder.mkdir(parents=True, exist_ok=True)
    for doc_id, members in documents.items():
        text = ""
        spans: list[tuple[int, int, str]] = []
        for s in members:
            starts = [len(text)]
            words = [bare(word) for word in s.words]
            for word in words:
                if "\n" in word:
                    raise UserError(
                        f"sentence {s.id}: word {shown(word)} holds a line end, which brat cannot"
                    )
                starts.append(starts[-1] + len(word) + 1)
            spans += [(starts[e.start], starts[e.end] - 1, e.type) for e in s.entities]
            text += " ".join(words) + "\n"
        write_document(folder, doc_id, text, spans)


def write_document(folder: Path, name: str, text: str, spans: Iterable[tuple[int, int, str]]) -> None:
    """Writes a text as it is, to the last line end, and its entities: their ranges of characters and their types.

    Args:
      name: of the two files, as far as a path has room for its characters; others are written as `%2F`.

    Raises:
      UserError: a file cannot be written.
    """
    lines = []
    for number, (start, end, label) in enumerate(spans, 1):
        surface = _LINE_ENDS.sub(" ", text[start:end])
        lines.append(f"T{number}\t{'_'.join(label.split())} {start} {end}\t{surface}\n")
    stem = file_stem(name)
    for suffix, content in ((".txt", text), (".ann", "".join(lines))):
        path = folder / f"{stem}{suffix}"
        try:
            path.write_text(content, encoding="utf-8", newline="\n")
        except OSError as error:
            raise UserError(describe_failure(error, path)) from error


def file_stem(name: str) -> str:
    """How a document's files are called."""
    return re.sub(r"^\.", "%2E", quote(name, safe=" ,+@()="))


def _stems(folder: Path, repairs: Repairs) -> list[Path]:
    """The annotated texts' paths without their suffixes, in the order of reading."""
    annotations, texts = (
        {p.with_suffix("") for p in reads.files_below(folder, [suffix]) if not p.name.startswith(".")}
        for suffix in (".ann", ".txt")
    )
    if lonely := sorted(annotations - texts):
        raise UserError(f"{lonely[0]}.ann: there is no {lonely[0].name}.txt beside it")
    if not annotations:
        raise UserError(f"{folder}: holds no .txt file with an .ann file")
    for stem in sorted(texts - annotations):
        repairs.add("text_without_annotations", f"{stem}.txt")
    return sorted(annotations, key=_natural_order)


def _natural_order(path: Path) -> list[str | int]:
    parts = re.split(r"([0-9]+)", path.as_posix())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def _documents(folder: Path, discontinuous: str, repairs: Repairs) -> Iterator[Document]:
    stems = _stems(folder, repairs)
    paths = [stem.with_name(f"{stem.name}.txt") for stem in stems]
    given = [(read_text(path), list(_annotations(path.with_suffix(".ann"), repairs))) for path in paths]
    for stem, path, (text, _), placed in zip(stems, paths, given, place_all(given, repairs), strict=True):
        spans = tuple(_spans(placed, text, discontinuous, repairs))
        yield Document(stem.relative_to(folder).as_posix(), text, spans, location=str(path))


def _spans(placed: Iterable[Annotation], text: str, discontinuous: str, repairs: Repairs) -> Iterator[Span]:
    for annotation in placed:
        pieces = _joined(annotation.pieces, text)
        if len(pieces) > 1:
            if discontinuous == "refuse":
                raise UserError(
                    f"{annotation.location}: this {annotation.label} is discontinuous, which entities "
                    "here cannot be; set data.discontinuous to join or skip"
                )
            repairs.add("discontinuous", annotation.location)
            if discontinuous == "skip":
                continue
        yield annotation.span(annotation.location)


def _annotations(path: Path, repairs: Repairs) -> Iterator[Annotation]:
    ids: dict[str, int] = {}
    # brat leaves the carriage returns of a text with CRLF in the annotations' own lines.
    for number, line in enumerate(read_text(path).split("\n"), 1):
        location = f"{path}:{number}"
        if not line.strip():
            continue
        if _OTHER.match(line):
            repairs.add("not_entities", location)
            continue
        id, _, rest = line.partition("\t")
        body, tab, surface = rest.partition("\t")
        match = _ENTITY.fullmatch(body)
        if not _ID.fullmatch(id) or not match or not tab:
            raise UserError(f"{location}: {shown(line)} is not an annotation T1<tab>TYPE START END<tab>TEXT")
        if id in ids:
            raise UserError(f"{location}: {id} was already used in line {ids[id]}")
        ids[id] = number
        pieces = tuple(_range(pair, location) for pair in match["ranges"].split(";"))
        yield Annotation(pieces, match["type"], location, (surface,))


def _range(pair: str, location: str) -> Range:
    try:
        start, end = map(int, pair.split(" "))
    except ValueError as error:  # Python refuses numbers of more than 4,300 digits
        raise UserError(f"{location}: span {shown(pair)} is outside its text") from error
    return start, end


def _joined(pieces: Sequence[Range], text: str) -> list[Range]:
    """The pieces in the order of the text, those joined that touch or have white space alone between them."""
    joined: list[Range] = []
    for start, end in sorted(pieces):
        if joined and not text[joined[-1][1] : start].strip():
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
