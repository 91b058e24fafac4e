"""A stage of a run: what it reads and writes, and the fingerprint that tells whether its result is still good.

Its marker, `<stage>/stage.json`, is written when the stage begins and marked complete when it ends. On the next
start of the same command, a complete stage with the same fingerprint is skipped, an incomplete one goes
on from its checkpoint, a complete one with another fingerprint runs again. What would throw away a
half-trained stage is refused, key by key, unless a restart was asked for.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax import config as configuration
from toner_jax.common.console import say
from toner_jax.common.files import write_atomically
from toner_jax.errors import UserError
from toner_jax.runs.view import Reads, View
from toner_jax.schema import Schema, Sentence

# Everything that a stage's result depends on, as a flat dict.
Fingerprint = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What the stages of a run work on, besides the configuration."""

    workdir: Path
    splits: Mapping[str, Sequence[Sentence]]
    schema: Schema
    mesh: Mesh


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
      name: its folder in the work directory.
      reads: the keys of the configuration that it reads.
      inputs: what else its result depends on: splits ("test words" is test without its labels) and earlier stages.
      outputs: paths in the work directory that it writes, removed when it starts anew.
    """

    name: str
    reads: Reads
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def view(self, config: ConfigDict) -> View:
        """What the stage gets of a configuration."""
        return View(config, self.name, self.reads)

    def plan(self, config: ConfigDict, digests: Mapping[str, str]) -> PlannedStage:
        """The stage with its fingerprint; `digests` are of its inputs, less the stages that this run does not have."""
        inputs = {name: digests[name] for name in self.inputs if name in digests}
        keys = config_keys(config, self.reads.result)
        own = {key: value for key, value in keys.items() if key not in self.reads.manner}
        return PlannedStage(self.name, {**own, **inputs}, self.outputs)


@dataclass(frozen=True)
class PlannedStage:
    """A stage of a certain run.

    Attributes:
      name, outputs: as a `Stage` has them.
      fingerprint: everything its result depends on.
    """

    name: str
    fingerprint: Fingerprint
    outputs: tuple[str, ...]

    def check(self, workdir: Path, restart: bool = False) -> str:
        """What `run` would do: "skip", "resume" or "start".

        Raises:
          UserError: the work directory holds a half-trained stage with other settings.
        """
        previous = read_marker(self._marker(workdir))
        if previous is None:
            return "start"
        if previous["fingerprint"] == self._current():
            return "skip" if previous["complete"] else "resume"
        if not previous["complete"] and not restart and (workdir / self.name / "checkpoints").is_dir():
            changes = "; ".join(describe_changes(previous["fingerprint"], self._current()))
            raise UserError(
                f"{workdir / self.name}: half trained with other settings: {changes}. Run with the former "
                "settings, choose another workdir, or pass restart=True to train this stage anew"
            )
        return "start"

    def run(self, workdir: Path, work: Callable[[], Mapping[str, Any]], restart: bool) -> dict[str, Any]:
        """Does the stage's work if it is not done, and returns its result."""
        marker = self._marker(workdir)
        action = self.check(workdir, restart)
        previous = read_marker(marker)
        if action == "skip" and previous is not None:
            say(f"{self.name}: complete, skipped")
            return dict(previous["result"])
        if action == "start":
            if previous is not None:
                changes = describe_changes(previous["fingerprint"], self._current())
                say(f"{self.name}: runs again: {'; '.join(changes) or 'restarted'}")
            self._clear(workdir)
            _write_marker(marker, self._current(), complete=False, result={})
        result = dict(work())
        _write_marker(marker, self._current(), complete=True, result=result)
        return result

    def _marker(self, workdir: Path) -> Path:
        return workdir / self.name / "stage.json"

    def _current(self) -> Fingerprint:
        """The fingerprint as JSON gives it back."""
        current: Fingerprint = json.loads(json.dumps(self.fingerprint, default=list))
        return current

    def _clear(self, workdir: Path) -> None:
        for output in self.outputs:
            path = workdir / output
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def read_marker(path: Path) -> dict[str, Any] | None:
    """What a stage's marker says; None where there is none.

    Raises:
      UserError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        marker = json.loads(path.read_text(encoding="utf-8"))
        return {k: marker[k] for k in ("fingerprint", "complete", "result")}
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: damaged ({error!r}); remove {path.parent} to run this stage anew"
        ) from error


def _write_marker(path: Path, fingerprint: Fingerprint, *, complete: bool, result: Mapping[str, Any]) -> None:
    marker = {"fingerprint": fingerprint, "complete": complete, "result": result}
    write_atomically(path, json.dumps(marker, indent=2) + "\n")


def describe_changes(old: Fingerprint, new: Fingerprint) -> list[str]:
    """`key: old → new` for every difference."""
    absent = "(absent)"
    return [
        f"{key}: {old.get(key, absent)} → {new.get(key, absent)}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key, absent) != new.get(key, absent)
    ]


def config_keys(config: ConfigDict, keys: Iterable[str]) -> Fingerprint:
    """The values of dotted keys; a section stands for all keys in it."""
    values: Fingerprint = {}
    for key in keys:
        value = configuration.get(config, key)
        if isinstance(value, ConfigDict):
            values.update(config_keys(config, [f"{key}.{k}" for k in sorted(value)]))
        elif key in configuration.NUMBERS_OR_DEV and value != configuration.DEV:
            values[key] = float(value)  # 0 is 0.0, as it is for keys of type float
        else:
            values[key] = value
    return values


def data_digest(sentences: Sequence[Sentence], schema: Schema, labels: bool = True) -> str:
    """A digest of the words, and of the annotation unless `labels` is False."""
    digest = hashlib.blake2b(json.dumps(schema.to_json()).encode(), digest_size=8)
    for s in sentences:
        entities = [(e.start, e.end, e.type) for e in s.gold] if labels else []
        digest.update(json.dumps([s.words, entities]).encode())
    return digest.hexdigest()


def fingerprint_digest(fingerprint: Fingerprint) -> str:
    """One short string for another stage's fingerprint to hold."""
    text = json.dumps(fingerprint, sort_keys=True, default=list)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
