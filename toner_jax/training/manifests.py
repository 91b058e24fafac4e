"""The manifests beside checkpoints: what vouches for the files of a step, and which steps there are.

Orbax restores flipped bits without a word, so every file of a step is listed with its size and xxh3 once the step is
committed. Before a step is written, `manifests/STEP.begun` says so, and it goes once the manifest is there: what a kill
left half written is told from a step whose manifest was lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from toner_jax.common.files import file_damage

MANIFESTS = "manifests"
BEGUN = ".begun"
# In the stage's folder: steps that were found damaged, kept for whoever can mend them.
DAMAGED = "damaged"


def committed_steps(directory: Path) -> list[int]:
    """The steps under a directory that were committed, damaged or not."""
    manifests = directory / MANIFESTS
    return sorted(
        int(p.stem) for p in manifests.glob("*.json") if p.stem.isdigit() and (directory / p.stem).is_dir()
    )


def step_damage(directory: Path, step: int) -> str | None:
    """What is wrong with a step's files, or None; reads all of them."""
    manifest = directory / MANIFESTS / f"{step}.json"
    try:
        listed = json.loads(manifest.read_text(encoding="utf-8")).items()
        expected = {name: (int(size), str(digest)) for name, (size, digest) in listed}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        return f"its manifest {manifest.name} cannot be read ({error})"
    root = directory / str(step)
    for name, (size, digest) in expected.items():
        if found := file_damage(root / name, size, digest):
            return f"{name} {'is' if found == 'missing' else 'has'} {found}"
    # What a file manager or a network file system leaves is hidden, and no reader looks at it.
    visible = (
        [name for name, path in files_under(root).items() if not path.name.startswith(".")]
        if root.is_dir()
        else []
    )
    extra = sorted(set(visible) - set(expected))
    return f"{extra[0]} does not belong to it" if extra else None


def without_manifest(directory: Path) -> list[int]:
    """The steps under a directory that were written whole and have lost their manifest."""
    if not directory.is_dir():
        return []
    manifests, committed = directory / MANIFESTS, set(committed_steps(directory))
    found = [int(p.name) for p in directory.iterdir() if p.name.isdigit() and p.is_dir()]
    return sorted(s for s in found if s not in committed and not (manifests / f"{s}{BEGUN}").exists())


def files_under(root: Path) -> dict[str, Path]:
    """Every file under a folder, by its path in it."""

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                yield from walk(path)
            else:
                yield path

    return {str(path.relative_to(root)): path for path in walk(root)}
