"""Data that change in every way a file can: what is read with the cache is what is read without it.

    python tests/stress/changed_data.py --rounds=200

Files in and beside the data folder are changed at random, one change after the other: other bytes of the same size
and time (`cp -p`), another file in its place (`rsync -t`), removed, copied to a name that comes first, swapped, links
turned elsewhere or in a circle. After each the data are read with and without the cache: the same sentences, repairs
and notes, or the same error.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from toner_jax.config import base
from toner_jax.data import load
from toner_jax.data.options import DataOptions
from toner_jax.errors import UserError

ROWS = "{name} O\nAjax B-person\nsaw O\nOslo B-place\n\nLater O\n{name} O\n\n"
NUMBERED = "{name} 0\nAjax 1\nsaw 0\nOslo 2\n\n"
NAMES = {"O": 0, "B-person": 1, "B-place": 2, "I-person": 3}
SPLITS = ("train", "dev", "test")
PLACES = ("data", "beside", "home")
# What files that are added may be called: names that come before others, companions, documents.
NEW = (
    "first.txt",
    "valid.txt",
    "devel.txt",
    "label.json",
    "labels.txt",
    "train.jsonl",
    "a.ann",
    "a.txt",
    "b.gold_conll",
)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def columns(folder: Path) -> dict[str, Any]:
    """Candidates for train, dev beside the data folder, a test file that is a link, the schema in the home folder."""
    write(folder / "data" / "train.txt", ROWS.format(name="train"))
    write(folder / "beside" / "dev.txt", ROWS.format(name="devel"))
    write(folder / "beside" / "test.txt", ROWS.format(name="tests"))
    write(folder / "beside" / "other.txt", ROWS.format(name="other"))
    write(folder / "home" / "schema.json", json.dumps({"person": "People.", "place": "Places."}))
    (folder / "data" / "test.txt").symlink_to("../beside/test.txt")
    absolute = str(folder / "beside" / "absent.txt")
    names = {"train": "first.txt,train.txt", "dev": f"{absolute},../beside/dev.txt", "test": "test.txt"}
    return {"name": "mine", "schema": "~/schema.json", "format": "columns", **names}


def numbered(folder: Path) -> dict[str, Any]:
    """Tags that are numbers, whose names lie beside the data."""
    for split in SPLITS:
        write(folder / "data" / f"{split}.txt", NUMBERED.format(name=split))
    write(folder / "data" / "label.json", json.dumps(NAMES))
    return {"name": "mine", "format": "auto"}


def brat(folder: Path) -> dict[str, Any]:
    """Documents with their annotation beside them, some in a folder that a link leads to."""
    for split in SPLITS:
        for place in (folder / "data" / split, folder / "beside" / split):
            for name in ("a", "b"):
                write(place / f"{name}.txt", f"Ajax saw Oslo in {split} {name}.\n")
                write(place / f"{name}.ann", "T1\tperson 0 4\tAjax\nT2\tplace 9 13\tOslo\n")
    (folder / "data" / "train" / "more").symlink_to("../../beside/train")
    (folder / "data" / "train" / "round").symlink_to("..")
    return {"name": "mine", "format": "auto"}


LAYOUTS: tuple[Callable[[Path], dict[str, Any]], ...] = (columns, numbered, brat)


@contextmanager
def environment(folder: Path) -> Iterator[None]:
    """Within, the home folder, the working folder and the caches are in a folder."""
    before, at = dict(os.environ), Path.cwd()
    os.environ.update(HOME=str(folder / "home"), XDG_CACHE_HOME=str(folder / "cache"))
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(at)
        os.environ.clear()
        os.environ.update(before)


def options_of(layout: Callable[[Path], dict[str, Any]], folder: Path) -> DataOptions:
    """Makes the files of a layout; how they are read."""
    data = base().data
    data.update({"dir": "data", "train": "", "dev": "", "test": "", "schema": "", **layout(folder)})
    return DataOptions.from_section(data)


def outcome(options: DataOptions) -> Any:
    """All that is read, or the error."""
    try:
        dataset = load.load_dataset(options)
    except (UserError, OSError) as error:
        return str(error)
    repairs = {split: (its.to_json(), its.scheme) for split, its in dataset.repairs.items()}
    return dataset.schema, dataset.splits, repairs, dataset.notes, dataset.edges


# Changes. Each leaves sizes and times as they were, where it can.


def files(folder: Path) -> list[Path]:
    """Files and links that may be changed."""
    found = [p for name in PLACES for p in (folder / name).rglob("*")]
    return sorted(p for p in found if p.is_symlink() or p.is_file())


def overwrite(path: Path, data: bytes, anew: bool = False) -> None:
    """Other content, at the same time; `anew` in a file of its own that takes the path."""
    status = path.stat()
    written = path.with_name("written") if anew else path
    written.write_bytes(data)
    os.utime(written, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(written, path)


def change_letters(folder: Path, path: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    old, new = rng.choice(
        [(b"Ajax", b"Ajay"), (b"Ajay", b"Ajax"), (b"saw", b"met"), (b"Oslo", b"Rome"), (b"O", b"o")]
    )
    overwrite(path, data.replace(old, new), anew=rng.random() < 0.5)


def swap(folder: Path, path: Path, rng: random.Random) -> None:
    other = rng.choice(files(folder))
    if other.is_file():
        mine, its = path.read_bytes(), other.read_bytes()
        overwrite(path, its)
        overwrite(other, mine)


def remove(folder: Path, path: Path, rng: random.Random) -> None:
    path.unlink()


def copy(folder: Path, path: Path, rng: random.Random) -> None:
    target = rng.choice(files(folder)).parent / rng.choice(NEW)
    if not os.path.lexists(target):
        shutil.copy2(path, target)


def turn(folder: Path, path: Path, rng: random.Random) -> None:
    """A link in its place, to another file, to nowhere or to itself."""
    target = rng.choice([*files(folder), folder / "nowhere", path])
    path.unlink()
    path.symlink_to(target)


def link_folder(folder: Path, path: Path, rng: random.Random) -> None:
    """A link to a folder, which may be one above it."""
    link = path.parent / "linked"
    if not link.is_symlink():
        link.symlink_to(rng.choice(files(folder)).parent)


def unlink_folder(folder: Path, path: Path, rng: random.Random) -> None:
    for link in folder.rglob("linked"):
        link.unlink()


def mend(folder: Path, path: Path, rng: random.Random) -> None:
    """All as it was made, so that what follows is not an error among errors."""
    for name in PLACES:
        shutil.rmtree(folder / name)
        shutil.copytree(folder / "as made" / name, folder / name, symlinks=True)


CHANGES = (change_letters, swap, remove, copy, turn, link_folder, unlink_folder, mend)


def run(folder: Path, layout: Callable[[Path], dict[str, Any]], changes: int, seed: int) -> dict[str, int]:
    """Changes the data of a layout so often; how often the reading was another one, and how often an error.

    Raises:
      AssertionError: the cache gave something else than the files.
    """
    rng = random.Random(seed)
    counts = {"other": 0, "error": 0}
    with environment(folder):
        for name in PLACES:
            (folder / name).mkdir()
        options = options_of(layout, folder)
        for name in PLACES:
            shutil.copytree(folder / name, folder / "as made" / name, symlinks=True)
        last = outcome(replace(options, cache=False))
        done: list[str] = []
        for _ in range(changes):
            outcome(options)  # an entry of how it was
            there = [p for p in files(folder) if p.is_file()]
            change = rng.choices(CHANGES, (6, 3, 1, 2, 2, 1, 1, 3))[0] if there else mend
            path = rng.choice(there or [folder])
            change(folder, path, rng)
            done.append(f"{change.__name__} {path.relative_to(folder)}")
            cached, plain = outcome(options), outcome(replace(options, cache=False))
            assert cached == plain, (
                f"{layout.__name__}, seed {seed}: {'; '.join(done)}: {cached} is not {plain}"
            )
            counts["other"] += plain != last
            counts["error"] += isinstance(plain, str)
            last = plain
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--changes", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for layout in LAYOUTS:
        total = {"other": 0, "error": 0}
        for seed in range(arguments.seed, arguments.seed + arguments.rounds):
            with tempfile.TemporaryDirectory() as folder:
                counts = run(Path(folder).resolve(), layout, arguments.changes, seed)
            total = {key: total[key] + count for key, count in counts.items()}
        print(f"{layout.__name__}: {arguments.rounds * arguments.changes} changes, {total}")


if __name__ == "__main__":
    main()
