"""The tasks of Label Studio's exports: which annotation counts, and which of its results are entities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toner_jax.data.formats.json_values import Record, get_list, get_text
from toner_jax.data.reading import shown
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError

# The labels of texts, of HTML pages and of dialogues: types of results, and keys of their values.
LABELS = ("labels", "hypertextlabels", "paragraphlabels")
_CHOICES = ("choices", "taxonomy")
# What JSON-MIN writes beside a task's data and its labels.
_METADATA = (
    "id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "was_cancelled", "skipped",
    "file_upload", "history", "agreement", "meta",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A task that was annotated.

    Attributes:
      task: it, as the file has it.
      data: its texts, by what they are called; other values may be among them.
      regions: the values of its labelled regions.
      texts: the names of the text tags that these regions are in.
      location: names it in errors.
    """

    task: Record
    data: Mapping[str, Any]
    regions: tuple[Record, ...]
    texts: frozenset[str]
    location: str


def read_tasks(
    records: Sequence[tuple[Record, str]], path: Path, control: str, repairs: Repairs
) -> Iterator[Task]:
    """The tasks that count, of either form.

    Args:
      control: the labels' name; "" for all that are labels.
      repairs: gets `cancelled_annotations`, `rejected_annotations`, `further_annotations`, `predictions` and `drafts`,
        which do not count; `unannotated_task` (left out), `task_without_labels` (kept: JSON-MIN leaves out an empty
        list); `not_entities` (results of other types) and `other_labels` (of a name not asked for).

    Raises:
      UserError: the forms are mixed, nothing is annotated, or a task is malformed or has labels that cannot be read.
    """
    full = bool(records) and "data" in records[0][0]
    for task, location in records:
        if ("data" in task) != full:
            raise UserError(
                f'{location}: mixes Label Studio\'s JSON (with "data") and JSON-MIN; export all as one'
            )
    if not full:
        yield from _short(records, path, control, repairs)
        return
    for task, location in records:
        data = task["data"]
        if not isinstance(data, dict):
            raise UserError(f'{location}: "data" is {shown(data)}; expected an object with the text')
        results = _results(task, location, repairs)
        if results is not None:
            kept = list(_labelled(results, control, location, repairs))
            texts = frozenset(str(result["to_name"]) for result in kept if result.get("to_name"))
            regions = tuple(_region(result.get("value"), location) for result in kept)
            yield Task(task, data, regions, texts, location)


def labels_of(region: Mapping[str, Any], location: str) -> list[Any]:
    """The labels of a region.

    Raises:
      UserError: they are no list, or labels of pictures and the like.
    """
    found = []
    for key in region:
        if key in LABELS:
            found += get_list(region, key, location)
        elif key.endswith("labels"):
            raise _unreadable(key, location)
    return found


def is_region(value: object) -> bool:
    """Whether it has a range and labels."""
    return isinstance(value, dict) and "start" in value and any(key in value for key in LABELS)


def control_names(records: Sequence[Record]) -> list[str]:
    """What the labels of JSON-MIN's tasks are called: keys of lists of regions; without any, "label" or else the keys
    of empty lists."""
    lists = [
        (key, value)
        for record in records
        for key, value in record.items()
        if isinstance(value, list) and key not in _METADATA
    ]
    names = [key for key, value in lists if any(is_region(region) for region in value)]
    if not names and not any("label" in record for record in records):
        names = [key for key, value in lists if not value]
    return list(dict.fromkeys(names)) or ["label"]


def _short(
    records: Sequence[tuple[Record, str]], path: Path, control: str, repairs: Repairs
) -> Iterator[Task]:
    names = control_names([task for task, _ in records])
    chosen = [control] if control else names
    if records and not any(name in task for task, _ in records for name in chosen):
        raise UserError(
            f'{path}: no task has "annotations" or a "{chosen[0]}"; export annotated tasks, or name the text and the '
            "labels with data.columns"
        )
    seen: set[str] = set()
    for task, location in records:
        if _cancelled(task, location):
            repairs.add("cancelled_annotations", location)
            continue
        # A record is an annotation here: those of several annotators share the task's id.
        number = repr(task.get("id")) if "annotation_id" in task and task.get("id") is not None else ""
        if number and number in seen:
            repairs.add("further_annotations", location)
            continue
        seen.add(number)
        there = [name for name in chosen if name in task]
        repairs.add("task_without_labels", location, not there)
        for name in names if control else ():
            repairs.add("other_labels", location, len(task.get(name) or ()) if name != control else 0)
        regions = tuple(
            _region(value, location) for name in there for value in get_list(task, name, location)
        )
        others = (*_METADATA, *names, control)
        data = {key: value for key, value in task.items() if key == "text" or key not in others}
        yield Task(task, data, regions, frozenset(), location)


def _results(task: Record, location: str, repairs: Repairs) -> list[Record] | None:
    """The results of the annotation that counts; None where none was completed and accepted."""
    completed = []
    for annotation in get_list(task, "annotations", location):
        if not isinstance(annotation, dict):
            raise UserError(f"{location}: annotation {shown(annotation)} is not an object")
        cancelled, rejected = _cancelled(annotation, location), _rejected(annotation)
        repairs.add("cancelled_annotations", location, cancelled)
        repairs.add("rejected_annotations", location, rejected and not cancelled)
        if not cancelled and not rejected:
            completed.append(annotation)
    for key in ("predictions", "drafts"):
        if isinstance(task.get(key), list):
            repairs.add(key, location, len(task[key]))
    if not completed:
        repairs.add("unannotated_task", location)
        return None
    repairs.add("further_annotations", location, len(completed) - 1)
    chosen = next((a for a in completed if a.get("ground_truth")), completed[0])
    results = get_list(chosen, "result", location)
    for result in results:
        if not isinstance(result, dict):
            raise UserError(f"{location}: result {shown(result)} is not an object")
    return results


def _labelled(results: Sequence[Record], control: str, location: str, repairs: Repairs) -> Iterator[Record]:
    """The results that are labels of texts; others are no entities, or attributes of those that are."""
    known = {repr(result.get("id")) for result in results if result.get("type") in LABELS}
    for result in results:
        kind, value = get_text(result, "type", location), result.get("value")
        if kind in LABELS:
            if control and result.get("from_name") != control:
                repairs.add("other_labels", location)
            else:
                yield result
            continue
        if kind.endswith("labels"):
            raise _unreadable(kind, location)
        if isinstance(value, dict) and any(value.get(key) for key in LABELS):
            raise UserError(
                f"{location}: a result of type {shown(kind)} has labels; expected one of {', '.join(LABELS)}"
            )
        ranged = isinstance(value, dict) and ("start" in value or "startOffset" in value)
        if kind in _CHOICES and ranged and repr(result.get("id")) not in known:
            raise UserError(
                f"{location}: a region has {kind} but no labels, which cannot be read; label regions with <Labels>"
            )
        repairs.add("not_entities", location)


def _region(value: Any, location: str) -> Record:
    if not isinstance(value, dict):
        raise UserError(f"{location}: region {shown(value)} is not an object")
    return value


def _cancelled(value: Record, location: str) -> bool:
    """Whether nothing is meant by it; what would be lost by a flag that is none is not read."""
    flags = {key: value[key] for key in ("was_cancelled", "skipped") if value.get(key) is not None}
    for key, flag in flags.items():
        if not isinstance(flag, bool | int | float):
            raise UserError(f'{location}: "{key}" is {shown(flag)}, neither true nor false')
    return any(flags.values())


def _rejected(annotation: Record) -> bool:
    """Whether its last review did not accept it."""
    reviews = annotation.get("reviews")
    last = reviews[-1] if isinstance(reviews, list) and reviews else None
    return isinstance(last, dict) and last.get("accepted") is False


def _unreadable(kind: str, location: str) -> UserError:
    return UserError(
        f"{location}: regions of type {shown(kind)} cannot be read, only {', '.join(LABELS)}, which label text"
    )
