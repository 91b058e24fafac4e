"""Scalars to `metrics.jsonl` and to people."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class MetricsWriter:
    """Appends one JSON object a line: {"stage", "step", …}.

    Resuming a stage at a step drops its later lines first, so nothing is written twice.
    """

    def __init__(self, path: Path):
        self._path = path

    def resume(self, stage: str, step: int) -> None:
        """Forgets what `stage` logged after `step`, and a line torn by a kill."""
        if not self._path.exists():
            return
        kept = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("stage") != stage or entry.get("step", 0) <= step:
                kept.append(line + "\n")
        write_atomically(self._path, "".join(kept))

    def write(self, stage: str, step: int, values: Mapping[str, Any]) -> None:
        line = json.dumps({"stage": stage, "step": step, **values}) + "\n"
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)


def write_atomically(path: Path, text: str) -> None:
    """All of the text or none of it, also after a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


class Progress:
    """Steps of one stage: a bar on a terminal, a plain line now and then elsewhere."""

    def __init__(self, title: str, total: int, start: int = 0, every: float = 15.0):
        self._title, self._total, self._start, self._every = title, total, start, every
        self._begun = self._said = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=_stderr_console(),
            )  # fmt: skip
            self._task = self._bar.add_task(title, total=total, completed=start, note="")

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, step: int, note: str = "", force: bool = False) -> None:
        """Shows `step` of the total; off a terminal at most every few seconds unless forced."""
        if self._bar:
            fields = {"note": note} if note else {}
            self._bar.update(self._task, completed=step, **fields)
            return
        now = time.monotonic()
        if force or now - self._said >= self._every or step == self._total:
            self._said = now
            rate = (step - self._start) / max(now - self._begun, 1e-9)
            left = (self._total - step) / rate if rate else 0.0
            print(f"{self._title}: {step}/{self._total}  {left:.0f} s left  {note}".rstrip(), file=sys.stderr, flush=True)


def _stderr_console() -> Any:
    from rich.console import Console

    return Console(stderr=True)


def say(message: str) -> None:
    """One line for people, on standard error, so that standard output stays machine-readable."""
    print(message, file=sys.stderr, flush=True)
