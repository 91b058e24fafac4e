"""The record of a run's starts."""

import subprocess
import sys

from toner_jax.runs.environment import commit, read_starts, record_start


def test_every_start_is_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["toner-jax", "train", "--config=a b"])
    for mesh in ("data 1", "data 2"):
        record_start(tmp_path, {"mesh": mesh, "processes": 2})
    with open(tmp_path / "starts.jsonl", "a") as log:
        log.write("half of a li")
    assert read_starts(tmp_path / "none") == []
    first, second = read_starts(tmp_path)
    assert first["command"] == ["toner-jax", "train", "--config=a b"]
    assert (first["mesh"], second["mesh"], second["processes"]) == ("data 1", "data 2", 2)
    assert first["started"].endswith("+00:00")
    assert first["host"]


def test_the_commit_is_that_of_the_repository_and_says_whether_files_were_changed(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "a.py").write_text("1\n")
    assert commit(package) is None

    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "-q")
    assert commit(package) is None  # nothing is committed yet
    git("add", ".")
    git("commit", "-qm", "one")
    assert commit(package) == git("rev-parse", "HEAD")
    (package / "a.py").write_text("2\n")
    assert commit(package) == git("rev-parse", "HEAD") + "+"
