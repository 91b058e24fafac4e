"""Words and sentences of raw text: literal tables, and what holds for any text."""

import tracemalloc
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import SHARED, needs_shared, read

from toner_jax.text.sentences import iter_sentences
from toner_jax.text.words import (
    WORDS,
    Reading,
    sentence_from_text,
    sentences_from_text,
    split_into_sentences,
)

READING = Reading(WORDS)


def split_words(text):
    return [word for words in split_into_sentences(text) for word in words]


def split_sentences(text, language="en"):
    return list(iter_sentences(text, language))


def words(text):
    return [text[a:b] for a, b in split_words(text)]


def sentences(text):
    return [text[a:b] for a, b in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t\u3000 ", []),
        ("Wellington beat Otago.", ["Wellington", "beat", "Otago", "."]),
        ("  Wellington\tbeat\nOtago .", ["Wellington", "beat", "Otago", "."]),
        ('He said "no" (twice).', ["He", "said", '"', "no", '"', "(", "twice", ")", "."]),
        ("Al's dog didn't.", ["Al", "'s", "dog", "did", "n't", "."]),
        (
            "Mr. Smith, of the U.S. Army, left.",
            ["Mr", ".", "Smith", ",", "of", "the", "U.S", ".", "Army", ",", "left", "."],
        ),
        ("He left the U.S. She stayed.", ["He", "left", "the", "U.S", ".", "She", "stayed", "."]),
        ("He left the U.S.", ["He", "left", "the", "U.S", "."]),
        ('in the "U.S."', ["in", "the", '"', "U.S", ".", '"']),
        ("at 10:30 a.m. and 5 p.m.", ["at", "10:30", "a.m", ".", "and", "5", "p.m", "."]),
        ("It binds NF-kappa B. LPS", ["It", "binds", "NF-kappa", "B", ".", "LPS"]),
        ("He lives in Lima.</p>", ["He", "lives", "in", "Lima", ".", "<", "/p", ">"]),
        ("It ended. It began.", ["It", "ended", ".", "It", "began", "."]),
        ("IL-2-mediated, NF-kappa B", ["IL-2-mediated", ",", "NF-kappa", "B"]),
        ("$5.5m; 10%", ["$", "5.5m", ";", "10", "%"]),
        ("one...two", ["one", "...", "two"]),
        ("“Bo” «x»", ["“", "Bo", "”", "«", "x", "»"]),
        ("``Bo'' and ''x``", ["``", "Bo", "''", "and", "''", "x", "``"]),
        ("[a] {b} <c>", ["[", "a", "]", "{", "b", "}", "<", "c", ">"]),
        ("東京 大学", ["東京", "大学"]),
        ("a\u00a0b\u2028c\u200bd", ["a", "b", "c", "d"]),
        ("\ufeffa \u200e\u200fb\u200e (\u200bc\u200b)", ["a", "b", "(", "c", ")"]),
        ("\u200b\u200d \ufeff", []),
        ("\u200dمی\u200cخواهم", ["می\u200cخواهم"]),  # a joiner inside a word is of it
        ("\ud800 x\udfff", ["\ud800", "x\udfff"]),
        ("</s> <pad>", ["<", "/s", ">", "<", "pad", ">"]),
    ],
)
def test_split_words(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n\n \n\n", []),
        ("One here. Two there? Three!", ["One here.", "Two there?", "Three!"]),
        ("Mr. A. Smith met Dr. Jones. They spoke.", ["Mr. A. Smith met Dr. Jones.", "They spoke."]),
        ("A headline\n\nThe first line\nthat goes on.", ["A headline", "The first line\nthat goes on."]),
        ("no end", ["no end"]),
        ("A title\r\n\r\nA line\r\nof two", ["A title", "A line\r\nof two"]),
        ("A title\n\u3000\nA line\r\rand more", ["A title", "A line", "and more"]),
        (
            "He came. 'Tis true. “So,” he said. (Not I.)",
            ["He came.", "'Tis true.", "“So,” he said.", "(Not I.)"],
        ),
        ("Vitamin C\xa0. Rain in Lima", ["Vitamin C\xa0. Rain in Lima"]),
        ("Plan B\u3000. It rains.", ["Plan B\u3000.", "It rains."]),
        ("\r(", ["("]),
    ],
)
def test_split_sentences(text, expected):
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "unit", ["word ", "word", ". ", "U.S. ", "\"'` ", "(a) ", "?! ", "a\n\n", "\u200b ", "😀 ", "can't "]
)
def test_thousands_of_anything(unit):
    text = unit * 3_000
    _assert_covers(text, split_words(text))


def test_ten_thousand_words_keep_their_places():
    expected = [f"word{i}" for i in range(10_000)]
    sentence = sentence_from_text("s", " ".join(expected), READING)
    assert sentence.words == tuple(expected)
    assert sentence.offsets[9_999] == (len(sentence.text) - len("word9999"), len(sentence.text))


def test_a_sentence_leads_back_to_the_text():
    text = "  Al's  “dog”\n(Bo) "
    sentence = sentence_from_text("id", text, READING)
    assert sentence.id == "id"
    assert sentence.text == text
    assert sentence.entities == ()
    assert sentence.words == ("Al", "'s", "“", "dog", "”", "(", "Bo", ")")
    assert [text[a:b] for a, b in sentence.offsets] == list(sentence.words)


def _assert_covers(text, ranges):
    assert all(a < b for a, b in ranges)
    assert all(b <= c for (_, b), (c, _) in pairwise(ranges))
    assert all(not is_blank(text[a:b]) and len(seen(text[a:b]).split()) == 1 for a, b in ranges)
    lost = Counter(text) - Counter("".join(text[a:b] for a, b in ranges))
    assert all(is_blank(character) for character in lost)
    assert not any(mark in text[a:b] for a, b in ranges for mark in WITHOUT_WIDTH)


WITHOUT_WIDTH = "\u200b\u200e\u200f\ufeff"


def seen(text):
    for mark in WITHOUT_WIDTH:
        text = text.replace(mark, " ")
    return text


def is_blank(text):
    return not seen(text).strip(" \u200c\u200d") or seen(text).isspace()


FRAGMENTS = (
    *"ab.,;'\"`()[]<>?!-$%&@#\n\t \u200b\xa0\x85\u2028\x1c…—“”\ud800",
    *("''", "``", "--", "...", "\n\n", "\r\n", "Mr. ", "U.S.", " U.S. "),
    *("A", "B.", "\u202f", "\u3000"),
    *("n't", "can't", "cannot", "gonna ", "'Tis", "d'ye ", "'s"),
)
ANY_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=())), st.lists(st.sampled_from(FRAGMENTS)).map("".join)
)


@given(ANY_TEXT)
@settings(max_examples=500, deadline=None)
def test_every_character_but_white_space_lies_in_one_word(text):
    _assert_covers(text, split_words(text))


@given(ANY_TEXT)
@settings(max_examples=300, deadline=None)
def test_sentences_are_apart_in_order_and_leave_out_only_white_space(text):
    ranges = split_sentences(text)
    assert all(text[a:b].strip() for a, b in ranges)
    assert all(b <= c for (_, b), (c, _) in pairwise(ranges))
    lost = Counter(text) - Counter("".join(text[a:b] for a, b in ranges))
    assert all(is_blank(character) for character in lost)


def entities_of_whole_words(folder, file):
    """How many entities a file has, each of which begins and ends where words do."""
    count = 0
    for s in read(folder, file).sentences:
        edges = {edge for r in split_words(s.text) for edge in r}
        assert edges.issuperset(edge for e in s.entities for edge in s.char_span(e)), (file, s.text)
        count += len(s.entities)
    return count


def test_no_entity_begins_or_ends_inside_a_word(own):
    expected = {"wnut17/emerging.test.annotated": 10, "jnlpba/Genia4EReval1.iob2": 14}
    assert {file: entities_of_whole_words(own, file) for file in expected} == expected


@pytest.mark.slow
@needs_shared
def test_no_benchmark_entity_begins_or_ends_inside_a_word():
    expected = {"wnut17/emerging.test.annotated": 1079, "jnlpba/Genia4EReval1.iob2": 8662}
    assert {file: entities_of_whole_words(SHARED, file) for file in expected} == expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("de", "Am 3. Mai kam Hr. Moritz. Er ging.", ["Am 3. Mai kam Hr. Moritz.", "Er ging."]),
        ("zh", "我去北京。她来了！好吗？", ["我去北京。", "她来了！", "好吗？"]),
        ("ja", "東京に行く。大阪にも。", ["東京に行く。", "大阪にも。"]),
        ("fr", "M. Dupont est parti. Il pleut.", ["M. Dupont est parti.", "Il pleut."]),
        ("xx", "Three. Four.", ["Three.", "Four."]),
    ],
)
def test_sentences_of_a_language(language, text, expected):
    assert [text[a:b] for a, b in split_sentences(text, language)] == expected
    assert [text[a:b] for a, b in Reading(language=language).sentences(text)] == expected
    (whole,) = sentences_from_text("0", text, Reading(language=language, split_sentences=False))
    assert whole.offsets == sentence_from_text("0", text, Reading(language=language)).offsets


def test_a_quotation_mark_without_its_partner_swallows_no_text():
    text = "He wrote 5' of it. " + "She read it twice. Nobody saw. " * 40 + "It was 6' long."
    assert len(split_sentences(text)) == 82


def test_long_texts_are_split_like_short_ones():
    """Longer than what is searched at a time: the sentences are those of its parts."""
    part = "Dr. Al met Bo at 5 p.m. on Monday. “Why?” she said... He left the U.S. in May!  "
    ranges = split_sentences(part * 1_000)
    once = split_sentences(part)
    assert len(part * 1_000) > 2 * 2**15
    assert ranges == [(i * len(part) + a, i * len(part) + b) for i in range(1_000) for a, b in once]


def test_text_without_an_end_is_cut_at_white_space():
    text = "well " * 20_000 + "a" * 70_000
    ranges = split_sentences(text)
    assert len(ranges) > 3
    assert [w for a, b in ranges for w in text[a:b].split()][:20_000] == ["well"] * 20_000
    assert "".join(text[a:b] for a, b in ranges).replace("well", "").replace(" ", "") == "a" * 70_000
    assert all(text[a:b] == text[a:b].strip() for a, b in ranges)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [()]),
        (" \n ", [()]),
        ("Ann ran.  Bo sat", [("Ann", "ran", "."), ("Bo", "sat")]),
        ("Ann ran\n\nBo sat", [("Ann", "ran"), ("Bo", "sat")]),
    ],
)
def test_sentences_from_text(text, expected):
    found = list(sentences_from_text("id", text))
    assert [s.words for s in found] == expected
    for s in found:
        assert (s.id, s.text) == ("id", text)
        assert s.words == tuple(text[a:b] for a, b in s.offsets)


@settings(max_examples=200, deadline=None)
@given(st.text("aB.! \n\"'", max_size=80))
def test_sentences_from_text_hold_every_word_once(text):
    assert [offset for s in sentences_from_text("id", text, READING) for offset in s.offsets] == split_words(
        text
    )


@pytest.mark.slow
@pytest.mark.parametrize("sentence", ["Bo met Cy. ", "well well "])
def test_a_long_text_is_read_as_it_is_needed(sentence, monkeypatch):
    """Three times the text, with or without ends of sentences, takes no more memory."""
    monkeypatch.setattr("toner_jax.text.sentences._LARGEST_BLOCK", 1 << 12)
    list(sentences_from_text("id", "Bo."))
    peaks = []
    for count in (1_500, 4_500):
        text = sentence * count
        tracemalloc.start()
        found = sum(len(s.words) for s in sentences_from_text("id", text, READING))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found == count * len(sentence.replace(".", " .").split())
    assert peaks[1] < 1.3 * peaks[0]
