"""Which format a split is in, by what lies at its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toner_jax.data.corpora import ace, ontonotes
from toner_jax.data.find import data_folder, find_path
from toner_jax.data.reading import first_line

_JSON = ('{"', "[{", "[ {")


def detect_format(data: Any, split: str) -> str:
    """The format of a split's first candidate that exists, a file or a folder, by the first rule that fits:

    1. none exists: "ontonotes" if `data.dir` holds its files, else "columns", whose error tells what is missing;
    2. a folder: "ontonotes", "ace" or "brat" by the files in it;
    3. a file named `.json`, `.jsonl` or `.jsonlines`, or that begins as JSON does: "json";
    4. one that begins with `#begin document` or `<DOC `, or is named like OntoNotes files: "ontonotes";
    5. one whose first line is a single word: a list of the documents of "ace" or "ontonotes", if `data.dir`
       holds such;
    6. else "columns".

    Raises:
      UserError: no data folder.
    """
    root = data_folder(data)
    path = find_path(data, split, folders=True)
    if path is None:
        return "ontonotes" if ontonotes.find_files(root) else "columns"
    if path.is_dir():
        return _of_folder(path)
    first = first_line(path)
    if path.suffix.lower() in (".json", ".jsonl", ".jsonlines") or first == "[" or first.startswith(_JSON):
        return "json"
    if path.name.endswith(ontonotes.SUFFIXES) or first.startswith(("#begin document", "<DOC ")):
        return "ontonotes"
    if len(first.split()) == 1 and (found := _of_folder(root)) in ("ace", "ontonotes"):
        return found
    return "columns"


def _of_folder(folder: Path) -> str:
    if ontonotes.find_files(folder):
        return "ontonotes"
    if next(folder.rglob(f"*{ace.ANNOTATION_SUFFIX}"), None):
        return "ace"
    return "brat" if next(folder.rglob("*.ann"), None) else "columns"
