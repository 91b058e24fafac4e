"""OntoNotes 5.0 as it is distributed: the CoNLL-2012 files, or the release's own `.name` files.

The field's counts (59,924 training sentences in the v4 copy) are of every sentence of every English document
except those of the genre `pt`, which nobody annotated with entities. So nothing else is left out:
sentences without entities, one-word sentences and repeated ones all stay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from toner_jax.common import reads
from toner_jax.data.corpora.conll2012 import RawSentence, read_conll2012
from toner_jax.data.corpora.name_files import read_name_file
from toner_jax.data.find import check_all_found, read_document_list
from toner_jax.data.formats.sample import Sample
from toner_jax.data.reading import Read, check_not_empty, first_line
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError
from toner_jax.schema import Schema, make_sentence

# What the file names end in, best first: a folder's `gold_skel` files are the same documents as its
# `gold_conll` files before their words were filled in. `auto_conll` files are machine annotation.
SUFFIXES = ("gold_conll", "gold_skel", ".name")
BEGINNINGS = ("#begin document", "<DOC ")  # of files that are named otherwise

# The folders of a split, best first: v12 has the shared task's test set beside a larger one.
_SPLIT_FOLDERS: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "dev": ("development",),
    "test": ("conll-2012-test", "test"),
}
_OTHER_LANGUAGES = ("arabic", "chinese")


def find_files(root: Path, *, lenient: bool = False) -> list[Path]:
    """The annotation files below a folder, in the order of their paths: those with the first of `SUFFIXES`
    that any file has, less the folders of other languages than English. `lenient` as for `reads.files_below`."""
    files: dict[str, list[Path]] = {suffix: [] for suffix in SUFFIXES}
    for path in reads.files_below(root, SUFFIXES, lenient=lenient):
        if not {part.lower() for part in path.relative_to(root).parts[:-1]} & set(_OTHER_LANGUAGES):
            for suffix in SUFFIXES:
                if path.name.endswith(suffix):
                    files[suffix].append(path)
    return next((found for found in files.values() if found), [])


def files_of_split(root: Path, split: str) -> list[Path]:
    """The files that lie in the folder of a split (`train`, `development`, `test` or `conll-2012-test`),
    anywhere below `root`.

    Raises:
      UserError: there are none.
    """
    files = find_files(root)
    for folder in _SPLIT_FOLDERS[split]:
        found = [path for path in files if _split_folder(path.relative_to(root)) == folder]
        if found:
            return found
    raise UserError(
        f"{root}: no folder {' or '.join(_SPLIT_FOLDERS[split])} with files that end in {', '.join(SUFFIXES)}; "
        f"name the {split} split's folder, file or list of document ids in data.{split}"
    )


def _split_folder(path: Path) -> str | None:
    known = {name for names in _SPLIT_FOLDERS.values() for name in names}
    return next((part for part in path.parts[:-1] if part in known), None)


def read_ontonotes(
    path: Path | None,
    schema: Schema | None,
    *,
    root: Path,
    split: str,
    genres: Collection[str] = (),
    exclude_genres: Collection[str] = ("pt",),
) -> Read:
    """Reads one split.

    Args:
      path: a file of CoNLL-2012 or `.name` form, a folder of them, a list of document ids as the shared
        task publishes them, or None for the split's folder somewhere below `root`.
      root: the data folder, below which a list's documents lie.
      split: train, dev or test; begins the sentences' ids.
      genres: the genres to keep, the first part of a document's id (`bc`, `bn`, …); empty for all.
      exclude_genres: the genres to leave out.

    Returns:
      The sentences, with the document's id less its part. Repairs: `genre_left_out`, `duplicate_entity`.

    Raises:
      UserError: no files, a malformed one, a part in two files, or a listed document that is not there.
    """
    source, files, listed = _locate(path, root, split)
    keeps = partial(_is_kept, genres=genres, exclude_genres=exclude_genres)
    found = list(_unique_parts(files, schema))
    # The shared task's lists name documents of pt, for which the release has no `.name` files.
    check_all_found(source, filter(keeps, listed), {raw.document for raw in found}, root)
    meant = [raw for raw in found if not listed or raw.document in listed]
    kept = [raw for raw in meant if keeps(raw.document)]
    if meant and not kept:
        raise UserError(
            f"{source}: no sentence of the genres to keep; see data.genres and data.exclude_genres"
        )
    check_not_empty(kept, source)
    sentences = tuple(
        make_sentence(f"{split}-{i}", raw.words, raw.entities, schema, doc_id=raw.document)
        for i, raw in enumerate(kept)
    )
    repairs = Repairs({"genre_left_out": [r.document for r in meant if not keeps(r.document)]})
    for raw in kept:
        repairs.add("duplicate_entity", raw.document, len(raw.entities) - len(set(raw.entities)))
    return Read(sentences, repairs)


def recognizes_ontonotes(sample: Sample) -> bool:
    """Whether a folder holds its files, or a file is one of them or lists documents in the data folder."""
    if sample.is_folder:
        return bool(find_files(sample.path, lenient=True))
    if sample.path.name.endswith(SUFFIXES) or sample.first.startswith(BEGINNINGS):
        return True
    root = sample.listed_root
    return root is not None and bool(find_files(root, lenient=True))


def _locate(path: Path | None, root: Path, split: str) -> tuple[Path, list[Path], Mapping[str, None]]:
    """What to name in errors, the files to read, and the documents that a list names, in its order; none for
    all."""
    if path is None:
        return root, files_of_split(root, split), {}
    if reads.is_folder(path):
        if files := find_files(path):
            return path, files, {}
        raise UserError(f"{path}: no files that end in {', '.join(SUFFIXES)} in it")
    if is_list(path):
        return path, find_files(root), dict.fromkeys(read_document_list(path))
    return path, [path], {}


def _is_kept(document: str, genres: Collection[str], exclude_genres: Collection[str]) -> bool:
    genre = document.partition("/")[0] if "/" in document else ""
    return genre not in exclude_genres and (not genres or genre in genres)


def _unique_parts(files: Sequence[Path], schema: Schema | None) -> Iterator[RawSentence]:
    owners: dict[tuple[str, str], Path] = {}
    for file in files:
        for raw in reader_of(file)(file, schema):
            if owners.setdefault((raw.document, raw.part), file) != file:
                raise UserError(
                    f"{file}: part {raw.part} of {raw.document!r} stands in {owners[raw.document, raw.part]}, "
                    "too; keep one copy"
                )
            yield raw


def reader_of(file: Path) -> Callable[[Path, Schema | None], Iterator[RawSentence]]:
    """The reader of a file's form: that of `.name` files, told by name or by content, or else CoNLL-2012."""
    is_name_file = file.name.endswith(".name") or first_line(file).startswith("<DOC ")
    return read_name_file if is_name_file else read_conll2012


def is_list(file: Path) -> bool:
    """Whether a file is a list of documents: not named like an annotation file, and its first line that is
    not blank holds one word."""
    if file.name.endswith(SUFFIXES):
        return False
    return len(first_line(file).split()) == 1
