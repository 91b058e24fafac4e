"""Files on a full disk: what was there stays, nothing half written is left, and the error names the file."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import filelock
import numpy as np
import pytest
from safetensors import SafetensorError

from toner_jax.common.files import copy_file, describe_failure, naming, write_atomically
from toner_jax.errors import UserError
from toner_jax.models.hf import files as hf_files
from toner_jax.runs.export import convert
from toner_jax.runs.workdir import locked, prepare_workdir
from toner_jax.training.metrics import MetricsWriter

ROOM = "make room there, and start the same command again"


def full(*_: object, **__: object) -> None:
    """A write, which does not say to where."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("content", ["ab", b"ab"])
def test_what_was_there_stays(tmp_path, monkeypatch, content):
    path = tmp_path / "new/a.json"
    write_atomically(path, content)

    def half(whole):
        def write(self, data, *args, **kwargs):
            whole(self, data[:1], *args, **kwargs)
            full()

        return write

    for name in ("write_text", "write_bytes"):
        monkeypatch.setattr(Path, name, half(getattr(Path, name)))
    with pytest.raises(OSError) as caught:
        write_atomically(path, content)
    assert describe_failure(caught.value) == f"{path}: No space left on device; {ROOM}"
    assert path.read_bytes() == b"ab"
    assert list(path.parent.iterdir()) == [path]


def test_a_copy_names_where_there_is_no_room(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("a")
    copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "a"
    with pytest.raises(FileNotFoundError) as missing:
        copy_file(tmp_path / "none", tmp_path / "b")
    assert missing.value.filename == str(tmp_path / "none")

    def copyfile(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

    monkeypatch.setattr(shutil, "copyfile", copyfile)
    with pytest.raises(OSError) as caught:
        copy_file(tmp_path / "a", tmp_path / "b")
    assert describe_failure(caught.value) == f"{tmp_path / 'b'}: No space left on device; {ROOM}"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.EACCES, "Permission denied", "a"), "a: Permission denied; mend it"),
        (OSError(errno.EACCES, "Permission denied"), "here: Permission denied; mend it"),
        (
            OSError(errno.EDQUOT, "Quota", "a"),
            "a: Quota; make room in your quota, and start the same command again",
        ),
        (
            OSError(errno.EFBIG, "Too large", b"a"),
            "a: Too large; raise the limit of a file's size (ulimit -f), or ",
        ),
        (OSError("no archive"), "here: no archive; mend it"),
        (shutil.Error([("a", "b", "no")]), "here: [('a', 'b', 'no')]; mend it"),
    ],
)
def test_an_error_is_one_line(error, says):
    assert describe_failure(error, "here", "mend it").startswith(says)


def test_only_an_error_without_a_name_gets_one():
    for name in ("a", None):
        with pytest.raises(OSError) as caught, naming("b"):
            raise OSError(errno.EIO, "I/O error", name)
        assert caught.value.filename == (name or "b")


def test_locks_owners_and_probes_of_a_work_directory(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(filelock.FileLock, "acquire", full)
        with (
            pytest.raises(UserError, match=rf"{tmp_path}/\.lock: No space left on device; {ROOM}$"),
            locked(tmp_path),
        ):
            pass
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError) as caught, locked(tmp_path):
        pass
    assert caught.value.filename == str(tmp_path / ".owner")
    with pytest.raises(UserError, match=f"^{tmp_path}: No space left on device; {ROOM}$"):
        prepare_workdir(tmp_path)
    monkeypatch.undo()
    with locked(tmp_path):  # nothing of the attempts before holds it
        assert (tmp_path / ".owner").read_text() == str(os.getpid())


def test_metrics_name_their_file(tmp_path, monkeypatch):
    metrics = MetricsWriter(tmp_path)
    metrics.resume("toy", 0)
    os.remove(tmp_path / "metrics.jsonl")
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    if not os.path.exists("/dev/full"):
        pytest.skip("of a system with such a device")
    with pytest.raises(OSError) as caught:
        metrics.write("toy", 1, {"loss": 0.5})
    assert describe_failure(caught.value) == f"{tmp_path}/metrics.jsonl: No space left on device; {ROOM}"


def test_weights_that_do_not_fit(tmp_path, monkeypatch):
    """safetensors has an error of its own."""

    def save_file(values, path, metadata):
        Path(path).write_text("half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(hf_files, "save_file", save_file)
    tensors = [hf_files.NewTensor("a", 4, lambda: np.zeros(4))]

    def write(folder: Path) -> None:
        hf_files.write_tensors(folder, tensors, np.dtype("float32"), 1 << 20)

    with pytest.raises(OSError) as caught:
        write(tmp_path)
    assert describe_failure(caught.value) == f"{tmp_path}/model.safetensors: No space left on device; {ROOM}"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(
        UserError, match=rf"out\.\d+\.partial/model\.safetensors: No space left on device; {ROOM}$"
    ):
        convert._write(tmp_path / "out", write)
    assert list(tmp_path.iterdir()) == []
