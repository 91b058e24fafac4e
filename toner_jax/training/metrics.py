"""Scalars to `metrics.jsonl` and to people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toner_jax.common.files import naming, write_atomically
from toner_jax.training.events import Events


class MetricsWriter:
    """Appends one JSON object a line, {"stage", "step", …}, and the same scalars as TensorBoard events.

    Resuming a stage at a step drops its later lines first, so nothing is written twice.
    """

    def __init__(self, workdir: Path):
        self._path = workdir / "metrics.jsonl"
        self._events = workdir / "tensorboard"
        self._writers: dict[str, Events] = {}

    def resume(self, stage: str, step: int) -> None:
        """Forgets what `stage` logged after `step`, and a line torn by a kill."""
        text = self._path.read_text(encoding="utf-8", errors="replace") if self._path.exists() else ""
        kept = [
            json.dumps(entry) + "\n"
            for entry in read_metrics(text)
            if entry["stage"] != stage or entry["step"] <= step
        ]
        write_atomically(self._path, "".join(kept))
        self._writers[stage] = Events(self._events / stage, max(step, 0) + 1)

    def write(self, stage: str, step: int, values: Mapping[str, Any]) -> None:
        """Logs values of a stage that `resume` began."""
        line = json.dumps({"stage": stage, "step": step, **values}) + "\n"
        with naming(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(line)
        scalars = {name: value for name, value in values.items() if isinstance(value, int | float)}
        self._writers[stage].write(step, scalars)


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
