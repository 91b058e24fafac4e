"""How commands are read, how they fail, and with which status they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from toner_jax.commands import app, keys
from toner_jax.common import cli
from toner_jax.common.values import parse_value
from toner_jax.errors import UserError

LESS = "lower the sizes of batches, or give it less at a time"


@pytest.mark.parametrize("command", app.COMMANDS)
def test_every_command_has_help_that_explains_each_flag(command, capsys):
    arguments = [command, "decode"] if command == "bench" else [command]
    assert app.main([*arguments, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"usage: toner-jax {' '.join(arguments)} [-h]")
    flags = out.split("options:\n")[1].split("\n\n")[0].split("\n  -")
    assert len(flags) >= 4
    for flag in flags:
        words = [w for w in flag.split() if not w.startswith("-") and w != w.upper()]
        assert len(words) >= 2, flag


def test_the_overview_names_every_command(capsys):
    assert app.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")] == list(app.COMMANDS)


def test_help_of_train_lists_configurations_and_keys(capsys):
    assert app.main(["train", "--help"]) == 0
    out = capsys.readouterr().out
    assert "  ontonotes  OntoNotes 5.0, English (Hovy et al. 2006), the authors' settings.\n" in out
    assert "  generator.epochs = 30.0                  or a part of one\n" in out
    assert "small, base, large, xl, xxl, scratch" in out


def test_help_and_refused_flags_import_nothing_heavy():
    heavy = "{m.partition('.')[0] for m in sys.modules} & {'jax', 'transformers', 'rich', 'ml_collections', 'numpy'}"
    program = "\n".join(
        [
            "import sys",
            "from toner_jax.commands.app import COMMANDS, main",
            "for command in COMMANDS:",
            "    assert main([command, '--help']) == 0",
            "    assert main([command, '--flag']) == 2",
            f"print('heavy:', {heavy})",
        ]
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: set()\n")


SOURCE = """
def base():
    c = ConfigDict()
    c.seed = 0  # of everything
    c.plain = "a"

    c.data = ConfigDict()  # a section
    # What is there,
    # in two lines.
    c.data.format = "columns"
    c.data.cache = (
        True  # kept
    )
    c.mesh = ConfigDict({"data": -1, "fsdp": 1})  # axes
    return c.lock()
"""


def test_keys_are_read_from_the_comments():
    assert [tuple(key) for key in keys.read_keys(SOURCE)] == [
        ("seed", "0", "of everything"),
        ("plain", "'a'", ""),
        ("data.format", "'columns'", "What is there, in two lines."),
        ("data.cache", "True", "kept"),
        ("mesh.data", "-1", "axes"),
        ("mesh.fsdp", "1", "axes"),
    ]


def test_every_key_is_listed_with_its_default(capsys):
    from toner_jax.config import base
    from toner_jax.config_keys import get

    assert app.main(["train", "--keys"]) == 0
    listed = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("   ")]
    found = {key.name: key.default for key in keys.read_keys()}
    assert [line.split()[0] for line in listed] == list(found)
    config = base()
    leaves = [k for k in found if not hasattr(get(config, k), "items")]
    assert leaves == list(found)
    assert {k: eval(v) for k, v in found.items()} == {k: get(config, k) for k in found}
    names = {name for name, value in _flat(config)}
    assert names == set(found)
    assert all(key.meaning for key in keys.most_used())


def _flat(section, prefix=""):
    for name, value in section.items():
        if hasattr(value, "items"):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


# How a command ends.


@pytest.mark.parametrize(
    ("raised", "status", "message"),
    [
        (UserError("a.txt:3: not\n  JSON"), 2, "toner-jax: a.txt:3: not JSON\n"),
        (cli.Ended(75, "stopped"), 75, "toner-jax: stopped\n"),
        (KeyboardInterrupt(), 130, "toner-jax: interrupted\n"),
        (
            OSError(28, "No space left on device", "out.jsonl"), 2,
            "toner-jax: out.jsonl: No space left on device; make room there, and start the same command again\n",
        ),
        (OSError(13, "Permission denied", "a.txt"), 2, "toner-jax: a.txt: Permission denied\n"),
        (UserError("label '\x1b[2J\u202e'"), 2, "toner-jax: label '\\x1b[2J\\u202e'\n"),
        (MemoryError(), 2, f"toner-jax: out of memory on the host; {LESS}\n"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nBuffers: 1"), 2,
            f"toner-jax: out of memory on the device (Out of memory allocating 9 bytes.); {LESS}\n",
        ),
        (UserError("pip install 'toner-jax[bench]'"), 2, "toner-jax: pip install 'toner-jax[bench]'\n"),
    ],
)  # fmt: skip
def test_what_a_command_raises_is_a_line_and_a_status(raised, status, message, capsys):
    def command():
        raise raised

    assert cli.run(command) == status
    assert capsys.readouterr() == ("", message)


def test_a_defect_of_ours_keeps_its_traceback():
    def command():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cli.run(command)


def test_a_reader_that_stops_is_no_error():
    """As of `toner-jax train --keys | head -1`, with more output than a pipe holds."""
    program = (
        "from toner_jax.common import cli; import sys; sys.exit(cli.run(lambda: print('line\\n' * 100_000)))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as p:
        assert p.stdout is not None
        assert p.stderr is not None
        assert p.stdout.readline() == b"line\n"
        p.stdout.close()
        assert p.stderr.read() == b""
        assert p.wait(60) == 141


def test_ctrl_c_ends_with_130():
    """While it waits for text."""
    # A shell starts what runs in the background deaf to the signal: then this child would be, too.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from toner_jax.common import cli; sys.exit(cli.run(lambda: print(sys.stdin.read())))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", f"print('ready', flush=True); {program}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as p:  # fmt: skip
        assert p.stdout is not None
        assert p.stderr is not None
        p.stdout.readline()
        time.sleep(1)
        os.kill(p.pid, signal.SIGINT)
        assert p.stderr.read() == "toner-jax: interrupted\n"
        assert p.wait(60) == 130


# Values of keys.


@pytest.mark.parametrize(
    ("text", "like", "expected"),
    [
        ("7", 0, 7),
        ("-7", 0, -7),
        ("1_000", 0, 1000),
        ("3", 0.5, 3.0),
        ("1e-5", 0.5, 1e-5),
        ("true", False, True),
        ("False", True, False),
        ("0", True, False),
        ("", "a", ""),
        ("(1)", "a", "(1)"),
        ("()", (1,), ()),
        ("(0,2)", (-1,), (0, 2)),
        ("[0, 2]", (-1,), (0, 2)),
        ("3", (-1,), (3,)),
        ("matcher,generator", ("a",), ("matcher", "generator")),
        ("('matcher',)", ("a",), ("matcher",)),
        ("matcher", ("a",), ("matcher",)),
    ],
)
def test_values_of_keys(text, like, expected):
    value = parse_value("key", text, like)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("text", "like"),
    [("1.0", 0), ("", 0), ("yes", True), ("2", True), ("x", 0.5), ("nan", 0.5), ("('a',)", (1,)), ("", ("a",)),
     ("(1", (1,))],
)  # fmt: skip
def test_values_that_are_refused(text, like):
    with pytest.raises(UserError, match=rf"^key={text.replace('(', '[(]').replace(')', '[)]')}: expected "):
        parse_value("key", text, like)


def test_of_several_flags_the_last_holds():
    parser = cli.Parser("x", "", takes_keys=True)
    parser.add_argument("--n", type=cli.whole_number)
    options = parser.read(["--config.a=1", "--n=1", "--config.b", "-2", "--n", "-3", "--config.a="])
    assert options.n == -3
    assert options.keys == [("a", "1"), ("b", "-2"), ("a", "")]
