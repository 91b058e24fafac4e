"""What several test modules need: the folder of real data and vocabularies beside the repository."""

import os
from pathlib import Path

import pytest
import tiny

SHARED = Path(__file__).resolve().parents[1].parent / "shared"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the shared folder {SHARED} is absent")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """What the package keeps between runs is not the user's during tests."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("user_cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session")
def cache(tmp_path_factory, worker_id):
    """Compiled programs, which all runs share, those of other workers too."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "compiled"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory, cache):
    """A finished tiny run: (work directory, what it printed)."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    done = tiny.run(tiny.command(workdir), tiny.environment(cache))
    assert done.returncode == 0, done.stderr
    return workdir, done
