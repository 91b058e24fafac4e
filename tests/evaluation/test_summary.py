"""What a run shows on a terminal when it ends."""

from __future__ import annotations

import pytest

from toner_jax.evaluation.summary import bracketed


def entry(text: str, *spans: tuple[int, int, str]) -> dict:
    return {"text": text, "predicted": [{"start": s, "end": e, "label": label} for s, e, label in spans]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (entry("Ann saw Bo", (0, 3, "person"), (8, 10, "dog")), "• [Ann](person) saw [Bo](dog)"),
        (entry("a b c", (0, 5, "x"), (2, 3, "y")), "• [a [b](y) c](x)"),
        (entry("a b c", (0, 3, "x"), (0, 1, "y"), (4, 5, "z")), "• [[a](y) b](x) [c](z)"),
        (entry("ab cd", (3, 5, "x"), (0, 5, "y")), "• [ab [cd](x)](y)"),
        (entry("a\x1b[2Jb", (0, 1, "x")), "• [a](x)\\x1b[2Jb"),  # nothing steers the terminal
    ],
)
def test_entities_in_brackets(given, expected):
    assert bracketed(given).plain == expected
