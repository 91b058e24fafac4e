"""Label Studio's exports of text labelling, JSON and JSON-MIN:

[{"data": {"text": "Rain in Lima."}, "annotations": [{"result": [
    {"type": "labels", "value": {"start": 8, "end": 12, "text": "Lima", "labels": ["LOC"]}}]}]}]
[{"text": "Rain in Lima.", "label": [{"start": 8, "end": 12, "text": "Lima", "labels": ["LOC"]}]}]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from toner_jax.data.documents import Document, Span, read_documents
from toner_jax.data.formats.json_values import check_span, get_id, get_list, get_text, read_records
from toner_jax.data.formats.sample import Sample
from toner_jax.data.reading import Read, check_not_empty, shown
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError
from toner_jax.schema import Schema
from toner_jax.text.words import READING, Reading

_Tasks = list[tuple[dict[str, Any], str]]


def read_label_studio(
    path: Path,
    schema: Schema | None,
    split: str = "",
    *,
    pretokenized: bool = False,
    reading: Reading = READING,
) -> Read:
    """Sentences of an export; a task's `id` is the `doc_id`.

    Of a task's annotations the first that was not cancelled counts. A region with several labels is as many
    entities. Where a region repeats its text, its range is checked against it, and a range that counts
    UTF-16 units, as browsers do, is converted.

    Args:
      schema: its names and tags are the labels that the file may use; None leaves them as they are.
      split: begins the ids of sentences, and of tasks without one.
      pretokenized, reading: as for `read_documents`.

    Returns:
      The sentences. Repairs: those of `read_documents`, `cancelled_annotations`, `further_annotations`,
      `unannotated_task` (left out), `task_without_labels` (kept: JSON-MIN leaves out an empty list),
      `not_entities` (results of other types), `unlabelled_region` and `utf16_range`.

    Raises:
      UserError: the file cannot be read, is empty, mixes the two forms, or has a malformed task, which is
        named.
    """
    repairs = Repairs()
    tasks = list(read_records(path))
    full = bool(tasks) and "data" in tasks[0][0]
    for task, location in tasks:
        if ("data" in task) != full:
            raise UserError(
                f'{location}: mixes Label Studio\'s JSON (with "data") and JSON-MIN; export all as one'
            )
    documents = _documents(tasks, path, split, full, repairs)
    read = read_documents(
        documents, schema, split, pretokenized=pretokenized, reading=reading, repairs=repairs
    )
    check_not_empty(read.sentences, path)
    return read


def recognizes_label_studio(sample: Sample) -> bool:
    """Whether tasks have `data` and `annotations`, or texts a `label` of objects with `labels`. Empty labels
    tell nothing, but an export is one array."""
    for item in sample.records:
        if "data" in item and "annotations" in item:
            return True
        found = item.get("label")
        if "text" in item and isinstance(found, list) and found:
            return isinstance(found[0], dict) and "labels" in found[0]
    return sample.first.startswith("[") and any("text" in i and "label" in i for i in sample.records)


def _documents(tasks: _Tasks, path: Path, split: str, full: bool, repairs: Repairs) -> Iterator[Document]:
    if tasks and not full and not any("label" in task for task, _ in tasks):
        raise UserError(f'{path}: no task has "annotations" or a "label"; export annotated tasks')
    for i, (task, location) in enumerate(tasks):
        doc_id = get_id(task, "id", location) or (f"{split}-doc-{i}" if split else f"doc-{i}")
        if full:
            text, regions = _text(task["data"], location), _regions(task, location, repairs)
            if regions is None:
                continue
        else:
            text, regions = get_text(task, "text", location), []
            if "label" in task:
                regions = get_list(task, "label", location)
            repairs.add("task_without_labels", location, "label" not in task)
        spans = tuple(s for r in regions for s in _spans(r, text, location, repairs))
        yield Document(doc_id, text, spans, location=location)


def _text(data: Any, location: str) -> str:
    """The text of a task's data: what is called so, or else its only string."""
    if not isinstance(data, dict):
        raise UserError(f'{location}: "data" is {shown(data)}; expected an object with the text')
    strings = [key for key, value in data.items() if isinstance(value, str)]
    key = strings[0] if "text" not in data and len(strings) == 1 else "text"
    return get_text(data, key, location)


def _regions(task: Mapping[str, Any], location: str, repairs: Repairs) -> list[Any] | None:
    """The labelled regions of the annotation that counts; None where none was completed."""
    completed = []
    for annotation in get_list(task, "annotations", location):
        if not isinstance(annotation, dict):
            raise UserError(f"{location}: annotation {shown(annotation)} is not an object")
        cancelled = bool(annotation.get("was_cancelled"))
        repairs.add("cancelled_annotations", location, cancelled)
        if not cancelled:
            completed.append(annotation)
    if not completed:
        repairs.add("unannotated_task", location)
        return None
    repairs.add("further_annotations", location, len(completed) - 1)
    regions = []
    for result in get_list(completed[0], "result", location):
        if not isinstance(result, dict):
            raise UserError(f"{location}: result {shown(result)} is not an object")
        if result.get("type") == "labels":
            regions.append(result.get("value"))
        else:
            repairs.add("not_entities", location)
    return regions


def _spans(region: Any, text: str, location: str, repairs: Repairs) -> Iterator[Span]:
    if not isinstance(region, dict):
        raise UserError(f"{location}: region {shown(region)} is not an object")
    labels = get_list(region, "labels", location) if "labels" in region else []
    repairs.add("unlabelled_region", location, not labels)
    for label in labels:
        start, end, label = check_span(region.get("start"), region.get("end"), label, location)
        if isinstance(region.get("text"), str) and 0 <= start < end:
            at = _located(start, end, text, region["text"], location)
            repairs.add("utf16_range", location, at != (start, end))
            start, end = at
        yield Span(start, end, label, location)


def _located(start: int, end: int, text: str, surface: str, location: str) -> tuple[int, int]:
    """The range in characters at which the text is what the region says it is."""

    def folded(piece: str) -> str:  # Label Studio writes line ends as a backslash and an n
        return "".join(piece.replace("\\n", " ").split())

    if folded(text[start:end]) == folded(surface):
        return start, end
    units = text.encode("utf-16-le")
    try:
        before, inside = (
            units[: 2 * start].decode("utf-16-le"),
            units[2 * start : 2 * end].decode("utf-16-le"),
        )
    except UnicodeDecodeError:
        before = inside = ""
    if inside and folded(inside) == folded(surface):
        return len(before), len(before) + len(inside)
    raise UserError(
        f"{location}: the text at [{shown(start)}, {shown(end)}) is {shown(text[start:end])}, "
        f"not {shown(surface)}; export the tasks again"
    )
