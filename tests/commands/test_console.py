"""What is shown while one waits."""

from __future__ import annotations

import itertools

import pytest

from toner_jax.common import console


@pytest.fixture
def clock(monkeypatch):
    """Ten seconds pass whenever the time is asked for."""
    seconds = itertools.count(0, 10)
    monkeypatch.setattr(console.time, "monotonic", lambda: float(next(seconds)))


def test_off_a_terminal_a_line_now_and_then(clock, capsys):
    console.show_messages()
    with console.counted("evaluate: dev", 4):
        console.advance(1)
        console.advance(1)
        console.advance(2)
    console.advance(1)  # nobody counts
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "evaluate: dev: 2/4  20 s left\n"


def test_the_first_of_many_tells_nothing_of_the_rest(clock, capsys):
    """It has waited for a compilation."""
    console.show_messages()
    with console.counted("predict", 1_000):
        for count in (1, 0, 9, 0, 1, 0):
            console.advance(count)
    assert capsys.readouterr().err == "predict: 1/1000\npredict: 10/1000\npredict: 11/1000  4945 s left\n"


def test_what_takes_no_time_says_nothing(capsys):
    with console.counted("evaluate: dev", 2):
        console.advance(1)
        console.advance(5)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_brackets_as_they_are(monkeypatch, capsys):
    console.show_messages()
    monkeypatch.setattr(console.sys.stderr, "isatty", lambda: True, raising=False)
    with console.Progress("data[bold].txt", 2) as progress:
        progress.update(1, "loss [1.5]")
    err = capsys.readouterr().err
    assert "data[bold].txt" in err
    assert "loss [1.5]" in err


def test_a_notebook_s_terminal_gets_lines(monkeypatch, capsys):
    """It can only add to them, and would show each drawing of a bar below the one before."""
    console.show_messages()
    monkeypatch.setattr(console.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    with console.Progress("training", 2) as progress:
        progress.update(2)
    assert capsys.readouterr().err == "training: 2/2\n"
