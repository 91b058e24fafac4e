"""What users of other tools have reported of theirs, tried here; each test names the kind of report."""

from __future__ import annotations

import json
import unicodedata
from unittest import mock

import numpy as np
import pytest
from tiny import TEXTS

from toner_jax.errors import UserError
from toner_jax.predict import main

pytestmark = pytest.mark.slow

JUDGE = TEXTS[0]


def places(entities):
    return [(e.start, e.end, e.text, e.label) for e in entities]


def command(ner, source, sink, *more):
    with mock.patch("toner_jax.commands.predict.load", return_value=ner):
        return main([f"--model={ner._source[0]}", f"--input={source}", f"--output={sink}", *more])


def rows(path):
    return [json.loads(line) for line in path.read_bytes().decode().split("\n")[:-1]]


def test_offsets_after_emoji_count_characters(ner):
    """GLiNER, Label Studio: wrong offsets behind emoji, which are two units of UTF-16 and many bytes."""
    text = "😀👩‍🚀 Zorvel 🇨🇭 met Ivan Borcalski 𝔘 in Selqua 👍🏽."
    (found,) = ner.predict([text])
    assert found
    for e in found:
        assert text[e.start : e.end] == e.text
        assert len(text.encode("utf-16-le")[: 2 * e.start]) <= len(text[: e.start].encode("utf-16-le"))


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC"])
def test_offsets_are_of_the_text_before_any_normalisation(ner, form):
    """flair, SentencePiece models: spans are off where a character is composed, or is a ligature or a fraction."""
    text = unicodedata.normalize(form, "Ｊudge Zoë Ångström ﬁled ½ of it … in Selqua™ İzmir.")
    (found,) = ner.predict([text])
    assert found
    assert all(text[e.start : e.end] == e.text for e in found)
    assert not any(
        unicodedata.combining(text[edge]) for e in found for edge in (e.start, e.end) if edge < len(text)
    )


def test_no_entity_begins_or_ends_in_white_space(ner):
    """transformers' token-classification: the entity has the space before it, with tokenizers that keep it."""
    text = "   Judge \t Ivan   Borcalski\u00a0 married \u3000Professor  Jaman \r\n in   Selqua   "
    (found,) = ner.predict([text])
    assert found
    for e in found:
        assert text[e.start : e.end] == e.text == e.text.strip()


def test_no_entity_ends_inside_a_word_of_a_run_on_words(ner):
    """transformers, aggregation_strategy="simple": `Bor` and `##calski` are two entities."""
    text = "Antidisestablishmentarianist Ivan Borcalskivskyevich-Jaman met Xzqwvuth in Selquatown"
    (found,) = ner.predict([text])
    assert found
    edges = {i for i in range(1, len(text)) if text[i - 1].isalnum() and text[i].isalnum()}
    assert not edges & {edge for e in found for edge in (e.start, e.end)}


def test_line_ends_of_windows_move_offsets_and_nothing_else(ner):
    """doccano, brat: with CRLF every entity is off by the number of lines before it."""
    lines = [JUDGE, "", "Ivan Borcalski came to Selqua.", "Zorvel met Jaman in Selqua."]
    unix, windows = ner.predict(["\n".join(lines), "\r\n".join(lines)])
    assert unix
    text = "\n".join(lines)
    moved = [(e.start + text.count("\n", 0, e.start), e.end + text.count("\n", 0, e.end)) for e in unix]
    assert [(e.start, e.end) for e in windows] == moved
    assert [(e.text.replace("\r\n", "\n"), e.label) for e in windows] == [(e.text, e.label) for e in unix]


@pytest.mark.parametrize("texts", [[], [""], ["", JUDGE, " \n "], ["\u200b"], ["\0"], ["."]])
def test_empty_input_is_answered(ner, texts):
    """flair, GLiNER, SpanMarker: an empty list, an empty text, or one of blanks alone raises an IndexError."""
    found = ner.predict(texts)
    assert len(found) == len(texts)
    assert all(
        entities == [] for text, entities in zip(texts, found, strict=True) if not text.strip("\u200b \n")
    )
    assert ner.predict(words=[[] for _ in texts]) == [[] for _ in texts]


def test_a_text_is_read_alike_alone_and_among_others(ner):
    """transformers, GLiNER: other entities with batch_size=1 than with 8, as padding is attended to."""
    others = [
        "Selqua.",
        "word " * 60,
        "",
        "Zorvel met Jaman in Selqua in 1973, said Professor Ivan Borcalski.",
    ]
    (alone,), among = ner.predict([JUDGE]), ner.predict([*others, JUDGE, *others])
    assert places(alone) == places(among[len(others)])
    for one, other in zip(alone, among[len(others)], strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-4)


def test_the_end_of_a_long_text_is_read(ner):
    """GLiNER: a text is truncated to 384 words, and only a warning says so."""
    text = f"{'It rained. ' * 40}\n\n{JUDGE}"
    at = len(text) - len(JUDGE)
    (found,), (alone,) = ner.predict([text]), ner.predict([JUDGE])
    assert alone
    assert [(e.start - at, e.end - at, e.label) for e in found if e.start >= at] == [
        (e.start, e.end, e.label) for e in alone
    ]


def test_a_word_longer_than_any_input_costs_no_other(ner):
    """BERT-based taggers: a URL or a base64 string of thousands of characters raises, or ends the text."""
    blob = "QUJD" * 1_000
    (found,) = ner.predict([f"{JUDGE} {blob}\n\n{JUDGE}"])
    again = len(JUDGE) + len(blob) + 3
    (alone,) = ner.predict([JUDGE])
    assert places(alone) == [p for p in places(found) if p[1] <= len(JUDGE)]
    assert [(e.start - again, e.end - again) for e in found if e.start >= again] == [
        (e.start, e.end) for e in alone
    ]


def test_labels_keep_their_case_and_stand_once(ner):
    """GLiNER: labels are lower-cased, or `Person` and `person` are asked for as two."""
    (found,) = ner.predict([JUDGE], labels=["PERSON", "Location"])
    assert {e.label for e in found} <= {"PERSON", "Location"}
    with pytest.raises(UserError, match="'Person' and 'person' are the same type"):
        ner.predict([JUDGE], labels=["Person", "person"])
    with pytest.raises(TypeError, match=r"expected a list of names, \['person'\]"):
        ner.predict([JUDGE], labels="person")


def test_what_is_given_is_not_changed(ner):
    """GLiNER, spaCy: predict lower-cases, sorts or empties the caller's own lists."""
    texts, words, labels = [JUDGE, ""], [JUDGE.split()], {"Person": None, "Ship": "Names of vessels."}
    before = json.dumps([texts, words, labels])
    ner.predict(texts, labels)
    ner.predict(words=words)
    assert json.dumps([texts, words, labels]) == before


def test_scores_are_json_and_entities_in_order(ner):
    """transformers: "Object of type float32 is not JSON serializable"; entities sorted by score, or in no order."""
    (found,) = ner.predict([np.str_(JUDGE)])
    assert found
    assert json.loads(json.dumps(found)) == found
    assert {type(e[key]) for e in found for key in ("start", "end")} == {int}
    assert {type(e[key]) for e in found for key in ("score", "type_score", "span_score")} == {float}
    starts = [e.start for e in found]
    assert starts == sorted(starts)


def test_separators_of_unicode_end_no_row(ner, tmp_path):
    """JSON lines readers with str.splitlines: a text with U+2028, U+0085 or a form feed becomes several rows."""
    texts = [
        f"Ivan{mark}Borcalski came to Selqua."
        for mark in ("\u2028", "\u2029", "\x85", "\x0c", "\x1c", "\x0b")
    ]
    for name, lines in (
        ("in.jsonl", [json.dumps({"text": t}, ensure_ascii=False) for t in texts]),
        ("in.txt", texts),
    ):
        source, sink = tmp_path / name, tmp_path / f"{name}.out.jsonl"
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert command(ner, source, sink) == 0
        assert [row["text"] for row in rows(sink)] == texts


def test_predictions_can_be_predicted_again(ner, tmp_path):
    """spaCy, Label Studio's backends: a row that has annotations already gets two sets of them, or the old ones."""
    source, first, second = tmp_path / "in.jsonl", tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    stale = {"entities": [{"start": 0, "end": 99}], "coverage": {"unread": "all"}, "error": "old"}
    source.write_text(json.dumps({"id": 1, "text": JUDGE, **stale}) + "\n")
    assert command(ner, source, first) == command(ner, first, second) == 0
    assert rows(first) == rows(second)
    assert set(rows(first)[0]) == {"id", "text", "entities"}
