"""How the processes of a run come to see the files that the first one writes."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path

from toner_jax.common.files import write_atomically
from toner_jax.parallel import processes
from toner_jax.parallel.exchange import of_first
from toner_jax.runs.marker import CHECKPOINTS
from toner_jax.training.manifests import DAMAGED
from toner_jax.training.profile import FOLDER as PROFILE

_UNSENT = {CHECKPOINTS, DAMAGED, PROFILE}


def spread(workdir: Path, names: Iterable[str]) -> None:
    """Has every process find what the first has written into a work directory.

    Where they share files, it is there; NFS forgets what it has not found when a folder is listed. Where they do not,
    each has a folder of its own, and is sent what is under `names` but for checkpoints.
    """
    if not processes.share_files():
        send(workdir, names)
    elif processes.several():
        for folder in (workdir, *(path for path in workdir.iterdir() if path.is_dir())):
            os.listdir(folder)


def send(folder: Path, names: Iterable[str]) -> None:
    """Copies files of the first process's folder into that of each other one: what is under `names`, but for
    checkpoints."""
    if not processes.several():
        return
    data = of_first(lambda: pickle.dumps({name: path.read_bytes() for name, path in _under(folder, names)}))
    if not processes.is_first():
        for name, content in pickle.loads(data).items():
            write_atomically(folder / name, content)


def _under(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, Path]]:
    for name in names:
        found = folder / name
        for path in sorted(found.rglob("*")) if found.is_dir() else [found]:
            inside = path.relative_to(folder)
            if path.is_file() and not _UNSENT & set(inside.parts):
                yield str(inside), path
