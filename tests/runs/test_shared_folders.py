"""A work directory that several processes share."""

import threading

import pytest

from toner_jax.errors import UserError
from toner_jax.runs.workdir import check_shared


def test_what_the_first_process_writes_is_waited_for(tmp_path):
    workdir = tmp_path / "run"

    def write():
        workdir.mkdir()
        (workdir / "config.json").write_text("{}")

    timer = threading.Timer(0.5, write)
    timer.start()
    check_shared(workdir, "config.json")
    timer.join()


def test_a_folder_of_its_own_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not see what process 0 has written there"):
        check_shared(tmp_path, "config.json", patience=0.0)
