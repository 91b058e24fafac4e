"""Texts longer than the model reads, as overlapping windows of words, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Words `start` … `end` of a sentence; entities that begin in `core_start` … `core_end` are its own."""

    sentence: int
    start: int
    end: int
    core_start: int
    core_end: int


def make_windows(sentence: int, lengths: Sequence[int], limit: int, overlap: int) -> list[Window]:
    """Covers one sentence with windows of at most `limit` pieces.

    Args:
      lengths: pieces of each word. A word longer than `limit` stands in a window of its own and is left
        to the caller, who cannot feed it.
      overlap: words that neighbours share, where they fit; each keeps half of them as its own.
    """
    n = len(lengths)
    windows: list[tuple[int, int]] = []
    start = 0
    while True:
        end, pieces = start, 0
        while end < n and (pieces + lengths[end] <= limit or end == start):
            pieces += lengths[end]
            end += 1
        windows.append((start, end))
        if end >= n:
            break
        start = max(end - overlap, start + 1) if end - start > 1 else end
    cores = [0, *((a[1] + b[0] + 1) // 2 for a, b in zip(windows, windows[1:], strict=False)), n]
    return [Window(sentence, a, b, cores[i], cores[i + 1]) for i, (a, b) in enumerate(windows)]
