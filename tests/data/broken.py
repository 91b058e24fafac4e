"""What the tables of broken files share: what is expected of one, and how that is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from toner_jax.data.reading import Read
from toner_jax.errors import UserError

Content = str | bytes
# What comes of it: (place, words of the message), or what is counted.
Expected = tuple[str, str] | Mapping[str, int]


def check(expected: Expected, folder: Path, read: Callable[[], Read]) -> None:
    """The error or the counts that the table names."""
    if isinstance(expected, Mapping):
        found = read()
        assert found.repairs == expected
        assert found.sentences
        return
    with pytest.raises(UserError) as caught:
        read()
    place, words = expected
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{folder / place}: " if place else str(folder))
    assert words in message
    assert len(message) < 600


def put(folder: Path, name: str, content: Content) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
