"""What annotators answered: of tools where a text's annotations are accepted or not, only what was accepted is gold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from toner_jax.data.formats.json_values import Record
from toner_jax.data.reading import shown
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError

_Items = Iterable[tuple[Record, str]]

_ANSWERS = ("accept", "reject", "ignore")
_HASHES = ("_input_hash", "_task_hash")
# How Prodigy shows suggestions that are accepted or rejected as they are; where they are made by hand, *_manual.
_YES_OR_NO = ("ner", "spans")
_APPROVED = ("is_confirmed", "approved")
_APPROVER = "annotation_approver"


def is_prodigy(record: Mapping[str, Any]) -> bool:
    """Whether Prodigy wrote it: it has an `answer`, or its hashes."""
    return "answer" in record or any(key in record for key in _HASHES)


def accepted_by_prodigy(items: _Items, repairs: Repairs) -> Iterator[tuple[Record, str]]:
    """The records that are gold: of Prodigy's those that were accepted, of any other tool's all.

    Args:
      repairs: gets `rejected`, `ignored` and `unanswered` for those left out, and `further_annotations`: of a text that
        several annotators accepted, the first counts.

    Raises:
      UserError: an answer that is none of Prodigy's, its annotation is of texts instead of spans, or several
        suggestions for one text were answered each by itself.
    """
    items = list(items)
    _check_questions(items)
    answered = any("answer" in record for record, _ in items)
    seen: set[object] = set()
    for record, location in items:
        if not is_prodigy(record) and not answered:
            yield record, location
            continue
        answer = record.get("answer", "" if answered else "accept")
        if answer not in ("", *_ANSWERS):
            raise UserError(f'{location}: "answer" is {shown(answer)}; expected one of {", ".join(_ANSWERS)}')
        if answer != "accept":
            repairs.add({"reject": "rejected", "ignore": "ignored", "": "unanswered"}[answer], location)
            continue
        if "spans" not in record and (kind := next((k for k in ("label", "accept") if k in record), None)):
            raise UserError(
                f'{location}: "{kind}" without "spans": Prodigy\'s labels of whole texts, which are no entities; '
                "bring what ner.manual, ner.correct or spans.manual wrote"
            )
        key = repr(record["_input_hash"]) if "_input_hash" in record else None
        if key is not None and key in seen:
            repairs.add("further_annotations", location)
            continue
        seen.add(key)
        yield record, location


def _check_questions(items: _Items) -> None:
    """Raises:
    UserError: a text was asked about more than once, by different suggestions: none of the answers is all of its
      annotation, and of what no suggestion asked about, nothing is known.
    """
    asked: dict[str, tuple[str, str]] = {}
    for record, location in items:
        if record.get("_view_id") not in _YES_OR_NO or not all(key in record for key in _HASHES):
            continue
        text, task = (repr(record[key]) for key in _HASHES)
        first, where = asked.setdefault(text, (task, location))
        if first != task:
            raise UserError(
                f'{location}: answers another suggestion for the text of {where} ("_view_id": '
                f'"{record["_view_id"]}"): yes or no to single spans leaves the rest of a text unknown; annotate whole '
                "texts with ner.manual and bring these by db-out, or merge the answers with data-to-spacy"
            )


def approved_in_doccano(items: _Items, repairs: Repairs) -> Iterator[tuple[Record, str]]:
    """The records that are gold: all but those whose approval is refused, or lacks while others have it.

    Args:
      repairs: gets `unapproved` for those left out.

    Raises:
      UserError: none is left.
    """
    items = list(items)
    named = any(record.get(_APPROVER) for record, _ in items)
    left = 0
    for record, location in items:
        refused = any(record.get(key) is False for key in _APPROVED)
        lacks = named and not record.get(_APPROVER)
        repairs.add("unapproved", location, refused or lacks)
        if not refused and not lacks:
            left += 1
            yield record, location
    if items and not left:
        keys: Sequence[str] = [key for key in (*_APPROVED, _APPROVER) if key in items[0][0]]
        raise UserError(
            f"{items[0][1]}: no record of the file is approved ({', '.join(keys)}); approve those that are gold"
        )
