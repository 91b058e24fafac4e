"""What several tests of runs need."""

import pytest
from faked_runs import make_world


@pytest.fixture
def world(tmp_path, monkeypatch):
    """(work directory, data folder, an object whose `kill_at` says after how many writes the run dies)."""
    return make_world(tmp_path, monkeypatch)
