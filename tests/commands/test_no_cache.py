"""`--no-cache`, and what commands keep of what they read."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import toner_jax
from toner_jax.commands.app import main

PACKAGE = Path(toner_jax.__file__).parent
ROWS = "Quixote B-person\nrode O\n\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    for split in ("train", "dev", "test"):
        (tmp_path / "data" / f"{split}.txt").write_text(split + " O\n" + ROWS)
    return tmp_path


def kept(folder: Path) -> list[str]:
    """The files that hold a word of the data."""
    files = [p for p in (folder / "cache").rglob("*") if p.is_file()]
    return [str(p.relative_to(folder / "cache").parent) for p in files if b"Quixote" in p.read_bytes()]


@pytest.mark.parametrize(
    ("flags", "entries"),
    [
        ([], ["toner_jax/data"]),
        (["--no-cache"], []),
        (["--config.data.cache=True", "--no-cache"], []),
        (["--config.data.cache=False"], []),
    ],
)
def test_stats_keeps_the_data_unless_told_not_to(folder, capsys, flags, entries):
    figures = []
    for _ in range(2):
        assert (
            main(["stats", "--config=custom", f"--config.data.dir={folder / 'data'}", "--json", *flags]) == 0
        )
        figures.append(capsys.readouterr().out)
    assert figures[0] == figures[1]
    assert kept(folder) == entries


def test_what_schema_reads_is_not_kept(folder, capsys):
    for name, flags in (("a.json", []), ("b.json", ["--no-cache"])):
        source, target = folder / "data" / "train.txt", folder / name
        assert main(["schema", f"--input={source}", f"--output={target}", *flags]) == 0
    assert (folder / "a.json").read_text().replace('"a"', '"b"') == (folder / "b.json").read_text()
    assert kept(folder) == []


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("train", ["--config=custom"]),
        ("stats", ["--config=custom"]),
        ("schema", ["--input=a", "--output=b.json"]),
    ],
)
def test_it_is_a_key_of_the_configuration(command, flags):
    read = importlib.import_module(f"toner_jax.commands.{command}")._read
    assert read([*flags, "--no-cache"]).keys == [("data.cache", "False")]
    assert read(flags).keys == []


@pytest.mark.parametrize(
    ("command", "flags"),
    [("evaluate", ["--workdir=a"]), ("predict", ["--model=a", "--input=b"])],
)
def test_commands_that_keep_nothing_take_it_too(command, flags):
    read = importlib.import_module(f"toner_jax.commands.{command}")._read
    assert read([*flags, "--no-cache"]).keys == read(flags).keys == []


def test_only_data_sets_and_programs_are_kept():
    """No text that `predict`, `Ner` or `evaluate --input` reads: nothing else writes entries, and programs have none
    (tests/inference/test_kept_programs.py)."""
    found = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if "cache.store(" in path.read_text(encoding="utf-8")
    ]
    assert found == ["data/load.py", "inference/kept_programs.py"]
