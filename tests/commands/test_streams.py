"""Standard streams that are full, closed or slow: nothing is lost without a word, and no word is a traceback."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="of a system with such a device")

KEYS = "-m toner_jax train --keys"
FULL = (
    "toner-jax: standard output: No space left on device; make room there, and start the same command again\n"
)
CLOSED = "toner-jax: standard output: it is closed\n"


@pytest.fixture
def shell(pythonpath):
    def run(arguments: str, redirection: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        command = f"{shlex.quote(sys.executable)} {arguments} {redirection}"
        env = {"PATH": os.environ["PATH"], **pythonpath}
        return subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, env=env, timeout=100, input=given
        )

    return run


@pytest.mark.parametrize(
    ("redirection", "status", "says"),
    [
        (">/dev/full", 2, FULL),
        (">&-", 2, CLOSED),
        (">/dev/full 2>/dev/full", 2, ""),
        (">/dev/null 2>&-", 0, ""),
        (">&- 2>&- <&-", 2, ""),
    ],
)
def test_an_output_that_takes_nothing(shell, redirection, status, says):
    done = shell(KEYS, redirection)
    assert (done.returncode, done.stderr) == (status, says)


@pytest.mark.slow
def test_every_command_that_prints_says_so(shell, tmp_path):
    row = json.dumps({"text": "Ajax sank.", "entities": [{"start": 0, "end": 4, "label": "SHIP"}]})
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.jsonl").write_text(f"{row}\n")
    data = f"--config=custom --config.data.dir={tmp_path} --config.data.format=jsonl"
    assert shell(f"-m toner_jax stats {data} --json", ">/dev/full").stderr.endswith(FULL)
    assert shell(f"-m toner_jax stats {data}", ">/dev/full").stderr.endswith(FULL)
    schema = f"-m toner_jax schema --input={tmp_path}/train.jsonl --output={tmp_path}/new/schema.json"
    assert shell(schema, ">&-").stderr.endswith(CLOSED)
    assert shell("-m toner_jax --help", ">/dev/full").stderr == FULL
    assert shell("-m toner_jax train --help", ">/dev/full").returncode == 2


PREDICT = """
import sys
from types import SimpleNamespace
from toner_jax.commands import app, predict
from toner_jax.inference.predicted import Part
from toner_jax.tasks.recognized import Coverage
from toner_jax.text.words import READING

def stream(texts, *_, **__):
    return (Part(i, [], True, Coverage(1, 1)) for i, _ in enumerate(texts))

predict.load = lambda _: SimpleNamespace(reading=READING, stream=stream)
sys.exit(app.main(["predict", "--model=x", "--input=-", *sys.argv[1:]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_predict_to_a_full_output_and_from_a_closed_input(shell, form):
    program = f"-c {shlex.quote(PREDICT)} --output_format={form}"
    done = shell(program, ">/dev/full", "a\nb\n")
    assert (done.returncode, done.stderr) == (2, FULL)
    done = shell(program, ">&-", "a\nb\n")
    assert (done.returncode, done.stderr) == (
        2,
        "toner-jax: standard output: cannot be opened (it is closed)\n",
    )
    done = shell(program, "<&-")
    assert (done.returncode, done.stderr) == (
        2,
        "toner-jax: standard input is closed; name a file of texts\n",
    )


def test_a_pipe_that_is_full_is_waited_for(pythonpath):
    """One that its other end has set not to wait, too, as Node.js does: writing to it fails while it is full."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    program = (
        "from toner_jax.common import cli; import sys; sys.exit(cli.run(lambda: print('line\\n' * 100_000)))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=write, stderr=subprocess.PIPE, env=pythonpath
    ) as p:
        os.close(write)
        time.sleep(1)
        with os.fdopen(read) as output:
            assert output.read().count("line") == 100_000
        assert p.stderr is not None
        assert (p.wait(60), p.stderr.read()) == (0, b"")
