"""The marker of a stage, `<stage>/stage.json`: what the stage was made from, and what vouches for its files.

A marker holds a digest of itself, and of every file that later stages and readers use its size and xxh3: what was
changed, cut or removed since is named, never used. Weights are vouched for through the manifest of their checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from toner_jax.common.files import file_damage, file_digest, write_atomically
from toner_jax.errors import UserError
from toner_jax.training.manifests import DAMAGED, MANIFESTS, step_damage

MARKER = "stage.json"
CHECKPOINTS = "checkpoints"  # in a stage's folder

# Everything that a stage's result depends on, as a flat dict.
Fingerprint = dict[str, Any]

_DIGEST = "digest"
# Written while a stage runs and read by nobody but people.
_UNREAD = ("skipped.jsonl", DAMAGED)


class DamagedMarker(UserError):
    """A marker's contents are not what was written."""

    def __init__(self, path: Path, reason: str):
        super().__init__(f"{path}: {reason}; start the run again, which says what it takes to mend it")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type[DamagedMarker], tuple[Path, str]]:
        return type(self), (self.path, self.reason)


@dataclass(frozen=True)
class Marker:
    """What a stage's marker says.

    Attributes:
      fingerprint: everything that its result depends on.
      selection: what its step was chosen under, besides.
      made_from: digests of what earlier stages made and this one has read, by name (`parts.part_digest`).
      made_with: versions, devices and cores, those of every start that differed from the one before
        (`toner_jax.runs.environment`): recorded and shown, they make no stage run again.
      result: what the stage's work returned.
      logged: the xxh3 of its lines in metrics.jsonl.
      files: (bytes, xxh3) of each file that it wrote and that is read later, by its path in the work directory.
    """

    fingerprint: Fingerprint
    selection: Fingerprint = field(default_factory=dict)
    made_from: Mapping[str, str] = field(default_factory=dict)
    made_with: Sequence[Mapping[str, Any]] = ({},)
    complete: bool = False
    result: Mapping[str, Any] = field(default_factory=dict)
    logged: str = ""
    files: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """A digest of what the stage made: its own, where its result has one, or else that of its files."""
        own = self.result.get("identity")
        return str(own) if own else digest_of(self.files)

    def write(self, path: Path) -> None:
        values = as_json(asdict(self))
        write_atomically(path, json.dumps({**values, _DIGEST: digest_of(values)}, indent=2) + "\n")


def as_json(values: Any) -> Any:
    """Values as JSON gives them back: tuples as lists."""
    return json.loads(json.dumps(values, default=list))


def digest_of(values: Any) -> str:
    """The xxh3 of a JSON value, whatever the order of its keys."""
    return xxhash.xxh3_64_hexdigest(json.dumps(values, sort_keys=True, default=list).encode())


def read_marker(path: Path) -> Marker | None:
    """What a stage's marker says; None where there is none.

    Raises:
      DamagedMarker: its contents are not what was written.
    """
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop(_DIGEST) != digest_of(values):
            raise ValueError("its contents are not what was written")
        return Marker(**values)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        reason = "not a marker" if isinstance(error, KeyError | AttributeError | TypeError) else str(error)
        raise DamagedMarker(path, f"damaged ({reason})") from error


def files_of(workdir: Path, outputs: Iterable[str], result: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """The files under a stage's outputs that its marker vouches for: all but those that no reader uses, and of
    checkpoints the manifest of the step that its result names."""
    found = [path for output in outputs for path in _walk(workdir / output)]
    if "step" in result:
        manifest = Path(CHECKPOINTS) / MANIFESTS / f"{result['step']}.json"
        found += [workdir / output / manifest for output in outputs if (workdir / output / manifest).exists()]
    return {
        str(path.relative_to(workdir).as_posix()): (path.stat().st_size, file_digest(path)) for path in found
    }


def _walk(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for inner in sorted(path.iterdir()):
            if inner.name not in (CHECKPOINTS, MARKER, *_UNREAD) and not inner.name.startswith("."):
                yield from _walk(inner)
    elif path.exists():
        yield path


def damage(workdir: Path, marker: Marker) -> str | None:
    """What is wrong with a complete stage's files, weights apart, or None."""
    for name, (size, digest) in marker.files.items():
        if found := file_damage(workdir / name, size, digest):
            return f"{workdir / name}: {found}"
    return None


def weights_damage(workdir: Path, marker: Marker) -> str | None:
    """What is wrong with the checkpoint that a complete stage vouches for, or None; reads all of it."""
    for manifest in (workdir / name for name in marker.files if Path(name).parent.name == MANIFESTS):
        checkpoints = manifest.parents[1]
        if found := step_damage(checkpoints, int(manifest.stem)):
            return f"{checkpoints / manifest.stem}: {found}"
    return None


def complete(workdir: Path, stage: str) -> Marker:
    """The marker of a complete stage.

    Raises:
      UserError: it is not complete.
      DamagedMarker: its marker is damaged.
    """
    marker = read_marker(workdir / stage / MARKER)
    if marker is None or not marker.complete:
        lost = "" if marker else f" (there is no {stage}/{MARKER})"
        raise UserError(f"{workdir}: its {stage} stage is not complete{lost}; finish the run first")
    return marker


def stage_result(workdir: Path, stage: str) -> Mapping[str, Any]:
    """What a complete stage recorded; raises as `complete`."""
    return complete(workdir, stage).result
