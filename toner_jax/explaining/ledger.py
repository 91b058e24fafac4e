"""The file of explanations: one line for each, added when it is there and never changed, so that nothing that was
answered is lost or asked for again, however a start ends."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from toner_jax.common.console import warn
from toner_jax.common.files import naming
from toner_jax.errors import UserError
from toner_jax.explaining.question import Question, Unusable


class Ledger:
    """The answers of all starts.

    Attributes:
      path: of the explanations; those of no use stand beside it.
      cost: what all answers have cost, in the unit of the prices.
    """

    def __init__(self, path: Path, *, changes_nothing: bool = False):
        """Reads what is there; a last line that a kill has torn is removed.

        Args:
          changes_nothing: such a line is left out, and stays.

        Raises:
          UserError: a line that is none of ours.
        """
        self.path, self.refused_path = path, path.with_name(f"{path.stem}.refused{path.suffix}")
        self.cost = 0.0
        self._ids: dict[str, str] = {}
        self._answers: dict[str, Mapping[str, Any]] = {}
        self._refused: set[str] = set()
        for entry in _entries(path, changes_nothing):
            self._remember(entry)
        for entry in _entries(self.refused_path, changes_nothing):
            self._refused.add(entry["key"])
            self.cost += entry["cost"] or 0.0

    def has(self, question: Question) -> bool:
        """Whether a sentence needs no question any more.

        Raises:
          UserError: the file explains it as another prompt, or another model, has it.
        """
        known = self._ids.get(question.sentence.id)
        if known not in (None, question.key):
            raise UserError(
                f"{self.path}: explains {question.sentence.id} as another prompt or model would have it; choose "
                "another file, or the data and the model that it was begun with"
            )
        return known is not None

    def is_refused(self, question: Question) -> bool:
        """Whether its answer was of no use."""
        return question.key in self._refused

    def answered(self, question: Question) -> bool:
        """Whether another sentence with the same words and entities was explained, which is then recorded of this one,
        too."""
        same = self._answers.get(question.key)
        if same is None:
            return False
        self._append({**same, "id": question.sentence.id, "same_as": same["id"], "cost": 0.0})
        return True

    def record(self, question: Question, explanation: str, answer: Mapping[str, Any]) -> None:
        """Adds an explanation; `answer` is how it was come by, {"prompt_tokens", "completion_tokens", "cost", …}."""
        entry = {"id": question.sentence.id, "explanation": explanation, **self._source(question), **answer}
        self._append(entry)

    def refuse(self, question: Question, why: Unusable, text: str, answer: Mapping[str, Any]) -> None:
        """Adds an answer that is of no use to the file of these."""
        why_not = {"reason": why.reason, "what": why.what, "answer": text}
        _append(
            self.refused_path, {"id": question.sentence.id, **why_not, **self._source(question), **answer}
        )
        self._refused.add(question.key)
        self.cost += answer["cost"] or 0.0

    def _source(self, question: Question) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return {"key": question.key, "model": question.model, "created": now}

    def _append(self, entry: Mapping[str, Any]) -> None:
        _append(self.path, entry)
        self._remember(entry)

    def _remember(self, entry: Mapping[str, Any]) -> None:
        self._ids[entry["id"]] = entry["key"]
        self._answers.setdefault(entry["key"], entry)
        self.cost += entry["cost"] or 0.0


@contextmanager
def opened(path: Path, *, changes_nothing: bool = False) -> Iterator[Ledger]:
    """The ledger of a file that no other start is at.

    Args:
      changes_nothing: it is read alone, whoever is at it.

    Raises:
      UserError: another one is, or as `Ledger`.
    """
    if changes_nothing:
        yield Ledger(path, changes_nothing=True)
        return
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{path}: another start is adding to it; wait for it") from None
    try:
        yield Ledger(path)
    finally:
        lock.release()


def _entries(path: Path, changes_nothing: bool) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    content = path.read_bytes()
    whole, _, torn = content.rpartition(b"\n")
    if torn and not changes_nothing:
        warn(f"{path}: its last line was torn by a kill, and is removed")
        with path.open("r+b") as file:
            file.truncate(len(content) - len(torn))
    for number, line in enumerate(whole.decode(errors="replace").split("\n") if whole else [], 1):
        try:
            entry = json.loads(line)
            _ = entry["id"], entry["key"], entry["cost"]
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{path}:{number}: no line that this command has written; choose another file, or mend the line"
            ) from None
        yield entry


def _append(path: Path, entry: Mapping[str, Any]) -> None:
    """Adds a line that is on the disk when this returns."""
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
