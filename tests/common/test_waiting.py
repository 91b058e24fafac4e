"""What is said while one waits."""

import threading

from toner_jax.common.console import Compilations, advance, counted


def test_each_program_is_said_once_and_of_how_many(said):
    compilations = Compilations("decoding", [(96, 32), (96, 96)])
    compilations.begin((96, 32))
    compilations.begin((96, 32))
    compilations.begin((96, 96))
    compilations.begin((1, 1))  # of which nobody knew
    compilations.expect([(96, 96), (128, 96)])  # the first is there
    compilations.begin((128, 96))
    compilations.expect([(128, 96), (2, 1), (2, 2)])
    compilations.begin((2, 2))
    compilations.begin((3, 3))
    compilations.expect([(2, 1)])  # which is waited for already
    compilations.begin((2, 1))
    assert said() == [
        "decoding: compiling 1 of 2",
        "decoding: compiling 2 of 2",
        "decoding: compiling a program",
        "decoding: compiling a program",
        "decoding: compiling 1 of 2",
        "decoding: compiling a program",
        "decoding: compiling 2 of 2",
    ]


def test_threads_say_it_once(said):
    compilations = Compilations("decoding", range(3))
    threads = [threading.Thread(target=compilations.begin, args=(i % 3,)) for i in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line[:22] for line in said()] == [f"decoding: compiling {i} " for i in (1, 2, 3)]


def test_what_is_counted_ends_at_its_total(said, monkeypatch):
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    with counted("evaluate: dev", 5):
        for _ in range(3):
            advance(2)
    advance(1)  # nobody counts
    assert [line.split("  ")[0] for line in said()] == ["evaluate: dev: 2/5", "evaluate: dev: 4/5"]
