"""Two evaluations of the same sentences beside each other: what differs, and whether it is more than chance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toner_jax.config_keys import flat
from toner_jax.errors import UserError
from toner_jax.runs import config_files
from toner_jax.runs.config_files import CONFIG

_RESAMPLES = 1_000
_INTERVAL = (2.5, 97.5)  # percentiles
_ROWS = {
    "strict": "strict spans",
    "seen_in_training": "strings seen in training",
    "unseen_in_training": "strings never seen",
    "toner_compatible": "unique (type, string) pairs",
    "types": "types of T′",
}

Span = tuple[int, int, str]


@dataclass(frozen=True)
class Side:
    """An evaluation.

    Attributes:
      name: for people.
      config: values by dotted key; {} where the configuration does not lie beside it.
      report: as its file has it.
      rows: the lines of its predictions.
    """

    name: str
    config: Mapping[str, Any]
    report: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]


def read_side(folder: Path, split: str) -> Side:
    """The evaluation of a run on a split, or one that `evaluate` wrote to a folder.

    Raises:
      UserError: there is none, or its files are damaged.
    """
    places = [
        (folder / "report" / f"{split}.json", folder / "predictions" / f"{split}.jsonl"),
        (folder / "report.json", folder / "predictions.jsonl"),
    ]
    for report, predictions in places:
        if report.is_file() and predictions.is_file():
            break
    else:
        what = "no such folder" if not folder.is_dir() else f"no evaluation of {split} there"
        raise UserError(
            f"{folder}: {what}; name the work directory of a finished run, or an output of evaluate"
        )
    config = folder / CONFIG
    values = flat(config_files.load(config)) if config.is_file() else {}
    rows = [json.loads(line) for line in _text(predictions).splitlines() if line]
    return Side(str(folder), values, _read(report), rows)


def _read(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(_text(path))
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error})") from error
    return values


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def compare(a: Side, b: Side, examples: int) -> dict[str, Any]:
    """What differs.

    Args:
      examples: at most so many sentences that only one of them has right.

    Returns:
      {"a", "b", "sentences"}; "changed": [a's value, b's] by key, of those that differ; "scores": by row [a's F1, b's];
      "per_type" likewise; "errors": by kind [a's count, b's]; "found": gold entities that "both", only "a", only "b" or
      "neither" found; "difference": of b's strict F1 above a's with a 95 % "interval" over resamples of the sentences
      (paired bootstrap), and the share of them in which b is "better"; "examples".

    Raises:
      UserError: they are not of the same sentences and annotation.
    """
    pairs = _paired(a, b)
    gold, mine, theirs = ([_spans(row[key]) for row in rows] for rows, key in _columns(pairs))
    return {
        "a": a.name,
        "b": b.name,
        "sentences": len(pairs),
        "changed": {
            key: [a.config.get(key), b.config.get(key)]
            for key in sorted(a.config.keys() | b.config.keys())
            if a.config and b.config and a.config.get(key) != b.config.get(key)
        },
        "scores": {
            title: [a.report[key]["f1"], b.report[key]["f1"]]
            for key, title in _ROWS.items()
            if key in a.report and key in b.report
        },
        "per_type": {
            name: [scores["f1"], b.report["per_type"][name]["f1"]]
            for name, scores in a.report["per_type"].items()
            if name in b.report["per_type"]
        },
        "errors": {
            kind: [count, b.report["errors"].get(kind, 0)] for kind, count in a.report["errors"].items()
        },
        "found": _found(gold, mine, theirs),
        "difference": _difference(_counts(gold, mine), _counts(gold, theirs)),
        "examples": _examples(pairs, gold, mine, theirs, examples),
    }


def _columns(pairs: Sequence[tuple[Any, Any]]) -> list[tuple[list[Any], str]]:
    left, right = [p[0] for p in pairs], [p[1] for p in pairs]
    return [(left, "gold"), (left, "predicted"), (right, "predicted")]


def _paired(a: Side, b: Side) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    if len(a.rows) != len(b.rows):
        raise UserError(
            f"{a.name} is evaluated on {len(a.rows):,} sentences, {b.name} on {len(b.rows):,}: "
            "evaluate both on the same ones"
        )
    for left, right in zip(a.rows, b.rows, strict=True):
        if left["text"] != right["text"]:
            raise UserError(
                f"{a.name} and {b.name} are evaluated on other sentences: {left['id']} and {right['id']} differ; "
                "evaluate both on the same ones"
            )
        if _spans(left["gold"]) != _spans(right["gold"]):
            raise UserError(
                f"{a.name} and {b.name} are evaluated against other annotations: of {left['id']}, for one; evaluate "
                "both on the same one, with the same names of types"
            )
    return list(zip(a.rows, b.rows, strict=True))


def _spans(entries: Sequence[Mapping[str, Any]]) -> set[Span]:
    return {(e["start"], e["end"], e["label"]) for e in entries}


def _counts(gold: Sequence[set[Span]], predicted: Sequence[set[Span]]) -> np.ndarray:
    """int [N, 3]: of each sentence what is right, what is predicted and what is annotated."""
    return np.array([(len(g & p), len(p), len(g)) for g, p in zip(gold, predicted, strict=True)]).reshape(
        -1, 3
    )


def _f1(counts: np.ndarray) -> np.ndarray:
    """Of counts [..., 3]."""
    right, predicted, annotated = np.moveaxis(counts, -1, 0)
    f1: np.ndarray = 2 * right / np.maximum(predicted + annotated, 1)
    return f1


def _difference(a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    if not len(a):
        return {"f1": 0.0, "interval": [0.0, 0.0], "better": 0.0}
    rng = np.random.default_rng(0)
    # How often each sentence is drawn; both are counted on the same draws.
    times = rng.multinomial(len(a), np.full(len(a), 1 / len(a)), _RESAMPLES)
    drawn = _f1(times @ b) - _f1(times @ a)
    low, high = np.percentile(drawn, _INTERVAL)
    return {
        "f1": float(_f1(b.sum(0)) - _f1(a.sum(0))),
        "interval": [float(low), float(high)],
        "better": float((drawn > 0).mean()),
    }


def _found(gold: Sequence[set[Span]], a: Sequence[set[Span]], b: Sequence[set[Span]]) -> dict[str, int]:
    counts = {"both": 0, "a": 0, "b": 0, "neither": 0}
    for wanted, left, right in zip(gold, a, b, strict=True):
        for span in wanted:
            name = {(True, True): "both", (True, False): "a", (False, True): "b"}.get(
                (span in left, span in right), "neither"
            )
            counts[name] += 1
    return counts


def _examples(
    pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
    gold: Sequence[set[Span]],
    a: Sequence[set[Span]],
    b: Sequence[set[Span]],
    most: int,
) -> list[dict[str, Any]]:
    """Sentences that one of them has right and the other has not."""
    found: list[dict[str, Any]] = []
    for (row, other), wanted, left, right in zip(pairs, gold, a, b, strict=True):
        if len(found) < most and (left == wanted) != (right == wanted):
            found.append(
                {
                    "id": row["id"],
                    "text": row["text"],
                    "right": "a" if left == wanted else "b",
                    "a": row["predicted"],
                    "b": other["predicted"],
                }
            )
    return found
