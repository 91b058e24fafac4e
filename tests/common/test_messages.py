"""Messages: to a program's own logging, or, for a command, to standard error."""

from __future__ import annotations

import subprocess
import sys

from toner_jax.common import console

SAYS = """
import logging
from toner_jax.common.console import Progress, say, show_messages, warn
{first}
say("read 3 files")
warn("50% of them: δ unknown")
with Progress("train", 2) as progress:
    progress.update(2, "loss 0.5 δ")
"""


def printed(first: str, **env: str) -> tuple[str, str]:
    """What a program prints that begins with `first`: (standard output, standard error)."""
    program = [sys.executable, "-c", SAYS.format(first=first)]
    done = subprocess.run(program, capture_output=True, check=True, env={"PYTHONUTF8": "1", **env})
    return done.stdout.decode(), done.stderr.decode()


def test_a_command_shows_bare_lines_on_standard_error(pythonpath):
    out, err = printed("show_messages(); show_messages()", **pythonpath)
    assert out == ""
    assert err == "read 3 files\n50% of them: δ unknown\ntrain: 2/2  loss 0.5 δ\n"


def test_a_commands_lines_come_once_beside_another_handler(pythonpath):
    _, err = printed("logging.basicConfig(level=0); show_messages()", **pythonpath)
    assert err.splitlines()[0] == "read 3 files"
    assert len(err.splitlines()) == 3


def test_a_library_says_nothing_but_warnings_unless_asked(pythonpath):
    assert printed("", **pythonpath) == ("", "50% of them: δ unknown\n")


def test_a_program_sets_logging_up_as_it_likes(pythonpath):
    _, err = printed(
        "logging.basicConfig(level='INFO', format='%(name)s %(levelname)s %(message)s')", **pythonpath
    )
    assert err.splitlines() == [
        "toner_jax INFO read 3 files",
        "toner_jax WARNING 50% of them: δ unknown",
        "toner_jax INFO train: 2/2  loss 0.5 δ",
    ]
    assert printed("logging.getLogger('toner_jax').setLevel('ERROR')", **pythonpath) == ("", "")


def test_a_message_names_the_code_that_says_it(caplog):
    caplog.set_level("INFO", logger="toner_jax")
    console.say("one")
    console.warn("two")
    assert [(r.filename, r.levelname, r.message) for r in caplog.records] == [
        ("test_messages.py", "INFO", "one"),
        ("test_messages.py", "WARNING", "two"),
    ]


def test_an_ascii_terminal_shows_escapes(pythonpath):
    first = "show_messages(); print('T′ ≥ δ')"
    ascii = {**pythonpath, "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    out, err = printed(first, **ascii)
    assert out == "T\\u2032 \\u2265 \\u03b4\n"
    assert "50% of them: \\u03b4 unknown" in err


def test_a_command_shows_each_kind_of_warning_once_and_in_one_line(pythonpath):
    """A full compilation cache brings one with every program."""
    first = """
import warnings
show_messages()
for i in range(3):
    warnings.warn(f"Error writing the entry for 'jit_{i}'\\x1b[2J:\\nno room")
warnings.warn("another", DeprecationWarning)
"""
    _, err = printed(first, **pythonpath)
    lines = err.splitlines()
    assert lines[0] == "UserWarning: Error writing the entry for 'jit_0'\\x1b[2J:"
    assert lines[1] in ("DeprecationWarning: another", "read 3 files")
    assert err.count("Warning") == 1 + (lines[1] != "read 3 files")
