"""What several test modules need: caches of their own, small data and vocabularies, and one finished run."""

import json
import logging
import os
import subprocess
import sys

import jax
import own_data
import pytest
import tiny
from filelock import FileLock
from shared_data import KINDS, SHARED


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items):
    """The file that makes the finished run comes first, and the others that use it last: none waits for it. It takes
    a minute to make, so `make test` does without."""
    for item in items:
        if "finished" in item.fixturenames and not any(map(item.get_closest_marker, ("slow", "long"))):
            item.add_marker("trained")

    def turn(item):
        return 0 if item.path.name == "test_readme.py" else 1 + ("finished" in item.fixturenames)

    whole_files = {item.path: 1 for item in items}
    for item in items:
        whole_files[item.path] = 0 if turn(item) == 0 else max(whole_files[item.path], turn(item))
    items.sort(key=lambda item: whole_files[item.path])


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


@pytest.fixture(scope="session", autouse=True)
def _whole_products():
    """On a GPU, XLA rounds the factors of fp32 products by default, and tests compare with PyTorch's on a CPU, where
    the setting would only keep programs from being shared with the commands that tests start."""
    if jax.devices()[0].platform != "cpu":
        jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture(scope="session", autouse=True)
def _compiled(cache):
    """The tests themselves share them, too."""
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


@pytest.fixture(autouse=True)
def _own_logger():
    """A command that a test runs shows its messages; the next test begins without."""
    logger = logging.getLogger("toner_jax")
    before = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.fixture
def said(caplog):
    """A function that gives the package's messages so far."""
    caplog.set_level("INFO", logger="toner_jax")
    return lambda: [record.message for record in caplog.records if record.name == "toner_jax"]


@pytest.fixture(scope="session")
def finished(cache):
    """A finished tiny run, one for all workers: (work directory, what it printed)."""
    workdir, printed = cache.parent / "finished", cache.parent / "finished.json"
    with FileLock(cache.parent / "finished.lock"):
        if not printed.exists():
            done = tiny.run(tiny.command(workdir), tiny.environment(cache))
            assert done.returncode == 0, done.stderr
            printed.write_text(json.dumps([done.args, done.returncode, done.stdout, done.stderr]))
    return workdir, subprocess.CompletedProcess(*json.loads(printed.read_text()))


@pytest.fixture(scope="session")
def ner(finished):
    """Its models."""
    import toner_jax

    return toner_jax.load(finished[0])


@pytest.fixture(scope="session")
def own(tmp_path_factory):
    """A folder of data and vocabularies of our own, laid out as the real ones are."""
    folder = tmp_path_factory.mktemp("own")
    own_data.write(folder)
    return folder


@pytest.fixture(scope="session", params=KINDS)
def shared(request, own):
    """That folder and, where they are at hand, that of the real ones."""
    return own if request.param == "own" else SHARED


@pytest.fixture
def pythonpath():
    """The environment that a program of its own needs to import the package, and no more."""
    return {"PYTHONPATH": str(tiny.ROOT)}


@pytest.fixture
def busy_switching():
    """Threads take turns far more often than they usually do."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
