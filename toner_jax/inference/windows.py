"""Texts longer than the model reads, as overlapping windows of words, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from toner_jax.inference.options import DecodeOptions
from toner_jax.schema import Sentence
from toner_jax.tasks.recognized import Coverage
from toner_jax.tasks.task import Task


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
      overlap: words that neighbours share, as far as they fit and at most half of a window; each
        keeps half of them as its own.
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
        # Only as much overlap as leaves room for the next word, and at most half of this window: each one
        # gets further than the last, by more than a word at a time.
        first, start = max(end - overlap, (start + end + 1) // 2), end
        room = limit - lengths[end]
        while start > first and lengths[start - 1] <= room:
            start -= 1
            room -= lengths[start]
    cores = [0, *((a[1] + b[0] + 1) // 2 for a, b in pairwise(windows)), n]
    return [Window(sentence, a, b, cores[i], cores[i + 1]) for i, (a, b) in enumerate(windows)]


def halves(window: Window, overlap: int) -> list[Window]:
    """Smaller windows that share out the core of one: two, or fewer where one would have no core; none of one
    word.

    Args:
      overlap: words that they share, as far as each shares at most half of its own.
    """
    count = window.end - window.start
    if count < 2:
        return []
    shared = min(overlap, count // 3)
    end = window.start + (count + shared + 1) // 2
    start = end - shared
    border = min(max((start + end + 1) // 2, window.core_start), window.core_end)
    left, right = (
        replace(window, end=end, core_end=border),
        replace(window, start=start, core_start=border),
    )
    # Words without an own core are another window's: read for nothing, they would be halved again for nothing.
    return [half for half in (left, right) if half.core_start < half.core_end]


def readable_windows(
    index: int, sentence: Sentence, task: Task, options: DecodeOptions
) -> tuple[list[Window], Coverage]:
    """The windows of a sentence that a task's inputs can hold, and how much of it that is."""
    ids = [task.word_ids.word(w) for w in sentence.words]
    lengths, unknown = list(map(len, ids)), task.word_ids.tokenizer.unk_id
    limit = options.max_source - task.overhead()
    windows = [w for w in make_windows(index, lengths, limit, options.window_overlap) if w.start < w.end]
    readable = [w for w in windows if sum(lengths[w.start : w.end]) <= limit]
    return readable, Coverage(
        sentences=1,
        windows=len(readable),
        words_too_long=len(windows) - len(readable),
        pieces=sum(lengths),
        unknown=sum(word.count(unknown) for word in ids),
    )
