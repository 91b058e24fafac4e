"""Orbax's messages are dropped, everyone else's are not, and logging is afterwards what it was."""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pytest
from absl import logging as absl_logging

from toner_jax.training.checkpoint import Checkpoints
from toner_jax.training.quiet_orbax import without_orbax_messages


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def log_from(path: str, message: str) -> None:
    """An absl message of the code in a file."""
    exec(
        compile("absl_logging.error(message)", path, "exec"),
        {"absl_logging": absl_logging, "message": message},
    )


@pytest.fixture
def kept():
    handler = Kept()
    logging.getLogger("absl").addHandler(handler)
    yield handler.messages
    logging.getLogger("absl").removeHandler(handler)


def test_orbax_is_not_heard_and_others_are(kept):
    with without_orbax_messages():
        log_from("/lib/site-packages/orbax/checkpoint/manager.py", "one")
        log_from("/lib/site-packages/clu/metrics.py", "two")
        with without_orbax_messages():
            log_from("/lib/site-packages/orbax/checkpoint/manager.py", "three")
        log_from("/lib/site-packages/orbax/checkpoint/manager.py", "four")
    log_from("/lib/site-packages/orbax/checkpoint/manager.py", "five")
    assert kept == ["two", "five"]


PROGRAM = """
import logging
from absl import logging as absl_logging
from toner_jax.training.quiet_orbax import without_orbax_messages
with without_orbax_messages():
    absl_logging.error("of another library")
    with without_orbax_messages():
        logging.getLogger("mine").warning("mine")
        logging.getLogger("mine").info("quiet")
assert logging.root.handlers == [], logging.root.handlers
assert logging.getLogger("absl").filters == []
"""


@pytest.mark.slow
def test_the_root_logger_gets_no_handler(pythonpath):
    """absl's functions would give it one; meanwhile messages come out as they do without any handler, once."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=pythonpath)
    assert (done.returncode, done.stderr) == (0, "of another library\nmine\n")


LEFT_BEHIND = """
import asyncio, gc, logging, sys, threading
from toner_jax.training.quiet_orbax import without_orbax_messages

def fail(path, error):
    exec(compile("raise error", path, "exec"), {"error": error})

def in_thread(*what):
    thread = threading.Thread(target=lambda: fail(*what))
    thread.start()
    thread.join()

class Unraisable:
    def __init__(self, *what):
        self.what = what
    def __del__(self):
        fail(*self.what)

threading.excepthook = lambda a: sys.excepthook(a.exc_type, a.exc_value, a.exc_traceback)  # as C++ does
ours, theirs = "/lib/mine/a.py", "/lib/orbax/a.py"
before = sys.excepthook, sys.unraisablehook
with without_orbax_messages():
    in_thread(theirs, ValueError("thread of theirs"))
    in_thread(ours, RuntimeError("Event loop is closed"))
    in_thread(ours, ValueError("thread of ours"))
    Unraisable(theirs, ValueError("object of theirs"))
    Unraisable(ours, ValueError("object of ours"))
    for path in (theirs, ours):
        try:
            fail(path, ValueError("task"))
        except ValueError as error:
            logging.getLogger("asyncio").error("task of %s", path, exc_info=error)
    logging.getLogger("asyncio").error("Future of /run/7.orbax-checkpoint-tmp/state")
assert (sys.excepthook, sys.unraisablehook) == before
"""


@pytest.mark.slow
def test_tracebacks_of_what_a_failed_save_left_behind_are_not_printed(pythonpath):
    done = subprocess.run([sys.executable, "-c", LEFT_BEHIND], capture_output=True, text=True, env=pythonpath)
    said = [
        line
        for line in done.stderr.splitlines()
        if line.startswith(("ValueError", "task", "Future", "Runtime"))
    ]
    assert said == [
        "ValueError: thread of ours",
        "ValueError: object of ours",
        "task of /lib/mine/a.py",
        "ValueError: task",
    ]
    assert done.returncode == 0


READ = """
import sys
from pathlib import Path
import numpy as np
from toner_jax.training.checkpoint import Checkpoints
with Checkpoints(Path(sys.argv[1]), read_only=True) as checkpoints:
    print(checkpoints.restore_params(1, {"a": np.zeros(2)})["a"].tolist())
"""


@pytest.mark.slow
def test_a_program_that_imports_nothing_before_hears_nothing(tmp_path):
    """absl's logger, asked for before absl is imported, is one that does not know who logs."""
    with Checkpoints(tmp_path / "kept") as checkpoints:
        checkpoints.save(1, {"params": {"a": np.array([1.0, 2.0])}}, {"best_step": 1})
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "kept")], capture_output=True, text=True, timeout=100
    )
    assert (done.stdout, done.stderr) == ("[1.0, 2.0]\n", "")
