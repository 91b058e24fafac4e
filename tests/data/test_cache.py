"""Data that are cached between runs: used when nothing changed that reading looks at, read anew when anything did."""

from __future__ import annotations

import ast
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import toner_jax
from toner_jax.common import cache
from toner_jax.config import base
from toner_jax.data import load
from toner_jax.data.options import DataOptions
from toner_jax.errors import UserError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stress"))
import changed_data

SPLITS = ("train", "dev", "test")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small data set, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    data = tmp_path / "data"
    for place in (data, tmp_path / "home", tmp_path / "beside"):
        place.mkdir()
    for split in SPLITS:
        (data / f"{split}.txt").write_text(f"{split} O\nAjax B-person\nu2028:\u2028x I-person\n\n")
    (tmp_path / "home" / "schema.json").write_text('{"person": "someone"}')
    return data


def config(folder: Path, **changes):
    data = base().data
    data.update({"name": "mine", "format": "columns", "dir": str(folder), **changes})
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


def test_without_the_cache_nothing_is_written(folder, reads):
    for _ in range(2):
        load.load_dataset(config(folder, cache=False))
    assert len(reads) == 2
    assert not (folder.parent / "cache").exists()


# Every way in which what is read may change. Sizes and times stay where a copy would keep them.


def as_before(path: Path, text: str, written: Path | None = None) -> None:
    status = path.stat()
    (written or path).write_text(text)
    assert (written or path).stat().st_size == status.st_size
    os.utime(written or path, ns=(status.st_atime_ns, status.st_mtime_ns))
    if written:
        os.replace(written, path)


def same_size_and_time(data: Path) -> None:  # cp -p
    as_before(data / "dev.txt", (data / "dev.txt").read_text().replace("Ajax", "Ajay"))


def another_file_of_the_same_size_and_time(data: Path) -> None:  # rsync -t
    as_before(data / "dev.txt", (data / "dev.txt").read_text().replace("Ajax", "Ajay"), data / "written")


def a_file_outside(data: Path) -> None:
    path = data.parent / "beside" / "dev.txt"
    as_before(path, path.read_text().replace("Ajax", "Ajay"))


def a_link(data: Path) -> None:
    (data / "link.txt").unlink()
    (data / "link.txt").symlink_to("../beside/other.txt")


def a_linked_folder(data: Path) -> None:
    (data / "to").unlink()
    (data / "to").symlink_to("../beside/deeper")


def a_file_that_comes_first(data: Path) -> None:
    shutil.copy2(data / "dev.txt", data / "first.txt")
    as_before(data / "first.txt", (data / "dev.txt").read_text().replace("Ajax", "Ajay"))


def the_first_is_gone(data: Path) -> None:
    (data / "test.txt").unlink()


def the_schema(data: Path) -> None:
    as_before(data.parent / "home" / "schema.json", '{"person": "anybody"}')


def the_home(data: Path) -> None:
    other = data.parent / "other"
    shutil.copytree(data.parent / "home", other)
    as_before(other / "schema.json", '{"person": "anybody"}')
    os.environ["HOME"] = str(other)


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        (same_size_and_time, {}),
        (another_file_of_the_same_size_and_time, {}),
        (a_file_outside, {"dev": "../beside/dev.txt"}),
        (a_file_outside, {"dev": "{beside}/dev.txt"}),
        (a_link, {"dev": "link.txt"}),
        (a_linked_folder, {"dev": "to/dev.txt"}),
        (a_file_that_comes_first, {"dev": "first.txt,dev.txt"}),
        (the_first_is_gone, {"test": "test.txt,../beside/test.txt"}),
        (the_schema, {"schema": "~/schema.json"}),
        (the_schema, {"schema": "../home/schema.json", "dir": "../data"}),
        (the_home, {"schema": "~/schema.json"}),
    ],
)
def test_what_changed_is_read_anew(folder, monkeypatch, change, keys):
    beside = folder.parent / "beside"
    for split in SPLITS:
        (beside / f"{split}.txt").write_text("beside O\nAjax B-person\n\n")
    (beside / "other.txt").write_text("others O\nAjax B-person\n\n")
    shutil.copytree(beside, beside / "deeper")
    (beside / "deeper" / "dev.txt").write_text("deeper O\nAjax B-person\n\n")
    (folder / "link.txt").symlink_to("../beside/dev.txt")
    (folder / "to").symlink_to("../beside")
    monkeypatch.chdir(folder)
    keys = {key: value.format(beside=beside) for key, value in keys.items()}
    options = replace(config(folder, schema="", train="", dev="", test=""), **keys)
    first = load.load_dataset(options)
    assert load.load_dataset(options) == first
    change(folder)
    second = load.load_dataset(options)
    assert second != first
    assert second == load.load_dataset(replace(options, cache=False))


@pytest.mark.parametrize("given", ["", "../beside/names.txt"])
def test_a_changed_companion(folder, given):
    """Names of numbered tags beside the data, or where the option says."""
    names = folder / given if given else folder / "labels.txt"
    names.write_text("O\nB-person\nI-person\n")
    for split in SPLITS:
        (folder / f"{split}.txt").write_text(f"{split} 0\nAjax 1\n\n")
    options = config(folder, tag_names=(given,) if given else ())
    assert load.load_dataset(options).schema.names == ("person",)
    as_before(names, "O\nB-animal\nI-animal\n")
    assert load.load_dataset(options).schema.names == ("animal",)
    if not given:
        (folder / "label.json").write_text('{"O": 0, "B-place": 1}')
        with pytest.raises(UserError, match="remove one of the files"):
            load.load_dataset(options)


def test_relative_paths_are_of_the_working_folder(folder, monkeypatch):
    shutil.copytree(folder, folder.parent / "beside" / "data")
    as_before(folder / "dev.txt", (folder / "dev.txt").read_text().replace("Ajax", "Ajay"))
    for place, name in (("beside", "Ajax"), (".", "Ajay"), ("beside", "Ajax")):
        monkeypatch.chdir(folder.parent / place)
        assert load.load_dataset(config(Path("data"))).splits["dev"][0].words[1] == name


def test_what_is_only_touched_or_not_looked_at_is_no_change(folder, reads):
    load.load_dataset(config(folder))
    os.utime(folder / "dev.txt", ns=(1, 1))
    (folder / "notes.md").write_text("not data")
    load.load_dataset(config(folder))
    assert len(reads) == 1
    load.load_dataset(config(folder, token_column=-2))
    assert len(reads) == 2


def test_a_file_that_changes_while_it_is_read_is_not_cached(folder, reads, monkeypatch):
    """Without a schema, files are read twice: for their labels, and for their sentences."""
    real = load._load

    def changed(options, splits):
        dataset = real(options, splits)
        (folder / "dev.txt").write_text("dev O\nLater B-person\n")
        real(options, splits)
        return dataset

    monkeypatch.setattr(load, "_load", changed)
    load.load_dataset(config(folder))
    monkeypatch.setattr(load, "_load", real)
    assert load.load_dataset(config(folder)).splits["dev"][0].words == ("dev", "Later")
    assert len(reads) == 2


@pytest.mark.parametrize("layout", changed_data.LAYOUTS)
def test_random_changes(tmp_path, layout):
    """The short form of tests/stress/changed_data.py."""
    counts = changed_data.run(tmp_path, layout, changes=20, seed=1)
    assert counts["other"] >= 5
    assert 0 < counts["error"] < 18


def test_the_stress_test_would_notice(tmp_path, monkeypatch):
    monkeypatch.setattr(load.reads, "still_holds", lambda answers: True)
    with pytest.raises(AssertionError, match="change_letters"):
        changed_data.run(tmp_path, changed_data.columns, changes=40, seed=1)


# Links and what is no file.


def test_folders_that_links_lead_to_are_read_and_circles_end(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for place in ("train", "dev", "test", "linked"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.txt").write_text(f"Ajax in {place}\n")
        (tmp_path / place / "a.ann").write_text("T1\tperson 0 4\tAjax\n")
    (tmp_path / "train" / "more").symlink_to("../linked")
    (tmp_path / "linked" / "round").symlink_to("../train")
    (tmp_path / "train" / "itself").symlink_to(".")
    options = replace(config(tmp_path), format="brat", train="", dev="", test="")
    for _ in range(2):
        assert [s.doc_id for s in load.load_dataset(options).splits["train"]] == ["a", "more/a"]
    (tmp_path / "linked" / "a.ann").write_text("")
    assert [len(s.entities) for s in load.load_dataset(options).splits["train"]] == [1, 0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("where", ["train/b.ann", "schema.json"])
def test_a_pipe_is_not_opened(folder, where):
    shutil.rmtree(folder)
    for split in SPLITS:
        (folder / split).mkdir(parents=True)
        (folder / split / "a.txt").write_text("Ajax\n")
        (folder / split / "a.ann").write_text("T1\tperson 0 4\tAjax\n")
    (folder / "train" / "b.txt").write_text("Ajax\n")
    os.mkfifo(folder / where)
    options = config(folder, format="brat", train="", dev="", test="", schema=str(folder / "schema.json"))
    if where != "schema.json":
        options = replace(options, schema="")
    with pytest.raises(UserError, match=rf"{where}: cannot .*\(a pipe, socket or device, not a file; save"):
        load.load_dataset(options)


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_no_empty_one(tmp_path):
    locked = tmp_path / "train" / "locked"
    locked.mkdir(parents=True)
    locked.chmod(0)
    with pytest.raises(UserError, match=r"/locked: cannot be listed"):
        load.reads.files_below(tmp_path / "train", [".ann"])
    locked.chmod(0o700)


# The record is of all that readers look at.

_ASKING = {
    "read_text", "read_bytes", "open", "is_file", "is_dir", "exists", "samefile", "stat", "lstat", "glob", "rglob",
    "iterdir", "listdir", "scandir", "walk", "readlink",
}  # fmt: skip


def test_readers_look_at_files_in_one_place_only():
    """What writes may: functions of that name; and what the work directory keeps, and explanations, are not cached."""
    found = []
    package = Path(toner_jax.__file__).parent
    for path in [*sorted((package / "data").rglob("*.py")), package / "schema.py"]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        writers = [
            n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name.startswith("write_")
        ]
        allowed = {id(node) for writer in writers for node in ast.walk(writer)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and id(node) not in allowed:
                method, owner = getattr(node.func, "attr", ""), getattr(node.func, "value", None)
                if (method in _ASKING and ast.unparse(owner) != "reads") or ast.unparse(node.func) == "open":
                    found.append(f"{path.relative_to(package)}: {ast.unparse(node)}")
    assert found == [
        "data/explanations.py: path.read_text(encoding='utf-8')",
        # Of the library's own reading, which is never cached.
        "data/formats/hub.py: folder.is_dir()",
        "data/sentences.py: path.read_text(encoding='utf-8')",
    ]


@pytest.mark.parametrize(
    ("source", "counts"),
    [
        ("data/find.py", True),
        ("data/formats/columns.py", True),
        ("data/corpora/ace.py", True),
        ("data/formats/deeper/new.py", True),
        ("text/words.py", True),
        ("common/reads.py", True),
        ("atoms.py", True),
        ("schema.py", True),
        ("losses.py", False),
        ("data/notes.txt", False),
    ],
)
def test_a_changed_reader_is_another_digest(tmp_path, source, counts):
    package = tmp_path / "toner_jax"
    for folder in ("common", "data", "text"):
        shutil.copytree(cache.PACKAGE / folder, package / folder)
    for file in ("schema.py", "atoms.py"):
        shutil.copy(cache.PACKAGE / file, package)
    before = cache.sources_digest(package)
    assert before == cache.sources_digest(cache.PACKAGE)
    (package / source).parent.mkdir(exist_ok=True)
    with (package / source).open("a") as file:
        file.write("# changed\n")
    assert (cache.sources_digest(package) != before) == counts
