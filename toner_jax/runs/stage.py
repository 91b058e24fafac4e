"""A stage of a run: what it reads and writes, and whether its result is still good.

Its marker is written when the stage begins and marked complete when it ends (`toner_jax.runs.marker`). On the next
start of the same command, a complete stage whose settings, inputs and files are as they were is skipped, an incomplete
one goes on from its checkpoint, any other runs again: unless that would remove a checkpoint, of a finished stage too.
That is refused, key by key, until a restart of the stage is asked for; what it replaces is moved aside until its own
first checkpoint is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax.common.console import say
from toner_jax.parallel import processes
from toner_jax.runs import aside, environment, parts
from toner_jax.runs.fingerprint import config_keys, describe_changes, differences
from toner_jax.runs.marker import (
    CHECKPOINTS,
    MARKER,
    DamagedMarker,
    Fingerprint,
    Marker,
    as_json,
    damage,
    digest_of,
    files_of,
    read_marker,
    weights_damage,
)
from toner_jax.runs.refusal import Refusal, Refused
from toner_jax.runs.spread import spread
from toner_jax.runs.type_sources import CROSS_FITTED
from toner_jax.runs.view import Reads, Settings, View
from toner_jax.schema import Schema, Sentence
from toner_jax.training.manifests import MANIFESTS, without_manifest
from toner_jax.training.metrics import logged_digest


@dataclass(frozen=True)
class Run:
    """What the stages of a run work on, besides the configuration; `explanations` as `read_train_explanations` has
    them."""

    workdir: Path
    splits: Mapping[str, Sequence[Sentence]]
    schema: Schema
    mesh: Mesh
    explanations: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
      name: its folder in the work directory.
      reads: the keys of the configuration that it reads.
      inputs: what else its result depends on: digests of splits (`run.input_digests`) and earlier stages.
      outputs: paths in the work directory that it writes, removed when it starts anew.
      own: those of its inputs that later stages do not depend on through it.
      selects: inputs that its step was chosen on, and that change nothing else.
      parts: what it reads of what earlier stages made (`toner_jax.runs.parts`).
    """

    name: str
    reads: Reads
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    own: tuple[str, ...] = ()
    selects: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    def view(self, config: ConfigDict) -> View:
        """What the stage gets of a configuration."""
        return View(config, self.name, self.reads)

    def plan(self, config: ConfigDict, digests: Mapping[str, str]) -> PlannedStage:
        """The stage with its fingerprint; `digests` are of its inputs, less those that this run does not have."""
        apart = (*self.reads.manner, *self.reads.selection)
        keys = config_keys(config, self.reads.result)
        return PlannedStage(
            self.name,
            {**{k: v for k, v in keys.items() if k not in apart}, **_those(self.inputs, digests)},
            self.outputs,
            selection={**config_keys(config, self.reads.selection), **_those(self.selects, digests)},
            own=self.own,
            parts=tuple(p for p in self.parts if has(config, p)),
        )


# What a run without type matching does not have.
_OF_MATCHER = (*(p for p in parts.model_parts("matcher") if "matcher" in p), "matcher", "types", "folds")


def has(config: Settings, part: str) -> bool:
    """Whether runs of a configuration have a part, or a stage."""
    if part == "folds" and config.types.training != CROSS_FITTED:
        return False
    return bool(config.matcher.enabled) or part not in _OF_MATCHER


def _those(names: Iterable[str], digests: Mapping[str, str]) -> dict[str, str]:
    return {name: digests[name] for name in names if name in digests}


@dataclass(frozen=True)
class PlannedStage:
    """A stage of a certain run.

    Attributes:
      name, outputs, own, parts: as a `Stage` has them.
      fingerprint: everything its result depends on.
      selection: what its step is chosen under, besides: a finished stage keeps its choice.
    """

    name: str
    fingerprint: Fingerprint
    outputs: tuple[str, ...]
    selection: Fingerprint = field(default_factory=dict)
    own: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    # What was found of weights, by the marker that vouches for them.
    _weights: dict[str, str | None] = field(default_factory=dict, compare=False, repr=False)

    def digest(self, workdir: Path | None) -> str:
        """One short string for a later stage's fingerprint to hold: of what the stage was made under, where that
        still holds, so that a key which a new version adds changes nothing of it."""
        previous = self._previous(workdir) if workdir else None
        unchanged = previous is not None and not differences(previous.fingerprint, as_json(self.fingerprint))
        fingerprint = previous.fingerprint if previous and unchanged else as_json(self.fingerprint)
        return digest_of({k: v for k, v in fingerprint.items() if k not in self.own})

    def check(self, workdir: Path, restart: Collection[str] = (), *, pending: Collection[str] = ()) -> str:
        """What `run` would do: "skip", "resume" or "start"; or "put back", where a restart was given up before its
        first checkpoint, and what it was to replace is what is asked for.

        Args:
          restart: the stages that may be trained anew.
          pending: earlier stages that will run first, so that what they make is not known yet.

        Raises:
          Refused: the stage would have to be trained anew, and that was not asked for.
        """
        return self._plan(workdir, restart, pending)[0]

    def check_settings(self, workdir: Path) -> None:
        """Makes sure that what the stage holds was made under these settings and data, though it is not to run.

        Raises:
          Refused: trained steps were made under others.
        """
        previous = self._previous(workdir)
        if previous is None or not aside.held_steps(workdir / self.name):
            return
        if why := "; ".join(describe_changes(previous.fingerprint, as_json(self.fingerprint))):
            what = f"not among the stages of this start, and made under other settings or data: {why}"
            raise self._refusal(
                workdir, what, "start with the former ones, choose another workdir, name the stage"
            )

    def run(
        self,
        workdir: Path,
        work: Callable[[], Mapping[str, Any]],
        restart: Collection[str] = (),
        made_with: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Does the stage's work if it is not done, and returns its result.

        Args:
          restart: as for `check`.
          made_with: this process's `environment.environment`.

        Raises:
          Refused: as `check`.
        """
        begun: list[Marker] = []

        def begin() -> dict[str, Any] | None:
            done, marker = self._skip_or_begin(workdir, restart, dict(made_with or {}))
            begun.extend([marker] if marker else [])
            return done

        done = processes.on_first(begin)
        if done is None:
            result = dict(work())
            done = processes.on_first(lambda: self._complete(workdir, begun[0], result))
        spread(workdir, (self.name, *self.outputs))
        return done

    def _skip_or_begin(
        self, workdir: Path, restart: Collection[str], made_with: Mapping[str, Any]
    ) -> tuple[dict[str, Any] | None, Marker | None]:
        """The result of a stage that is done, or the marker of its work that begins."""
        action, reason = self._plan(workdir, restart, ())
        if action == "put back":
            say(
                f"{self.name}: {aside.aside(workdir, self.name)} is put back, as its restart has no checkpoint yet"
            )
            aside.put_back(workdir, self.name)
            action, reason = self._plan(workdir, restart, ())
        previous = self._previous(workdir) if action != "start" else None
        if action == "skip" and previous is not None:
            say(f"{self.name}: complete, skipped{self._selected(previous)}")
            return dict(previous.result), None
        return None, self._begin(workdir, previous, reason, made_with)

    def _complete(self, workdir: Path, marker: Marker, result: dict[str, Any]) -> dict[str, Any]:
        """Marks the stage complete; returns its result."""
        aside.settle(workdir, self.name)
        files = files_of(workdir, self.outputs, result)
        logged = logged_digest(workdir, self.name)
        done = replace(marker, complete=True, result=result, logged=logged, files=files)
        done.write(workdir / self.name / MARKER)
        return result

    def _begin(
        self, workdir: Path, previous: Marker | None, reason: str, made_with: Mapping[str, Any]
    ) -> Marker:
        """The marker of the work that begins, or of `previous` work that goes on."""
        marker = Marker(
            as_json(self.fingerprint),
            as_json(self.selection),
            parts.digests(workdir, self.parts),
            [made_with],
        )
        if previous is not None:
            if differ := environment.describe(previous.made_with[-1], made_with):
                say(f"{self.name}: begun with another environment, so the last bits may differ: {differ}")
                marker = replace(marker, made_with=[*previous.made_with, made_with])
            return marker
        if reason:
            say(f"{self.name}: runs again: {reason}")
        if moved := aside.clear(workdir, self.name, self.outputs):
            say(f"{self.name}: {moved} moved to {aside.aside(workdir, self.name)}, until there are new ones")
        marker.write(workdir / self.name / MARKER)
        return marker

    def _plan(self, workdir: Path, restart: Collection[str], pending: Collection[str]) -> tuple[str, str]:
        """(what is to do, why a stage that was begun before starts anew)."""
        folder = workdir / self.name
        steps, asked = aside.held_steps(folder), self.name in restart
        if not steps and aside.held_steps(aside.aside(workdir, self.name)):
            return self._plan_beside(workdir, asked)
        if (lost := without_manifest(folder / CHECKPOINTS)) and not asked:
            manifest = folder / CHECKPOINTS / MANIFESTS / f"{lost[-1]}.json"
            what = f"missing, so nothing vouches for step {lost[-1]}"
            raise self._refusal(workdir, what, "put back a copy of it", manifest)
        try:
            previous = read_marker(folder / MARKER)
        except DamagedMarker as error:
            if steps and not asked:
                raise self._refusal(
                    workdir, error.reason, "put back a copy of it", folder / MARKER
                ) from error
            return "start", str(error)
        if previous is None:
            if steps and not asked:
                what = "missing beside the stage's checkpoints"
                raise self._refusal(workdir, what, "put back a copy of it", folder / MARKER)
            return "start", ""
        why = "; ".join(describe_changes(previous.fingerprint, as_json(self.fingerprint)))
        other, mend = "changed settings or data", "run with the former ones, choose another workdir"
        if not why and previous.complete and (found := self._damage(workdir, previous)):
            why, other, mend = found, "damaged", "put back a copy of the file"
        if not why and not pending and (changed := parts.changed(workdir, previous.made_from)):
            why = f"made from another {', another '.join(changed)} than lies there"
        reselect = describe_changes(previous.selection, as_json(self.selection))
        if not why and reselect and (asked or not previous.complete):
            why = "; ".join(reselect)
        if not why:
            return "skip" if previous.complete else "resume", ""
        if steps and not asked:
            state = "finished" if previous.complete else "half trained"
            raise self._refusal(workdir, f"{state}, {other}: {why}", mend)
        return "start", why

    def _damage(self, workdir: Path, marker: Marker) -> str | None:
        """What is wrong with the stage's files. Its weights, which can be large, are read once in a start."""
        if found := damage(workdir, marker):
            return found
        if marker.identity not in self._weights:
            self._weights[marker.identity] = weights_damage(workdir, marker)
        return self._weights[marker.identity]

    def _plan_beside(self, workdir: Path, asked: bool) -> tuple[str, str]:
        """What to do where a restart was begun, and has no checkpoint yet."""
        kept = aside.aside(workdir, self.name)

        def holds_for(folder: Path) -> Marker | None:
            """Its marker, if it is of these settings."""
            try:
                marker = read_marker(folder / MARKER)
            except DamagedMarker:
                return None
            same = marker and not differences(marker.fingerprint, as_json(self.fingerprint))
            return marker if same else None

        begun = holds_for(workdir / self.name)
        if begun is not None and not describe_changes(begun.selection, as_json(self.selection)):
            return "resume", ""
        if not asked and holds_for(kept) is not None:
            return "put back", ""
        if not asked:
            raise self._refusal(
                workdir,
                f"a restart with other settings was begun, and {kept} holds what it was to replace",
                "run with the settings of either",
            )
        return "start", "restarted"

    def _refusal(self, workdir: Path, what: str, mend: str, at: Path | None = None) -> Refused:
        """`at`: the file at fault; None for the stage's folder."""
        return Refused(
            [Refusal(self.name, f"{at or workdir / self.name}: {what}", mend, self.holds(workdir))]
        )

    def holds(self, workdir: Path) -> str:
        """What a restart would give up, in words; "" where there are no checkpoints."""
        kept = aside.aside(workdir, self.name)
        return aside.describe_held(workdir / self.name) or aside.describe_held(kept)

    def _selected(self, previous: Marker) -> str:
        changes = describe_changes(previous.selection, as_json(self.selection))
        kept = f"; its step stays as it was selected, under other settings: {'; '.join(changes)}"
        return kept if changes else ""

    def _previous(self, workdir: Path) -> Marker | None:
        try:
            return read_marker(workdir / self.name / MARKER)
        except DamagedMarker:
            return None
