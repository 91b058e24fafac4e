"""The runs below a folder, as their work directories tell of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from toner_jax.errors import UserError
from toner_jax.runs import config_files
from toner_jax.runs.environment import read_starts
from toner_jax.runs.marker import CHECKPOINTS, MARKER, DamagedMarker, read_marker
from toner_jax.runs.matcher import FOLDER as MATCHER
from toner_jax.runs.workdir import is_at_work, read_report
from toner_jax.training.manifests import committed_steps
from toner_jax.training.metrics import LOG, read_metrics


def work_directories(folder: Path) -> Iterator[Path]:
    """Those below a folder, or itself, in order of their paths.

    Raises:
      UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    for path, folders, files in os.walk(folder):
        if config_files.CONFIG in files and "setup" in folders:
            folders.clear()
            yield Path(path)
        folders[:] = sorted(name for name in folders if not name.startswith("."))


def describe(workdir: Path, split: str) -> dict[str, Any]:
    """A run.

    Args:
      split: whose report is read.

    Returns:
      {"workdir", "state", "data", "seed", "model", "f1", "types_f1", "started"}; None for what is not known. The state
      is "done", "at work" or "stopped", with the stage that it was in and its last step.
    """
    row: dict[str, Any] = dict.fromkeys(("data", "seed", "model", "f1", "types_f1", "started"))
    row |= {"workdir": str(workdir), "state": "damaged"}
    try:
        config = config_files.load(workdir / config_files.CONFIG)
        row["state"] = _state(
            workdir, [stage for stage in config.stages if stage != MATCHER or config.matcher.enabled]
        )
        row |= {
            "data": config.data.name,
            "seed": config.seed,
            "model": config.generator.checkpoint or "random weights",
        }
        if report := read_report(workdir, split):
            row |= {"f1": report["strict"]["f1"], "types_f1": report.get("types", {}).get("f1")}
    except (UserError, ValueError, KeyError) as error:
        row["state"] = f"damaged: {error}"
    if starts := read_starts(workdir):
        row["started"] = starts[-1].get("started")
    return row


def _state(workdir: Path, stages: Sequence[str]) -> str:
    complete = {stage: _is_complete(workdir, stage) for stage in stages}
    if all(complete.values()):
        return "done"
    doing = next(stage for stage, done in complete.items() if not done)
    log = workdir / LOG
    entries = read_metrics(log.read_text(encoding="utf-8")) if log.is_file() else []
    steps = [entry["step"] for entry in entries if entry["stage"] == doing]
    saved = committed_steps(workdir / doing / CHECKPOINTS)
    last = max(steps[-1:] + saved[-1:], default=None)
    at = doing if last is None else f"{doing}, step {last:,}"
    if is_at_work(workdir):
        return f"at work: {at}"
    if last is not None and saved[-1:] != [last]:  # it goes on from there
        at += f"; step {saved[-1]:,} is saved" if saved else "; none is saved"
    return f"stopped: {at}"


def _is_complete(workdir: Path, stage: str) -> bool:
    with suppress(DamagedMarker):
        marker = read_marker(workdir / stage / MARKER)
        return marker is not None and marker.complete
    return False
