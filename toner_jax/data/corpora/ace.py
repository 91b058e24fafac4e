"""ACE 2004 and ACE 2005 as the LDC distributes them: `ID.sgm` with the text, `ID.apf.xml` with the entities.

An entity mention's `charseq` gives its first and last character, counted from 0 over the `.sgm` file
without its tags: line ends count as one character each, and an escape counts as it is written (`&amp;` as five).
Every reading is checked: the text that the annotation repeats must be what stands at its offsets.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from toner_jax.atoms import Range
from toner_jax.common import reads
from toner_jax.data.documents import Document, Span, read_documents
from toner_jax.data.find import check_all_found, read_document_list
from toner_jax.data.formats.sample import Sample
from toner_jax.data.reading import Read, check_not_empty, read_text
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError
from toner_jax.schema import Schema
from toner_jax.text.words import READING, Reading

TEXT_SUFFIX, ANNOTATION_SUFFIX = ".sgm", ".apf.xml"

# ACE 2005 holds a document once for each pass of annotation; the published splits are of the last one.
_PASSES = ("timex2norm", "adj")

_TAG = re.compile(r"<[^<>]*>")
_ESCAPE = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]+);")


def read_ace(
    path: Path, schema: Schema | None, *, root: Path, split: str, reading: Reading = READING
) -> Read:
    """Reads one split: the mentions of every kind (names, nominals and pronouns), labelled with their
    entity's type; nested ones too.

    Args:
      path: a list of document ids, a line each (a folder before the id and a suffix after it do not count),
        a folder whose documents are all meant, or one document's file of either suffix.
      root: the folder below which a list's documents lie.
      split: begins the sentences' ids.
      reading: as for `read_documents`.

    Returns:
      The sentences of the documents' <TEXT>, with escapes decoded. No sentence crosses a tag (a turn, a
      post, a speaker's name). Counted, besides what `read_documents` counts:
      `outside_text`, mentions in a headline, a dateline or the like.

    Raises:
      UserError: a listed document that is not there or lies in two folders, a file without its partner,
        malformed XML, or a mention whose offsets do not give its text.
    """
    pairs = _locate(path, root)
    repairs = Repairs()
    documents = (_document(name, file, repairs, reading) for name, file in pairs.items())
    read = read_documents(documents, schema, split, reading=reading, repairs=repairs)
    check_not_empty(read.sentences, path)
    return read


def recognizes_ace(sample: Sample) -> bool:
    """Whether a folder holds its annotations, or a file is a document or lists those in the data folder."""
    root = sample.listed_root
    if root is not None and reads.holds(root, ANNOTATION_SUFFIX):
        return True
    is_document = not sample.is_folder and sample.path.name.endswith((TEXT_SUFFIX, ANNOTATION_SUFFIX))
    return is_document or sample.holds(ANNOTATION_SUFFIX)


def _locate(path: Path, root: Path) -> dict[str, Path]:
    """Document id → its `.apf.xml` file, in the order in which they are read."""
    if reads.is_folder(path):
        return find_pairs(path)
    if path.name.endswith((TEXT_SUFFIX, ANNOTATION_SUFFIX)):
        name = _document_id(path.name)
        return {name: path.with_name(name + ANNOTATION_SUFFIX)}
    pairs = find_pairs(root)
    names = tuple(_document_id(line) for line in read_document_list(path))
    check_all_found(path, names, pairs, root)
    return {name: pairs[name] for name in names}


def _document_id(name: str) -> str:
    return re.split(r"[/\\]", name)[-1].removesuffix(ANNOTATION_SUFFIX).removesuffix(TEXT_SUFFIX)


def find_pairs(root: Path) -> dict[str, Path]:
    """Document id → its `.apf.xml` file below a folder, sorted by id.

    Raises:
      UserError: there are none, or several of one document.
    """
    found: dict[str, list[Path]] = {}
    for path in reads.files_below(root, [ANNOTATION_SUFFIX]):
        found.setdefault(_document_id(path.name), []).append(path)
    if not found:
        raise UserError(f"{root}: no {ANNOTATION_SUFFIX} files in it")
    return {name: _best(name, paths) for name, paths in sorted(found.items())}


def _best(name: str, paths: Sequence[Path]) -> Path:
    for folder in _PASSES:
        if len(paths) > 1:
            paths = [path for path in paths if path.parent.name == folder] or paths
    if len(paths) > 1:
        raise UserError(f"{paths[1]}: document {name!r} stands in {paths[0]}, too; keep one copy")
    return paths[0]


class _Mention(NamedTuple):
    start: int
    end: int  # exclusive
    label: str
    text: str
    location: str


def _document(name: str, annotation: Path, repairs: Repairs, reading: Reading) -> Document:
    source = annotation.with_name(annotation.name.removesuffix(ANNOTATION_SUFFIX) + TEXT_SUFFIX)
    if not reads.is_file(source):
        raise UserError(f"{annotation}: {source.name} is not beside it; an ACE document is both files")
    text, (begin, end), cuts = _read_source(source)
    spans: list[tuple[int, int, _Mention]] = []
    for mention in _read_mentions(annotation):
        written = text[mention.start : mention.end]
        if _bare(mention.text) not in (_bare(written), _bare(_decode(written)[0])):
            raise UserError(
                f"{mention.location}: its text {_short(mention.text)} is not what stands at "
                f"[{mention.start}, {mention.end - 1}] of {source.name}: {_short(written)}"
            )
        if begin <= mention.start and mention.end <= end:
            spans.append((mention.start - begin, mention.end - begin, mention))
        else:
            repairs.add("outside_text", mention.location)
    decoded, escapes = _decode(text[begin:end])

    def moved(offset: int, location: str) -> int:
        """An offset of the written text as one of the decoded text."""
        i = bisect_left(escapes, (offset, 0, 0)) - 1
        if i < 0:
            return offset
        _, last, shift = escapes[i]
        if offset < last:
            raise UserError(f"{location}: it begins or ends inside an escape such as &amp;")
        return offset - shift

    sentences: list[Range] = []
    for first, last in pairwise(moved(cut - begin, name) for cut in cuts):
        sentences += [(first + a, first + b) for a, b in reading.sentences(decoded[first:last])]
    return Document(
        name,
        decoded,
        tuple(Span(moved(a, m.location), moved(b, m.location), m.label, m.location) for a, b, m in spans),
        tuple(sentences),
    )


def _bare(text: str) -> str:
    return "".join(text.split())


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


def _read_source(path: Path) -> tuple[str, Range, list[int]]:
    """The file without its tags, where <TEXT> lies in that, and the offsets of all tags in it (edges
    included)."""
    source = read_text(path).replace("\r\n", "\n")
    parts: list[str] = []
    tag_offsets: dict[str, int] = {}
    cuts: set[int] = set()
    at = length = 0
    for match in _TAG.finditer(source):
        parts.append(source[at : match.start()])
        length += len(parts[-1])
        at = match.end()
        tag = match[0].upper()
        if tag in ("<TEXT>", "</TEXT>"):
            if tag in tag_offsets:
                raise UserError(f"{path}: {tag} occurs twice")
            tag_offsets[tag] = length
        cuts.add(length)
    parts.append(source[at:])
    if len(tag_offsets) != 2 or tag_offsets["<TEXT>"] > tag_offsets["</TEXT>"]:
        raise UserError(f"{path}: no <TEXT> … </TEXT>; is the file cut off?")
    begin, end = tag_offsets["<TEXT>"], tag_offsets["</TEXT>"]
    return "".join(parts), (begin, end), sorted(cut for cut in cuts if begin <= cut <= end)


def _decode(text: str) -> tuple[str, list[tuple[int, int, int]]]:
    """The text with its escapes decoded, and of each escape its (first character, end, characters lost up
    to its end), in the written text."""
    parts: list[str] = []
    escapes: list[tuple[int, int, int]] = []
    at = lost = 0
    for match in _ESCAPE.finditer(text):
        character = html.unescape(match[0])
        parts += [text[at : match.start()], character]
        at = match.end()
        lost += len(match[0]) - len(character)
        escapes.append((match.start(), match.end(), lost))
    return "".join([*parts, text[at:]]), escapes


def _read_mentions(path: Path) -> Iterator[_Mention]:
    try:
        tree = ElementTree.fromstring(read_text(path))
    except ElementTree.ParseError as error:
        raise UserError(f"{path}:{error.position[0]}: not well-formed XML ({error})") from error
    if tree.find(".//document") is None:
        raise UserError(f"{path}: no <document>; is it an APF file?")
    for entity in tree.iter("entity"):
        label = entity.get("TYPE")
        if label is None:
            raise UserError(f"{path}: entity {entity.get('ID')!r}: it has no TYPE")
        for mention in entity.iter("entity_mention"):
            location = f"{path}: mention {mention.get('ID')!r}"
            charseq = mention.find("extent/charseq")
            if charseq is None:
                raise UserError(f"{location}: no extent with a charseq")
            start, end = (charseq.get(name) or "" for name in ("START", "END"))
            if not all(o.isascii() and o.isdigit() and len(o) < 10 for o in (start, end)):
                raise UserError(f"{location}: START={start!r} END={end!r}: expected two character offsets")
            if int(end) < int(start):
                raise UserError(f"{location}: it ends ({end}) before it begins ({start})")
            yield _Mention(int(start), int(end) + 1, label, charseq.text or "", location)
