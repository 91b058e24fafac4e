"""What is said while one waits."""

import threading
import time

import pytest

from toner_jax.common import console
from toner_jax.common.console import Compilations, advance, counted


@pytest.fixture
def impatient(monkeypatch):
    """Everything takes long enough to be told of."""
    monkeypatch.setattr(console, "_SOON", 0.01)


def compiled(compilations, shape, seconds=0.2):
    with compilations.compiling(shape):
        time.sleep(seconds)


def test_each_program_is_said_once_and_of_how_many(said, impatient):
    compilations = Compilations("decoding", [(96, 32), (96, 96)])
    compiled(compilations, (96, 32))
    compiled(compilations, (96, 32))
    compiled(compilations, (96, 96))
    compiled(compilations, (1, 1))  # of which nobody knew
    compilations.expect([(96, 96), (128, 96)])  # the first is there
    compiled(compilations, (128, 96))
    compilations.expect([(128, 96), (2, 1), (2, 2)])
    compiled(compilations, (2, 2))
    compiled(compilations, (3, 3))
    compilations.expect([(2, 1)])  # which is waited for already
    compiled(compilations, (2, 1))
    assert said() == [
        "decoding: compiling 1 of 2",
        "decoding: compiling 2 of 2",
        "decoding: compiling a program",
        "decoding: compiling a program",
        "decoding: compiling 1 of 2",
        "decoding: compiling a program",
        "decoding: compiling 2 of 2",
    ]


def test_nothing_is_said_of_what_is_there_soon(said, monkeypatch):
    monkeypatch.setattr(console, "_SOON", 0.5)
    compilations = Compilations("decoding", [1, 2])
    compiled(compilations, 1, 0.0)
    with pytest.raises(RuntimeError), compilations.compiling(3):
        raise RuntimeError
    time.sleep(0.6)
    assert said() == []
    compiled(compilations, 2, 0.8)
    assert said() == ["decoding: compiling 2 of 2"]


def test_threads_say_it_once(said, impatient):
    compilations = Compilations("decoding", range(3))
    threads = [threading.Thread(target=compiled, args=(compilations, i % 3)) for i in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said()) == [f"decoding: compiling {i} of 3" for i in (1, 2, 3)]


def test_what_is_counted_ends_at_its_total(said, monkeypatch):
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    with counted("evaluate: dev", 5):
        for _ in range(3):
            advance(2)
    advance(1)  # nobody counts
    assert [line.split("  ")[0] for line in said()] == ["evaluate: dev: 2/5", "evaluate: dev: 4/5"]
