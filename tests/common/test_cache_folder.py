"""The user's cache: entries whole or absent, private, bounded, without leftovers of dead processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from filelock import FileLock

from toner_jax.common import cache

posix = pytest.mark.skipif(os.name != "posix", reason="no modes here")
A_DAY_AGO = time.time() - 90_000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where entries of the kind "x" lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "toner_jax" / "x"


def names(folder: Path) -> list[str]:
    """What lies in `folder`; nothing where a writer was killed before it made the folder."""
    return sorted(p.name for p in folder.glob("*") if p.name != ".lock")


def test_an_entry_is_replaced(folder):
    assert cache.fetch("x", "a") is None
    for data in (b"one", b"", b"three"):
        cache.store("x", "a", data)
        assert cache.fetch("x", "a") == data
    assert names(folder) == ["a"]


@pytest.mark.parametrize("damage", ["cut", "changed", "emptied", "gone", "a folder"])
def test_a_damaged_entry_is_absent_and_made_again(folder, damage):
    cache.store("x", "a", b"some bytes")
    path = folder / "a"
    whole = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "gone":
        changed = {"cut": whole[:-1], "changed": whole[:-1] + b"X", "emptied": b""}
        path.write_bytes(changed[damage])
    assert cache.fetch("x", "a") is None
    cache.store("x", "a", b"some bytes")
    assert cache.fetch("x", "a") == b"some bytes"


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache.store("x", "a", b"1")
    assert cache.fetch("x", "a") is None


def test_entries_unused_for_longest_go(folder, monkeypatch):
    monkeypatch.setattr(cache, "MOST_BYTES", 3 * 116)
    for now, key in enumerate("abcade", 1_000_000_000):
        if cache.fetch("x", key) is None:
            cache.store("x", key, bytes(100))
        os.utime(folder / key, (now, now))
    assert names(folder) == ["a", "d", "e"]
    cache.store("x", "large", bytes(400))
    assert names(folder) == ["a", "d", "e"]


# Who may read and write it.


@posix
def test_nobody_else_may_read_it(folder):
    umask = os.umask(0)
    try:
        cache.store("x", "a", b"1")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "a").stat().st_mode) == 0o600


@posix
def test_one_that_was_open_to_read_is_shut(folder):
    (folder / "deeper").mkdir(parents=True)
    (folder / "deeper" / "a").write_text("1")
    (folder.parent / "file").write_text("1")
    outside = folder.parents[1] / "outside"
    outside.write_text("mine")
    (folder.parent / "link").symlink_to(outside)
    (folder / "open").write_text("whose?")
    (folder / "open").chmod(0o666)
    for path in (folder.parent, folder, folder / "deeper"):
        path.chmod(0o755)
    for path in (outside, folder.parent / "file", folder / "deeper" / "a"):
        path.chmod(0o644)
    assert cache.private_folder("y") == folder.parent / "y"
    assert {stat.S_IMODE(p.stat().st_mode) for p in (folder.parent, folder, folder / "deeper")} == {0o700}
    assert stat.S_IMODE((folder.parent / "file").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "deeper" / "a").stat().st_mode) == 0o600
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644
    assert names(folder) == ["deeper"]


@posix
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
@pytest.mark.parametrize("which", ["", "x"])
def test_one_that_others_may_write_to_is_not_used(folder, caplog, mode, which):
    open_one = folder.parent / which
    open_one.mkdir(parents=True)
    open_one.chmod(mode)
    for _ in range(2):
        cache.store("x", "a", b"1")
        assert cache.fetch("x", "a") is None
    assert not (folder / "a").exists()
    (line,) = caplog.messages
    assert line.startswith(f"{open_one}: not used as a cache, as others may write to it; remove it, or")


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root makes files of another user")
def test_one_of_another_user_is_not_used(folder, caplog):
    folder.parent.mkdir()
    os.chown(folder.parent, 12345, 12345)
    cache.store("x", "a", b"1")
    assert not folder.exists()
    (line,) = caplog.messages
    assert "not used as a cache, as it is another user's; " in line


# Several processes, and their ends.


def _make(barrier, home: str, results) -> None:
    os.environ["XDG_CACHE_HOME"] = home
    barrier.wait()
    for k in range(20):
        data = bytes([k]) * 100_000
        cache.store("x", f"key{k}", data)
        results.put(cache.fetch("x", f"key{k}") == data)


def test_two_processes_at_once(folder):
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    workers = [
        context.Process(target=_make, args=(barrier, str(folder.parents[1]), results)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    assert all(results.get(timeout=60) for _ in range(40))
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert len(names(folder)) == 20


WRITER = """
import os, sys
from toner_jax.common import cache
print("ready", flush=True)
for k in range(10_000):
    cache.store("x", "a", bytes([k % 256]) * 5_000_000)
"""


@pytest.mark.slow
def test_killed_while_it_writes(folder, monkeypatch):
    """At many moments of writing: the entry is whole or absent, and what is left goes with the next process."""
    left = trial = 0
    while trial < 8 or (
        not left and trial < 100
    ):  # a fast disk may end each of eight writes before its signal
        process = subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.01 + 0.013 * (trial % 8))
        while trial >= 4 and not any(name.endswith(".tmp") for name in names(folder)):
            time.sleep(0)
        trial += 1
        process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
        process.communicate()
        left += any(name.endswith(".tmp") for name in names(folder))
        cache._tidy_once.cache_clear()
        found = cache.fetch("x", "a")
        assert found is None or (len(found) == 5_000_000 and len(set(found)) == 1)
        assert names(folder) in ([], ["a"])
    assert left > 0  # or else nothing was interrupted


@pytest.mark.parametrize("ending", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_interrupted_while_it_writes(folder, monkeypatch, ending):
    def ends(*_):
        raise ending

    cache.store("x", "a", b"before")
    monkeypatch.setattr(os, "replace", ends)
    with pytest.raises(KeyboardInterrupt) if isinstance(ending, KeyboardInterrupt) else nullcontext():
        cache.store("x", "a", b"after")
    assert names(folder) == ["a"]
    assert cache.fetch("x", "a") == b"before"


def test_what_a_living_process_writes_stays(folder):
    cache.store("x", "a", b"1")
    mine = f".b.{cache.platform.node()}.tmp"
    (folder / mine).write_text("half")
    cache._tidy_once.cache_clear()
    with FileLock(folder / ".lock"):  # as it holds while it writes
        cache.fetch("x", "a")
        assert names(folder) == [mine, "a"]
    cache._tidy_once.cache_clear()
    cache.fetch("x", "a")
    assert names(folder) == ["a"]


def test_what_another_machine_writes_stays_for_a_day(folder):
    """Where machines share a home but not their locks."""
    cache.store("x", "a", b"1")
    for name in (".new.elsewhere.tmp", ".old.elsewhere.tmp"):
        (folder / name).write_text("half")
    os.utime(folder / ".old.elsewhere.tmp", (A_DAY_AGO, A_DAY_AGO))
    (folder / ".key.17.0a1b2c3d").mkdir()
    cache.store("x", "b", b"2")
    assert names(folder) == [".new.elsewhere.tmp", "a", "b"]


def test_without_locks_nothing_is_written(folder, monkeypatch):
    def refused(*_, **__):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "_acquire", refused)
    cache.store("x", "a", b"1")
    assert cache.fetch("x", "a") is None
    assert names(folder) == []
