"""Atoms: where entities may begin and end."""

import pytest

from toner_jax.atoms import GLUE, atoms, glue_words, join, parts, whole_words
from toner_jax.text.words import ATOMS, WORDS, Reading, sentence_from_text, sentences_from_text


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("", []),
        ("receptor", ["receptor"]),
        ("IL-2", ["IL", "-", "2"]),
        ("663mg", ["663", "mg"]),
        ("10⁻³", ["10", "⁻", "³"]),
        ("a_b", ["a", "_", "b"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),  # no letter without its accent
        ("क्षि", ["क्षि"]),
        ("1\ufe0f\u20e32", ["1\ufe0f\u20e32"]),
        ("🇩🇪🇫🇷x", ["🇩🇪", "🇫🇷", "x"]),
        ("👩‍🔬a", ["👩‍🔬", "a"]),
        ("北京大学", ["北", "京", "大", "学"]),
        ("カタカナー", ["カ", "タ", "カ", "ナ", "ー"]),
        ("한국어abc12", ["한", "국", "어", "abc", "12"]),
        ("ที่", ["ที่"]),  # a consonant with its vowel and its tone
        ("Straße", ["Straße"]),
    ],
)
def test_atoms(word, expected):
    assert [word[a:b] for a, b in atoms(word)] == expected
    assert [p.removeprefix(GLUE) for p in parts(word)] == expected
    assert join(parts(word)) == word
    assert whole_words(parts(word)) == ([word] if word else [])


def test_u_e000_of_a_user_glues_nothing():
    for edges in (ATOMS, WORDS):
        sentence = sentence_from_text("0", "a \ue000b c\ue000", Reading(edges))
        assert [sentence.text[a:b] for a, b in sentence.offsets] == (
            ["a", "\ue000b", "c\ue000"] if edges == WORDS else ["a", "\ue000", "b", "c", "\ue000"]
        )
        assert len(whole_words(sentence.words)) == 3
    assert whole_words(glue_words(["a", "\ue000x"])) == ["a", "\ue001x"]


def test_korean_keeps_its_spaces_and_thai_its_vowels():
    assert join(glue_words(["나는", "서울에", "간다"])) == "나는 서울에 간다"
    assert join(glue_words(["ดี", "ครับ"])) == "ดีครับ"
    assert join(glue_words(["北京", "大学"], gaps=[True])) == "北京 大学"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["2008", "年", "8", "月", "，", "北京", "。"], "2008年8月，北京。"),
        (["東京", "(", "Tokyo", ")", "と", "大阪"], "東京( Tokyo )と大阪"),
        (["中国", "GDP", "增长", "3", "%"], "中国 GDP 增长3 %"),
        (["the", "city", "北京", "grows"], "the city 北京 grows"),
        (["（", "IBM", "）", "said"], "（IBM）said"),
        (["2", "0", "0", "8", "年", "G", "D", "P", "涨"], "2008年GDP涨"),  # a corpus of characters
        (["I", "b", "2", "%"], "I b 2 %"),
        (["서울", "2", "시", "."], "서울 2 시 ."),
        (["한", "국", "。"], "한 국。"),
        (["A", "，", "B", "C"], "A，B C"),
        (["e\u0301", "中"], "e\u0301 中"),
        (["ที่", "นี่"], "ที่นี่"),
        (["a", "", "b"], "a  b"),
    ],
)
def test_no_space_where_a_script_has_none(words, text):
    assert join(glue_words(words)) == text


def test_entities_of_a_script_without_spaces_end_at_its_characters_whatever_the_edges():
    sentence = sentence_from_text("0", "于2008年去北京。 663mg", Reading(WORDS))
    assert [sentence.text[a:b] for a, b in sentence.offsets] == [
        "于",
        "2008",
        "年",
        "去",
        "北",
        "京",
        "。",
        "663mg",
    ]


def test_one_sentence_of_a_text_reads_as_its_sentences():
    text = "I live in Rome. It rains. Mr. X took 5mg."
    for edges in (ATOMS, WORDS):
        parts = list(sentences_from_text("0", text, Reading(edges)))
        assert len(parts) > 1
        assert sentence_from_text("0", text, Reading(edges)).words == tuple(w for s in parts for w in s.words)


def test_lower_case_text_has_sentences_and_takes_linear_time():
    text = "i went there. it was nice. " * 300
    found = list(sentences_from_text("0", text, Reading(WORDS)))
    assert max(len(s.words) for s in found) < 300
    assert sum(len(s.words) for s in found) == 2400


def test_words_of_scripts_without_spaces_have_none_between_them():
    words = glue_words(["北京", "大学", "x", "ソニー", "は", "2", "年"])
    assert join(words) == "北京大学 x ソニーは2年"


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        (WORDS, ["Mr", f"{GLUE}.", "X", "took", "663mg", "of", "IL-2", "."]),
        (ATOMS, ["Mr", f"{GLUE}.", "X", "took", "663", f"{GLUE}mg", "of", "IL", f"{GLUE}-", f"{GLUE}2", "."]),
    ],
)
def test_sentences_of_raw_text(edges, expected):
    sentence = sentence_from_text("0", "Mr. X took 663mg of IL-2.", Reading(edges))
    assert list(sentence.words) == expected
    assert [sentence.text[a:b] for a, b in sentence.offsets] == [w.removeprefix(GLUE) for w in expected]
    assert join(sentence.words) == "Mr. X took 663mg of IL-2 ."


def test_offsets_lead_into_the_whole_text():
    text = "Rain fell. 北京大学很好！"
    found = list(sentences_from_text("0", text, Reading(ATOMS)))
    assert [[text[a:b] for a, b in s.offsets] for s in found][-1] == [*"北京大学很好！"]


def test_raw_text_and_words_read_the_same_ids(own):
    from toner_jax.schema import make_sentence
    from toner_jax.text.ids import WordIds
    from toner_jax.text.tokenizers import load_sentencepiece

    word_ids = WordIds(load_sentencepiece(own / "t5_vocab", "hf"))
    for text in ("IL-2 binds NF-kappa in 663mg of it .", "北京大学", "x½y µg A/B"):
        words = make_sentence("0", text.split(" "), (), None).words
        raw = [sentence_from_text("0", text, Reading(edges)).words for edges in (ATOMS, WORDS)]
        assert word_ids.words(words) == word_ids.words(raw[0]) == word_ids.words(raw[1])
