"""Texts of any length in inputs of whole sentences."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toner_jax.inference.passages import passages
from toner_jax.text import words
from toner_jax.text.words import split_words


class Letters:
    """A piece a character."""

    def words(self, words):
        return "".join(words)


def cut(text: str, limit: int) -> list[str]:
    return [
        text[p.offsets[0][0] : p.offsets[-1][1]] if p.words else ""
        for p in passages("t", text, Letters(), limit)
    ]


TEXT = "Ann ran. Bo sat. Cy, who was the oldest of all, hid. Di hid."


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("", 9, [""]),
        (" \n ", 9, [""]),
        (TEXT, 99, [TEXT]),
        (TEXT, 14, ["Ann ran. Bo sat.", "Cy, who was the oldest of all, hid.", "Di hid."]),
        (TEXT, 12, ["Ann ran.", "Bo sat.", "Cy, who was the oldest of all, hid.", "Di hid."]),
        (TEXT, 1, ["Ann ran.", "Bo sat.", "Cy, who was the oldest of all, hid.", "Di hid."]),
    ],
)
def test_whole_sentences_as_many_as_fit(text, limit, expected):
    assert cut(text, limit) == expected


@settings(max_examples=200, deadline=None)
@given(st.text("aB.! \n\"'", max_size=80), st.integers(1, 30))
def test_passages_hold_every_word_once_and_in_place(text, limit):
    found = list(passages("t", text, Letters(), limit))
    assert [offset for p in found for offset in p.offsets] == split_words(text)
    for p in found:
        assert p.text == text
        assert p.words == tuple(text[a:b] for a, b in p.offsets)
    assert all(p.words for p in found) or len(found) == 1


@pytest.mark.parametrize("sentence", ["Bo met Cy. ", "well well "])
def test_a_long_text_is_read_as_it_is_needed(sentence, monkeypatch):
    """Three times the text, with or without ends of sentences, takes no more memory."""
    monkeypatch.setattr(words, "_BLOCK", 1 << 12)
    list(passages("t", "Bo.", Letters(), 9))
    peaks = []
    for count in (1_500, 4_500):
        text = sentence * count
        tracemalloc.start()
        found = sum(len(p.words) for p in passages("t", text, Letters(), 400))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found == count * len(sentence.replace(".", " .").split())
    assert peaks[1] < 1.3 * peaks[0]
