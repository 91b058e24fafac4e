"""Runs whose stages do no work but to write what stands for checkpoints, and that can be killed at any write."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

from toner_jax import config as configuration
from toner_jax.common.files import file_digest
from toner_jax.runs import cross_fitting, evaluate, generator, matched_types, matcher, run, setup
from toner_jax.runs.aside import settle

SCHEMA = {"name": "s", "types": [{"name": "person", "description": "People."}, {"name": "place"}]}
TRAINED = ("matcher", "generator")
TOKENS = count()


class Killed(Exception):
    """Stands for SIGKILL."""


def write_data(folder: Path, split: str, version: int) -> None:
    folder.mkdir(exist_ok=True)
    rows = [{"text": f"Ann {version} left .", "entities": [{"start": 0, "end": 3, "label": "person"}]}] * 3
    (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def settings(folder: Path) -> Any:
    c = configuration.base()
    configuration.set_scratch(c)
    c.data.format, c.data.dir, c.data.schema = "jsonl", str(folder), str(folder / "schema.json")
    return c


def make_world(tmp_path: Path, monkeypatch: Any) -> tuple[Path, Path, Any]:
    """(work directory, data folder, an object whose `kill_at` says after how many writes the run dies)."""
    data, workdir = tmp_path / "data", tmp_path / "run"
    for split in run.SPLITS:
        write_data(data, split, 0)
    (data / "schema.json").write_text(json.dumps(SCHEMA))
    state = type("State", (), {"kill_at": None})()

    def tick():
        if state.kill_at is not None:
            state.kill_at -= 1
            if state.kill_at < 0:
                raise Killed

    def train(stage: str):
        def do(config, work: run.Run) -> dict[str, Any]:
            folder = work.workdir / stage / "checkpoints"
            for step in (10, 20):
                if (folder / "manifests" / f"{step}.json").exists():
                    continue
                tick()
                (folder / "manifests").mkdir(parents=True, exist_ok=True)
                (folder / str(step)).mkdir(exist_ok=True)
                (folder / str(step) / "w").write_text(f"{next(TOKENS)}")
                manifest = {
                    "w": [(folder / str(step) / "w").stat().st_size, file_digest(folder / str(step) / "w")]
                }
                (folder / "manifests" / f"{step}.json").write_text(json.dumps(manifest))
                settle(work.workdir, stage)
            tick()
            return {"step": 10, "tasks": ["ner"]}

        return do

    def types(config, work: run.Run) -> dict[str, Any]:
        tick()
        (work.workdir / "types").mkdir(exist_ok=True)
        (work.workdir / "types" / "train.jsonl").write_text(f"{config.matcher.type_threshold}\n")
        words = [s.words for s in work.splits["train"]]
        return {"identity": json.dumps([str(config.matcher.type_threshold), words]), "type_threshold": 0.5}

    def folds(config, work: run.Run) -> dict[str, Any]:
        tick()
        (work.workdir / "folds").mkdir(exist_ok=True)
        (work.workdir / "folds" / "train.jsonl").write_text(f"{config.types.folds}\n")
        return {"folds": config.types.folds}

    def report(config, work: run.Run, result) -> dict[str, Any]:
        (work.workdir / "report").mkdir(exist_ok=True)
        (work.workdir / "report" / "test.json").write_text("{}")
        tick()
        return {}

    def prepare(config, folder: Path, train, schema, explanations) -> None:
        (folder / "schema.json").write_text(json.dumps(schema.to_json()))
        (folder / "models.json").write_text(json.dumps({kind: {} for kind in TRAINED}))
        for kind in TRAINED:
            (folder / "tokenizers" / kind).mkdir(parents=True)
            (folder / "tokenizers" / kind / "vocabulary").write_text(str(config.tokenizer.matcher_vocab_size))

    monkeypatch.setattr(matcher, "train_matcher", train("matcher"))
    monkeypatch.setattr(generator, "train_generator", train("generator"))
    monkeypatch.setattr(cross_fitting, "cross_fit", folds)
    monkeypatch.setattr(matched_types, "write_training_types", types)
    monkeypatch.setattr(evaluate, "evaluate_run", report)
    monkeypatch.setattr(setup, "prepare", prepare)
    monkeypatch.setattr(run, "check_training", lambda *_: None)
    return workdir, data, state


def checkpoints(workdir: Path, *folders: str) -> dict[str, set[str]]:
    """Stage → what its committed checkpoints hold, wherever they lie."""
    return {
        stage: {
            path.read_text()
            for folder in (workdir / name.format(stage) for name in folders or ("{}", "{}.replaced"))
            for path in folder.glob("checkpoints/[0-9]*/w")
            if (path.parents[1] / "manifests" / f"{path.parent.name}.json").exists()
        }
        for stage in TRAINED
    }
