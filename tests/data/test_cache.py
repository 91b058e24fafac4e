"""What is cached between runs: used when nothing changed, made again when anything did."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from toner_jax.common import cache
from toner_jax.config import base
from toner_jax.data import load
from toner_jax.data.options import DataOptions
from toner_jax.text import ids
from toner_jax.text.ids import WordIds


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small data set, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "dev", "test"):
        (data / f"{split}.txt").write_text(f"{split} O\nAjax B-person\nu2028:\u2028x I-person\n\n")
    return data


def config(folder: Path, **changes):
    data = base().data
    data.update(name="wnut17", dir=str(folder), **changes)
    return DataOptions.from_section(data)


@pytest.fixture
def reads(monkeypatch):
    """How often data were read from their own files."""
    calls: list[str] = []
    real = load._load_and_compare

    def counted(data, splits):
        calls.append(data.dir)
        return real(data, splits)

    monkeypatch.setattr(load, "_load_and_compare", counted)
    return calls


def test_data_are_read_once(folder, reads):
    first = load.load_dataset(config(folder))
    again = load.load_dataset(config(folder))
    assert len(reads) == 1
    assert again == first
    assert first.splits["dev"][0].words[2] == "u2028:\u2028x"
    assert load.load_dataset(config(folder), ["dev"]).splits == {"dev": first.splits["dev"]}
    assert len(reads) == 2
    load.load_dataset(config(folder, cache=False))
    assert len(reads) == 3


@pytest.mark.parametrize("change", ["content", "new file", "touched", "schema file", "key"])
def test_what_changed_is_read_anew(folder, reads, change, tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text('{"person": "someone"}')
    first = load.load_dataset(config(folder, schema=str(schema)))
    keys: dict = {"schema": str(schema)}
    if change == "content":
        (folder / "dev.txt").write_text("dev O\nOther B-person\n")
    elif change == "new file":
        (folder / "more.txt").write_text("")
    elif change == "touched":
        os.utime(folder / "dev.txt", ns=(1, 1))
    elif change == "schema file":
        schema.write_text('{"person": "somebody"}')
    else:
        keys["token_column"] = -2
    second = load.load_dataset(config(folder, **keys))
    assert len(reads) == 2
    assert (second == first) == (change in ("new file", "touched", "key"))


@pytest.mark.parametrize(
    ("source", "counts"),
    [
        ("data/find.py", True),
        ("data/formats/columns.py", True),
        ("data/corpora/ace.py", True),
        ("data/formats/deeper/new.py", True),
        ("text/words.py", True),
        ("schema.py", True),
        ("losses.py", False),
        ("data/notes.txt", False),
    ],
)
def test_a_changed_reader_is_another_digest(tmp_path, source, counts):
    package = tmp_path / "toner_jax"
    for folder in ("data", "text"):
        shutil.copytree(cache.PACKAGE / folder, package / folder)
    shutil.copy(cache.PACKAGE / "schema.py", package)
    before = cache.sources_digest(package)
    assert before == cache.code_digest()
    (package / source).parent.mkdir(exist_ok=True)
    with (package / source).open("a") as file:
        file.write("# changed\n")
    assert (cache.sources_digest(package) != before) == counts


def entries(folder: Path) -> list[Path]:
    return sorted((folder.parent / "cache" / "toner_jax" / "data").iterdir())


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "no manifest"])
def test_a_damaged_entry_is_made_again(folder, reads, damage):
    first = load.load_dataset(config(folder))
    (entry,) = entries(folder)
    file = entry / ("manifest.json" if damage == "no manifest" else "dev.jsonl")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-30])
    elif damage == "changed":
        file.write_text(file.read_text().replace("Ajax", "Ajay"))
    else:
        file.unlink()
    assert load.load_dataset(config(folder)) == first
    assert len(reads) == 2
    assert load.load_dataset(config(folder)) == first
    assert len(reads) == 2


def test_a_cache_that_cannot_be_written_is_no_error(folder, reads, monkeypatch):
    (folder.parent / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent / "file"))
    assert load.load_dataset(config(folder)) == load.load_dataset(config(folder))
    assert len(reads) == 2


def _make(barrier, home: str, value: int, results) -> None:
    os.environ["XDG_CACHE_HOME"] = home
    barrier.wait()
    for k in range(20):
        found = cache.cached(
            "numbers",
            f"key{k}",
            lambda: np.arange(50_000),
            lambda array, entry: np.save(entry / "a.npy", array),
            lambda entry: np.load(entry / "a.npy"),
        )
        results.put((value, bool((found == np.arange(50_000)).all())))


def test_two_processes_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    workers = [context.Process(target=_make, args=(barrier, str(tmp_path), i, results)) for i in range(2)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=60) for _ in range(40)]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert all(good for _, good in found)
    folder = tmp_path / "toner_jax" / "numbers"
    assert len(list(folder.iterdir())) == 20  # and nothing half written beside them
    for entry in folder.iterdir():
        cache._check(entry)


def test_entries_unused_for_longest_go(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "_MOST_ENTRIES", 3)

    def get(key: str) -> None:
        cache.cached(
            "x", key, lambda: key, lambda v, e: (e / "v").write_text(v), lambda e: (e / "v").read_text()
        )
        os.utime(tmp_path / "toner_jax" / "x" / key, (get.now, get.now))
        get.now += 10

    get.now = 1_000_000_000
    for key in "abcade":
        get(key)
    assert sorted(p.name for p in (tmp_path / "toner_jax" / "x").iterdir()) == ["a", "d", "e"]


class CountingTokenizer:
    pad_id, eos_id, unk_id, vocab_size, digest = 0, 1, 2, 100, "d"
    calls = 0

    def encode(self, strings):
        self.calls += len(strings) > 10
        return [tuple(range(len(s) % 5)) or (7,) for s in strings]

    def piece(self, id):
        return "▁" if id else "▁["


def test_pieces_of_many_words_are_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(ids, "_MANY", 50)
    monkeypatch.setattr(WordIds, "glued", lambda self, text: (1,))
    words = [f"w{i}" * (i % 3) for i in range(100)]
    found = []
    tokenizer = CountingTokenizer()
    for _ in range(2):
        word_ids = WordIds(tokenizer)  # type: ignore[arg-type]
        word_ids.prepare(words)
        found.append([word_ids.word(w) for w in words])
    assert found[0] == found[1]
    assert tokenizer.calls == 2  # with what stands before them, and alone
    tokenizer.digest = "another"
    WordIds(tokenizer).prepare(words)  # type: ignore[arg-type]
    assert tokenizer.calls == 4
