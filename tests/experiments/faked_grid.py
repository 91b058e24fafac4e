"""Runs of an experiment that do nothing but leave the markers of their stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from toner_jax.errors import UserError
from toner_jax.experiments import grid


def fake_runs(monkeypatch: Any, tell: Callable[[Any, Path], None]) -> None:
    """`tell` is given the configuration and the work directory of each run that is asked for, before it leaves
    anything."""

    def execute(config: Any, workdir: Path) -> None:
        tell(config, workdir)
        for stage in ("data", "setup", *config.stages):
            (workdir / stage).mkdir(parents=True, exist_ok=True)
            (workdir / stage / "stage.json").write_text(f"{stage} of {config.seed}")
        (workdir / "schema.json").write_text("{}")

    def result(workdir: Path, stage: str) -> dict:
        if not (workdir / stage / "stage.json").exists():
            raise UserError("not there")
        return {}

    monkeypatch.setattr(grid, "execute", execute)
    monkeypatch.setattr(grid, "stage_result", result)
