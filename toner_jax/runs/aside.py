"""What a restart replaces: moved aside until a checkpoint is in its place, and put back for who asks for it again."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from toner_jax.common.files import remove
from toner_jax.runs.marker import CHECKPOINTS
from toner_jax.training.manifests import DAMAGED, committed_steps, without_manifest


def aside(workdir: Path, stage: str) -> Path:
    """Where it is moved."""
    return workdir / f"{stage}.replaced"


def held_steps(folder: Path) -> list[int]:
    """The steps whose checkpoints a stage's folder holds, also those that have lost their manifest."""
    checkpoints = folder / CHECKPOINTS
    return sorted({*committed_steps(checkpoints), *without_manifest(checkpoints)})


def describe_held(folder: Path) -> str:
    """What giving up a folder would cost, in words; "" where it holds no checkpoints."""
    steps = held_steps(folder)
    listed = ", ".join(f"{step:,}" for step in steps)
    return f"{steps[-1]:,} trained steps (checkpoints of {listed})" if steps else ""


def clear(workdir: Path, stage: str, outputs: Iterable[str]) -> str:
    """Removes what an earlier run of a stage has left, but moves checkpoints aside, and leaves those that were found
    damaged where they are.

    Returns:
      What was moved, in words.
    """
    held, target = describe_held(workdir / stage), aside(workdir, stage)
    if held:
        _remove(target)
        (workdir / stage).rename(target)
    for output in outputs:
        _remove(workdir / output)
    return held


def settle(workdir: Path, stage: str) -> None:
    """Removes what was moved aside, once there is a checkpoint in its place."""
    if committed_steps(workdir / stage / CHECKPOINTS):
        remove(aside(workdir, stage))


def put_back(workdir: Path, stage: str) -> None:
    """Puts what was moved aside in the place of a restart that has no checkpoint yet."""
    _remove(workdir / stage)
    target = workdir / stage
    if target.exists():  # it keeps damaged checkpoints
        (target / DAMAGED).rename(aside(workdir, stage) / DAMAGED)
        target.rmdir()
    aside(workdir, stage).rename(target)


def _remove(path: Path) -> None:
    """Removes a file, or what is in a folder and the folder: of a link to a folder what is in that alone."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for inner in path.iterdir():
        if inner.name != DAMAGED:
            shutil.rmtree(inner) if inner.is_dir() and not inner.is_symlink() else inner.unlink()
    if not path.is_symlink() and not any(path.iterdir()):
        path.rmdir()
