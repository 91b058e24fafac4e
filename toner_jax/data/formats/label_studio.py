"""Label Studio's exports of text labelling, JSON and JSON-MIN:

[{"data": {"text": "Rain in Lima."}, "annotations": [{"result": [
    {"type": "labels", "value": {"start": 8, "end": 12, "text": "Lima", "labels": ["LOC"]}}]}]}]
[{"text": "Rain in Lima.", "label": [{"start": 8, "end": 12, "text": "Lima", "labels": ["LOC"]}]}]

Texts may be HTML pages and dialogues, too (`label_studio_text.py`), and text and labels may be called otherwise: they
are known by their shape, or by the names in `data.columns`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toner_jax.data.documents import Document, read_documents
from toner_jax.data.formats.json_values import check_span, get_id, get_value, read_records
from toner_jax.data.formats.label_studio_tasks import Task, is_region, labels_of, read_tasks
from toner_jax.data.formats.label_studio_text import PlainText, in_page, make_text
from toner_jax.data.formats.offsets import Annotation, FileCounting
from toner_jax.data.formats.sample import Sample
from toner_jax.data.reading import Read, check_not_empty, running_document, shown
from toner_jax.data.repairs import Repairs
from toner_jax.errors import ParameterError, UserError
from toner_jax.schema import Schema
from toner_jax.text.words import READING, Reading


def read_label_studio(
    path: Path,
    schema: Schema | None,
    split: str = "",
    *,
    columns: Sequence[str] = (),
    pretokenized: bool = False,
    reading: Reading = READING,
) -> Read:
    """Sentences of an export; a task's `id` is the `doc_id`.

    Of a task's annotations the first counts that was neither cancelled nor rejected, or of these the ground truth
    (which JSON-MIN, a record an annotation, does not tell). A region with several labels is as many entities. Where
    regions repeat their text, ranges are checked against it.

    Args:
      schema: its names and tags are the labels that the file may use; None leaves them as they are.
      split: begins the ids of sentences, and of tasks without one.
      columns: what the text and, optionally, the labels are called; () finds them.
      pretokenized, reading: as for `read_documents`.

    Returns:
      The sentences. Repairs: those of `read_tasks`, `place_annotations` and `read_documents`, and
      `unlabelled_region`.

    Raises:
      UserError: the file cannot be read, is empty, mixes the two forms, labels several texts, or has a malformed task,
        which is named.
    """
    if len(columns) > 2:
        raise ParameterError(
            "data.columns", repr(tuple(columns)), "give the names of the text and of the labels"
        )
    repairs = Repairs()
    key, control = (*columns, "", "")[:2]
    tasks = list(read_tasks(list(read_records(path)), path, control, repairs))
    _check_texts(tasks)
    of_pages = any(in_page(region) for task in tasks for region in task.regions)
    labelled = [(task, list(_annotations(task, repairs))) for task in tasks]
    documents = _documents(labelled, key, of_pages, split, repairs)
    read = read_documents(
        documents, schema, split, pretokenized=pretokenized, reading=reading, repairs=repairs
    )
    check_not_empty(read.sentences, path)
    return read


def recognizes_label_studio(sample: Sample) -> bool:
    """Whether tasks have `data` and `annotations`, an `annotation_id` (JSON-MIN), or lists of regions with labels.
    Empty labels tell nothing, but an export is one array."""
    for item in sample.records:
        if ("data" in item and "annotations" in item) or "annotation_id" in item:
            return True
        for key, found in item.items():
            if isinstance(found, list) and any(is_region(region) for region in found):
                return True
            if key == "label" and isinstance(found, list) and found and "text" in item:
                return False
    return sample.first.startswith("[") and any("text" in i and "label" in i for i in sample.records)


_Labelled = tuple[Task, list[tuple[Mapping[str, Any], str]]]


def _annotations(task: Task, repairs: Repairs) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Each label of the task with its region."""
    for region in task.regions:
        labels = labels_of(region, task.location)
        repairs.add("unlabelled_region", task.location, not labels)
        for label in labels:
            yield region, label


def _annotated(labelled: _Labelled, key: str, of_pages: bool) -> tuple[PlainText, list[Annotation]]:
    task, regions = labelled
    text = make_text(get_value(task.data, key, task.location), key, of_pages, task.location)
    found = []
    for region, label in regions:
        start, end, name = check_span(*text.range(region, task.location), label, task.location)
        said = region.get("text")
        surfaces = (said,) if isinstance(said, str) else ()
        found.append(Annotation(((start, end),), name, task.location, surfaces))
    return text, found


def _placed(
    labelled: Sequence[_Labelled], key: str, of_pages: bool, repairs: Repairs
) -> Iterator[tuple[PlainText, list[Annotation]]]:
    """Each task's text and its annotations, placed once all texts have told how the file counts. Each text is made
    twice: those of pages take far more memory than their file."""
    counting = FileCounting()
    for one in labelled:
        text, found = _annotated(one, key, of_pages)
        text.learn(counting, found)
    for one in labelled:
        text, found = _annotated(one, key, of_pages)
        yield text, text.placed(found, repairs, counting)


def _documents(
    labelled: Sequence[_Labelled], key: str, of_pages: bool, split: str, repairs: Repairs
) -> Iterator[Document]:
    key = key or _text_key(labelled, of_pages)
    every = _placed(labelled, key, of_pages, repairs)
    for i, ((task, _), (text, placed)) in enumerate(zip(labelled, every, strict=True)):
        doc_id = get_id(task.task, "id", task.location) or running_document(split, i)
        spans = tuple(a.span(task.location) for a in placed)
        yield Document(doc_id, text.text, spans, location=task.location)


def _check_texts(tasks: Sequence[Task]) -> None:
    """Raises:
    UserError: the regions are in several texts, in one task or in several.
    """
    texts: set[str] = set()
    for task in tasks:
        texts |= task.texts
        if len(texts) > 1:
            raise UserError(
                f"{task.location}: regions label several texts ({', '.join(map(shown, sorted(texts)))}); name one "
                "and its labels with data.columns, or export each alone"
            )


def _text_key(labelled: Sequence[_Labelled], of_pages: bool) -> str:
    """What the texts are called: the only texts that the tasks have, or those in which the regions stand, first "text".

    Raises:
      UserError: there are several.
    """
    names = [
        {name for name, value in task.data.items() if isinstance(value, str) or _is_dialogue(value)}
        for task, _ in labelled
    ]
    common = sorted(set.intersection(*names)) if names else []
    if len(common) < 2:
        return common[0] if common else "text"
    fitting = [name for name in common if _fits(labelled, name, of_pages)]
    if "text" in fitting or ("text" in common and not fitting):
        return "text"
    if len(fitting) != 1:
        raise UserError(
            f'{labelled[0][0].location}: has no "text", but several that may be it ({", ".join(map(shown, common))}); '
            "name the one with data.columns"
        )
    return fitting[0]


def _fits(labelled: Sequence[_Labelled], key: str, of_pages: bool) -> bool:
    try:
        for _ in _placed(labelled, key, of_pages, Repairs()):
            pass
    except UserError:
        return False
    return True


def _is_dialogue(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(phrase, dict) for phrase in value)
