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
    """Appends one JSON object a line, {"stage", "step", …}, and the same scalars as TensorBoard events.

    Resuming a stage at a step drops its later lines first, so nothing is written twice.
    """

    def __init__(self, workdir: Path):
        self._path = workdir / "metrics.jsonl"
        self._events = workdir / "tensorboard"
        self._writers: dict[str, Any] = {}

    def resume(self, stage: str, step: int) -> None:
        """Forgets what `stage` logged after `step`, and a line torn by a kill."""
        text = self._path.read_text(encoding="utf-8", errors="replace") if self._path.exists() else ""
        kept = [
            json.dumps(entry) + "\n"
            for entry in read_metrics(text)
            if entry["stage"] != stage or entry["step"] <= step
        ]
        write_atomically(self._path, "".join(kept))
        from tensorboardX import SummaryWriter

        self._writers[stage] = SummaryWriter(str(self._events / stage), purge_step=max(step, 0) + 1)

    def write(self, stage: str, step: int, values: Mapping[str, Any]) -> None:
        """Logs values of a stage that `resume` began."""
        line = json.dumps({"stage": stage, "step": step, **values}) + "\n"
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)
        for name, value in values.items():
            if isinstance(value, int | float):
                self._writers[stage].add_scalar(name, value, step)
        self._writers[stage].flush()


def read_metrics(text: str) -> list[dict[str, Any]]:
    """The entries of metrics.jsonl; a line torn by a kill is left out."""
    entries = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and {"stage", "step"} <= entry.keys():
            entries.append(entry)
    return entries


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
            from rich import progress

            self._bar = progress.Progress(
                progress.TextColumn("[bold]{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeElapsedColumn(),
                progress.TimeRemainingColumn(),
                progress.TextColumn("{task.fields[note]}"),
                console=_stderr_console(),
            )
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
            self._bar.update(self._task, completed=step)
            if note:
                self._bar.tasks[0].fields["note"] = note
            return
        now = time.monotonic()
        if force or now - self._said >= self._every or step == self._total:
            self._said = now
            rate = (step - self._start) / max(now - self._begun, 1e-9)
            left = (self._total - step) / rate if rate else 0.0
            print(
                f"{self._title}: {step}/{self._total}  {left:.0f} s left  {note}".rstrip(),
                file=sys.stderr,
                flush=True,
            )


def _stderr_console() -> Any:
    from rich.console import Console

    return Console(stderr=True)


def say(message: str) -> None:
    """One line for people, on standard error, so that standard output stays machine-readable."""
    print(message, file=sys.stderr, flush=True)
