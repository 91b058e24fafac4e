"""Sound files of every format, and what labels such a file holds, by simple rules of their own, not the readers' code.

A rule reads the file's content and gives (label, what the file says stands there or None) for everything that is gold.
It raises `Malformed` where the content is not of its form, so that a reader must refuse it too.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Any

WORDS = "Uma left Rio with Bo Zhang and the 3 ships of Acme 😀 near Zürich IL-2 today".split()  # noqa: SIM905
LABELS = ("PER", "LOC", "ORG")

Claim = tuple[str, str | None]


class Malformed(Exception):
    """The content is not of its form."""


@dataclass(frozen=True)
class Doc:
    """Words, one space between each two, and the ranges of words that are entities."""

    words: list[str]
    entities: list[tuple[int, int, str]]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def spans(self) -> list[tuple[int, int, str]]:
        starts = [0]
        for word in self.words:
            starts.append(starts[-1] + len(word) + 1)
        return [(starts[a], starts[b] - 1, label) for a, b, label in self.entities]

    @property
    def tags(self) -> list[str]:
        tags = ["O"] * len(self.words)
        for start, end, label in self.entities:
            tags[start:end] = [f"B-{label}", *[f"I-{label}"] * (end - start - 1)]
        return tags


def make_docs(rng: random.Random) -> list[Doc]:
    """A few documents of one sentence each."""
    docs = []
    for _ in range(rng.randint(1, 3)):
        words = [*rng.choices(WORDS, k=rng.randint(3, 9)), "."]
        entities, at = [], 0
        while (start := at + rng.randint(0, 3)) < len(words) - 2:
            at = min(start + rng.randint(1, 2), len(words) - 1)
            entities.append((start, at, rng.choice(LABELS)))
        docs.append(Doc(words, entities))
    return docs


def regions(doc: Doc) -> list[dict[str, Any]]:
    return [{"start": a, "end": b, "text": doc.text[a:b], "labels": [label]} for a, b, label in doc.spans]


# Form → what its records are made of a document.
RECORDS: dict[str, Callable[[int, Doc], Any]] = {
    "label_studio": lambda i, d: {
        "id": i,
        "data": {"text": d.text},
        "annotations": [
            {"was_cancelled": False, "result": [
                {"id": str(n), "from_name": "ner", "to_name": "t", "type": "labels", "value": r}
                for n, r in enumerate(regions(d))]}],
    },
    "label_studio_min": lambda i, d: {"id": i, "text": d.text, "ner": regions(d), "annotator": 1},
    "doccano": lambda i, d: {"id": i, "text": d.text, "label": [list(s) for s in d.spans]},
    "prodigy": lambda i, d: {
        "text": d.text, "_input_hash": i, "answer": "accept",
        "spans": [{"start": a, "end": b, "label": label} for a, b, label in d.spans],
    },
    "jsonl": lambda i, d: {"id": i, "text": d.text, "entities": [
        {"start": a, "end": b, "label": label, "text": d.text[a:b]} for a, b, label in d.spans]},
    "jsonl_words": lambda i, d: {"words": d.words, "entities": [list(e) for e in d.entities]},
    "jsonl_tags": lambda i, d: {"tokens": d.words, "ner_tags": d.tags},
    "gliner": lambda i, d: {"tokenized_text": d.words, "ner": [[a, b - 1, label] for a, b, label in d.entities]},
    "instructuie": lambda i, d: {"sentence": d.text, "entities": [
        {"name": d.text[a:b], "type": label, "pos": [a, b]} for a, b, label in d.spans]},
    "spacy_json": lambda i, d: [d.text, {"entities": [list(s) for s in d.spans]}],
}  # fmt: skip
LINES = ("doccano", "prodigy", "jsonl", "jsonl_words", "jsonl_tags")
READ_AS = {"prodigy": "jsonl", "jsonl_words": "jsonl", "jsonl_tags": "jsonl", "label_studio_min": "label_studio",
           "gliner": "json", "instructuie": "json", "spacy_json": "json"}  # fmt: skip


def make_rows(docs: list[Doc], separator: str) -> str:
    """Columns, or with a comma CSV, sentences apart."""
    rows = [list(zip(d.words, d.tags, strict=True)) for d in docs]
    if separator == ",":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["Sentence #", "Word", "Tag"])
        writer.writerows([i, word, tag] for i, sentence in enumerate(rows) for word, tag in sentence)
        return out.getvalue()
    return "\n".join("".join(f"{word}{separator}{tag}\n" for word, tag in sentence) for sentence in rows)


def make_brat(doc: Doc) -> str:
    """The .ann file of a document."""
    return "".join(f"T{i}\t{t} {a} {b}\t{doc.text[a:b]}\n" for i, (a, b, t) in enumerate(doc.spans, 1))


def parsed(content: str, lines: bool) -> list[Any]:
    """The records of JSON, in which no key may stand twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise Malformed("a key twice")
        return dict(pairs)

    try:
        if lines and not content.lstrip().startswith("["):
            return [json.loads(x, object_pairs_hook=unique) for x in content.split("\n") if x.strip()]
        found = json.loads(content, object_pairs_hook=unique)
    except ValueError as error:
        raise Malformed(str(error)) from error
    return found if isinstance(found, list) else [found]


def of_regions(found: Any) -> Iterator[Claim]:
    for region in found:
        for label in region.get("labels", ()):
            yield label, region.get("text")


def of_task(task: dict[str, Any]) -> Iterator[Claim]:
    done = [a for a in task["annotations"] if not a.get("was_cancelled")]
    if done:
        results = [r for r in done[0]["result"] if "labels" in r["value"]]
        yield from of_regions(r["value"] for r in results)


def of_spans(found: Any) -> Iterator[Claim]:
    for span in found:
        if isinstance(span, dict):
            yield span["label"], span.get("text")
        else:
            yield span[2], None


def of_tags(tags: list[str]) -> Iterator[Claim]:
    """An entity begins at each B, and at an I after anything else than a tag of its label.

    Where no tag has a prefix, one begins at each label after anything else.
    """
    named = [tag for tag in tags if tag != "O"]
    if named and not any("-" in tag for tag in named):
        yield from ((tag, None) for i, tag in enumerate(tags) if tag != "O" and tags[:i][-1:] != [tag])
        return
    before = "O"
    for tag in tags:
        if tag != "O" and tag[:2].upper() not in ("B-", "I-"):
            raise Malformed(tag)
        if tag[:1] in "Bb" or (tag[:1] in "Ii" and before[2:] != tag[2:]):
            yield tag[2:], None
        before = tag


def of_prodigy(records: list[dict[str, Any]]) -> Iterator[Claim]:
    asked, seen = any("answer" in r for r in records), set()
    for record in records:
        hash = repr(record.get("_input_hash"))
        if (asked and record.get("answer") != "accept") or ("_input_hash" in record and hash in seen):
            continue
        seen.add(hash)
        yield from of_spans(record.get("spans", ()))


OF_RECORD: dict[str, Callable[[Any], Iterator[Claim]]] = {
    "label_studio": of_task,
    "label_studio_min": lambda r: of_regions(x for v in r.values() if isinstance(v, list) for x in v),
    "doccano": lambda r: of_spans(r["label"]),
    "jsonl": lambda r: of_spans(r["entities"]),
    "jsonl_words": lambda r: of_spans(r["entities"]),
    "jsonl_tags": lambda r: of_tags(r["ner_tags"]),
    "gliner": lambda r: of_spans(r["ner"]),
    "instructuie": lambda r: ((e["type"], e.get("name")) for e in r["entities"]),
    "spacy_json": lambda r: of_spans(r[1]["entities"]),
}


def claims(form: str, content: str) -> list[Claim]:
    """What a file's content says is gold."""
    try:
        if form == "brat":
            lines = [line.split("\t") for line in content.split("\n") if line.startswith("T")]
            return [(line[1].split(" ")[0], line[2]) for line in lines]
        if form == "columns":
            sentences = content.replace("\r\n", "\n").split("\n\n")
            return [
                c
                for s in sentences
                for c in of_tags(
                    [re.split(r"[ \t]", row.strip(" \t\r"))[-1] for row in s.split("\n") if row.strip()]
                )
            ]
        if form == "csv":
            rows = [line.strip().split(",") for line in content.strip().split("\n")]
            numbered = rows[0][0] == "Sentence #"
            # A cell without a number goes on with the sentence above.
            ids = accumulate(
                (row[0].strip() if numbered or row == [""] else "" for row in rows[1:]), lambda a, b: b or a
            )
            groups = groupby(zip(ids, rows[1:], strict=True), lambda pair: pair[0])
            return [claim for _, group in groups for claim in of_tags([row[-1] or "O" for _, row in group])]
        records = parsed(content, form in LINES)
        if form == "prodigy":
            return list(of_prodigy(records))
        return [claim for record in records for claim in OF_RECORD[form](record)]
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise Malformed(repr(error)) from error
