"""Scalars to `metrics.jsonl` and to people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xxhash

from toner_jax.common.files import append_json, write_atomically
from toner_jax.parallel.processes import is_first
from toner_jax.training.events import Events

LOG = "metrics.jsonl"


class MetricsWriter:
    """Appends one JSON object a line, {"stage", "step", …}, and the same scalars as TensorBoard events.

    Resuming a stage at a step drops its later lines first, so nothing is written twice. Of several processes the first
    writes.
    """

    def __init__(self, workdir: Path):
        self._path = workdir / LOG
        self._events = workdir / "tensorboard"
        self._writes = is_first()
        self._writers: dict[str, Events] = {}

    def resume(self, stage: str, step: int) -> None:
        """Forgets what `stage` logged after `step`, and a line torn by a kill."""
        if not self._writes:
            return
        text = _read(self._path)
        lines = text.splitlines()
        if text and not text.endswith("\n"):
            del lines[-1]  # the torn one
        # Other stages' lines stay as they are, those that nobody can read too: `logged_digest` tells of them.
        kept = [
            line
            for line in lines
            if (entry := _parse(line)) is None or entry["stage"] != stage or entry["step"] <= step
        ]
        write_atomically(self._path, "".join(f"{line}\n" for line in kept))
        self._writers[stage] = Events(self._events / stage, max(step, 0) + 1)

    def write(self, stage: str, step: int, values: Mapping[str, Any]) -> None:
        """Logs values of a stage that `resume` began."""
        scalars = {name: value for name, value in values.items() if isinstance(value, int | float)}
        self._append({"stage": stage, "step": step, **values}, scalars)

    def write_hyperparameters(self, stage: str, values: Mapping[str, Any], scalars: Sequence[str]) -> None:
        """Has TensorBoard show the configuration beside these scalars of a stage that `resume` began."""
        if self._writes:
            self._writers[stage].write_hyperparameters(values, scalars)

    def write_timing(self, stage: str, step: int, timing: Mapping[str, float]) -> None:
        """Logs what no two runs share, on a line of its own: {"stage", "step", "timing": {…}}."""
        scalars = {f"timing/{name}": value for name, value in timing.items()}
        self._append({"stage": stage, "step": step, "timing": dict(timing)}, scalars)

    def _append(self, entry: Mapping[str, Any], scalars: Mapping[str, float]) -> None:
        if self._writes:
            append_json(self._path, entry)
            self._writers[entry["stage"]].write(entry["step"], scalars)


def read_metrics(text: str) -> list[dict[str, Any]]:
    """The entries of metrics.jsonl; what is none is left out."""
    return [entry for line in text.splitlines() if (entry := _parse(line)) is not None]


def logged_digest(workdir: Path, stage: str) -> str:
    """The xxh3 of a stage's lines."""
    entries = ((line, _parse(line)) for line in _read(workdir / LOG).splitlines())
    return xxhash.xxh3_64_hexdigest(
        "".join(f"{line}\n" for line, entry in entries if entry and entry["stage"] == stage).encode()
    )


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _parse(line: str) -> dict[str, Any] | None:
    """The entry of a line; None if it is none."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and {"stage", "step"} <= entry.keys() else None
