"""`toner-jax serve` as a process: its address, its signals, its end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import tiny
from serving import sent

from toner_jax.client import Client, ServiceError
from toner_jax.commands import app, serve
from toner_jax.errors import UserError
from toner_jax.service.server import bound

pytestmark = pytest.mark.slow
TEXT = "Judge Ivan Borcalski came to Selqua."


@contextlib.contextmanager
def serving(cache, *flags: str, **env: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a service of the demonstration, and its process."""
    command = [
        sys.executable,
        "-m",
        "toner_jax",
        "serve",
        "--model=quickstart",
        "--port=0",
        "--no-prepare",
        *flags,
    ]
    process = subprocess.Popen(
        command,
        env={**tiny.environment(cache), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


def test_of_two_that_start_at_once_the_second_is_told_before_it_loads_a_model():
    with contextlib.closing(bound("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(
            UserError, match=rf"^127\.0\.0\.1:{port}: cannot be listened at \(.*\); choose another"
        ):
            bound("127.0.0.1", port)


def test_it_answers_as_the_model_does(cache):
    import toner_jax

    with serving(cache) as (address, process):
        assert Client(address).predict([TEXT]) == toner_jax.load("quickstart").predict([TEXT])
        assert "demonstration" in Client(address).model()["note"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        errors = process.stderr.read()
    assert "stopping" in errors
    assert "Traceback" not in errors
    assert "Borcalski" not in errors


def test_what_was_accepted_is_answered_after_sigterm(cache):
    """Clients ask without pause; after the signal each gets the answer that it waits for, and then no connection."""
    with serving(cache) as (address, process):
        Client(address).predict([TEXT] * 9)  # compiled
        answered, lost = [], []

        def ask() -> None:
            client = Client(address, retries=0, timeout=60)
            while True:
                try:
                    client.predict([TEXT])
                except ServiceError as error:
                    if error.status or "refused" not in error.reason:
                        lost.append(str(error))
                    return
                answered.append(1)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        assert process.wait(60) == 0
    assert len(answered) >= 8
    assert lost == []


def test_it_can_drain(cache):
    with serving(cache, "--drain=2") as (address, process):
        Client(address).predict([TEXT])
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert sent(address, "GET", "/ready")[0] == 503
        assert Client(address).predict([TEXT])[0]
        assert process.wait(30) == 0


def test_a_token_of_the_environment(cache):
    with serving(cache, TONER_JAX_TOKEN="s3cret") as (address, _):
        with pytest.raises(ServiceError, match="token"):
            Client(address).predict([TEXT])
        assert Client(address, token="s3cret").predict([TEXT])[0]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--model=nowhere",), "nowhere: no such folder"),
        (("--model=quickstart", "--port=70000"), "a port lies between 0 and 65535"),
        (("--model=quickstart", "--host=nowhere.invalid"), "nowhere.invalid:8000: cannot be listened at"),
        (("--model=quickstart", "--token_file=nowhere"), "--token_file=nowhere: cannot be read"),
        (("--model=quickstart", "--timeout=0"), "must be above 0"),
        (("--model=quickstart", "--drain=-1"), "not negative"),
        (("--model=quickstart", "--max_waiting=0"), "must be at least 1"),
    ],
)
def test_bad_input_is_one_line(flags, said, capsys):
    assert app.main(["serve", *flags]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert said in errors[-1]


def test_a_port_that_is_taken(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert (
            app.main(["serve", "--model=nowhere", f"--port={port}"]) == 2
        )  # told before the model is looked for
    assert f"127.0.0.1:{port}: cannot be listened at (Address already in use)" in capsys.readouterr().err


@pytest.mark.parametrize("token", ["", "two words", "é", "a\nb"])
def test_a_token_that_no_header_can_hold(token, tmp_path, capsys):
    (tmp_path / "token").write_text(token, encoding="utf-8")
    assert app.main(["serve", "--model=quickstart", f"--token_file={tmp_path / 'token'}"]) == 2
    assert "expected a token of visible ASCII characters" in capsys.readouterr().err


def test_packages_that_are_missing_are_named(monkeypatch, capsys):
    for name in [n for n in sys.modules if n.startswith("toner_jax.service")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert app.main(["serve", "--model=quickstart"]) == 2
    assert "pip install 'toner-jax[serve]'" in capsys.readouterr().err
    assert os.environ.get(serve.TOKEN) is None


def test_the_documentation_s_code_runs(cache, capsys):
    page = (tiny.ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    with serving(cache) as (address, _):
        exec(block.replace("http://127.0.0.1:8000", address), {})
    assert capsys.readouterr().out.count("[") >= 2  # a list for each of two sentences
