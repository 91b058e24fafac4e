"""T′ of sentences in files: one JSON object a sentence, its id, T′ and the cosines behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toner_jax.common.files import write_atomically
from toner_jax.errors import UserError
from toner_jax.inference.matching import matched_types
from toner_jax.schema import Schema, Sentence

FOLDER = "types"  # the stage whose T′ the generator is trained with


@dataclass(frozen=True)
class Matched:
    """T′ of N sentences.

    Attributes:
      types: of each sentence, by descending similarity.
      similarities: [N][K], the cosines behind them, in schema order.
    """

    types: Sequence[tuple[str, ...]]
    similarities: Sequence[Sequence[float]]


def matched_at(similarities: np.ndarray, schema: Schema, delta: float, top_k: int = 0) -> Matched:
    """T′ of cosines [N, K] at δ = `delta`, of at most `top_k` types unless that is 0."""
    types = [matched_types(row, schema, delta, top_k) for row in similarities]
    return Matched(types, [[round(float(value), 6) for value in row] for row in similarities])


def types_path(workdir: Path, split: str) -> Path:
    """Where the stage keeps T′ of a split."""
    return workdir / FOLDER / f"{split}.jsonl"


def evaluation_path(workdir: Path, split: str) -> Path:
    """Where the evaluate stage keeps T′ of a split, at the δ of evaluation."""
    return workdir / "evaluate" / "types" / f"{split}.jsonl"


def write_types(path: Path, sentences: Sequence[Sentence], matched: Matched, schema: Schema) -> None:
    """Writes the file."""
    lines = (
        json.dumps({"id": s.id, "types": types, "similarities": dict(zip(schema.names, row, strict=True))})
        for s, types, row in zip(sentences, matched.types, matched.similarities, strict=True)
    )
    write_atomically(path, "".join(f"{line}\n" for line in lines))


def read_types(path: Path, sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
    """T′ of each sentence, as `write_types` wrote it.

    Raises:
      UserError: the file is missing, damaged, or of other sentences.
    """
    return [tuple(entry["types"]) for entry in _entries(path, sentences)]


def read_matched(path: Path, sentences: Sequence[Sentence], schema: Schema) -> Matched:
    """T′ and the cosines of each sentence, as `write_types` wrote them.

    Raises:
      UserError: as `read_types`, or without a cosine of each type.
    """
    entries = _entries(path, sentences)
    try:
        rows = [[float(entry["similarities"][name]) for name in schema.names] for entry in entries]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: does not hold the cosines of these types ({error!r})") from error
    return Matched([tuple(entry["types"]) for entry in entries], rows)


def _entries(path: Path, sentences: Sequence[Sentence]) -> list[Mapping[str, Any]]:
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        by_id: Mapping[str, Any] = {entry["id"]: entry for entry in entries}
        found = [by_id[s.id] for s in sentences]
        for entry in found:
            tuple(entry["types"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: does not hold T′ of these sentences ({error!r}); start the run again"
        ) from error
    return found
