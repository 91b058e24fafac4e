"""Windows over texts longer than the model reads."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toner_jax.inference.windows import Window, make_windows


def check(lengths: list[int], limit: int, overlap: int) -> list[Window]:
    """What holds of every windowing; returns it."""
    windows = make_windows(3, lengths, limit, overlap)
    n = len(lengths)
    assert all(w.sentence == 3 for w in windows)
    # Every word is in a window, and in the core of exactly one, which that core's window holds.
    assert {i for w in windows for i in range(w.start, w.end)} == set(range(n))
    assert [i for w in windows for i in range(w.core_start, w.core_end)] == list(range(n))
    assert all(w.start <= w.core_start <= w.core_end <= w.end for w in windows)
    for w in windows:
        pieces = sum(lengths[w.start : w.end])
        assert pieces <= limit or (w.end - w.start == 1 and lengths[w.start] > limit)
    for a, b in pairwise(windows):
        assert a.start < b.start <= a.end < b.end  # each gets further than the last
        assert a.end - b.start <= overlap
    return windows


LENGTHS = st.lists(st.integers(0, 12), max_size=40)


@settings(max_examples=400, deadline=None)
@given(lengths=LENGTHS, limit=st.integers(1, 40), overlap=st.integers(0, 20))
def test_windows_of_any_text(lengths, limit, overlap):
    check(lengths, limit, overlap)


@settings(max_examples=100, deadline=None)
@given(count=st.integers(1, 200), limit=st.integers(1, 50), overlap=st.integers(0, 50))
def test_even_words_share_what_was_asked_for(count, limit, overlap):
    """Words of one piece: full windows that share `overlap` words, or half a window if that is less."""
    windows = check([1] * count, limit, overlap)
    assert all(w.end - w.start == limit for w in windows[:-1])
    for a, b in pairwise(windows):
        assert a.end - b.start == min(overlap, limit // 2)
    assert len(windows) <= 2 * count // limit + 1


def test_a_text_within_the_limit_is_one_window():
    assert check([2, 3, 5], 10, 16) == [Window(3, 0, 3, 0, 3)]


def test_an_empty_text_is_one_empty_window():
    assert check([], 10, 16) == [Window(3, 0, 0, 0, 0)]


def test_neighbours_share_words_and_keep_half_of_them():
    assert check([1] * 20, 10, 4) == [
        Window(3, 0, 10, 0, 8),
        Window(3, 6, 16, 8, 14),
        Window(3, 12, 20, 14, 20),
    ]


@pytest.mark.parametrize("overlap", [0, 2, 16])
def test_a_word_longer_than_the_limit_stands_alone(overlap):
    windows = check([1, 1, 1, 30, 1, 1], 10, overlap)
    assert windows == [Window(3, 0, 3, 0, 3), Window(3, 3, 4, 3, 4), Window(3, 4, 6, 4, 6)]


def test_an_overlap_makes_room_for_a_long_word():
    """Sharing four words would leave no room for the word of eight pieces; two it can have."""
    assert check([1] * 10 + [8], 10, 4) == [Window(3, 0, 10, 0, 9), Window(3, 8, 11, 9, 11)]


def test_words_without_pieces_are_covered_too():
    assert [(w.start, w.end) for w in check([0, 5, 0, 5, 0, 5, 0], 10, 0)] == [(0, 5), (5, 7)]
