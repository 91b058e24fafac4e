"""`decode.symbols`: what is written of punctuation and symbols alone is no entity, unless that is asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import numpy as np
import pytest

from toner_jax import config as configuration
from toner_jax.atoms import GLUE, has_alphanumeric
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.inference.options import DecodeOptions
from toner_jax.inference.recognize import Recognizer
from toner_jax.runs.recognizers import decode_options
from toner_jax.schema import Entity, make_sentence
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.output import Output, WrittenSpan
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece

SCHEMA = BUILTIN["jnlpba"]
WORDS = ("IL-2", "!!!", "(", "🎉", "½", "—", "細胞")


@pytest.fixture(scope="module")
def task(own):
    return Entities(WordIds(load_sentencepiece(own / "t5_vocab", "hf")), SCHEMA)


def found(task, symbols: bool, overlap: int = 2, room: int = 400):
    """Of every word, and of all pairs, an entity."""

    def generate(params, inputs, calibration_temperature):
        spans = [
            tuple(
                WrittenSpan(start, start + length, "dna", 0.5, 1.0)
                for start in range(len(given.words))
                for length in (2, 1)
                if start + length <= len(given.words)
            )
            for given in inputs
        ]
        return [Output([], np.zeros(0, np.float32), own) for own in spans]

    options = DecodeOptions(max_source=task.overhead() + room, window_overlap=overlap, symbols=symbols)
    sentence = make_sentence("s", WORDS, (), SCHEMA)
    return Recognizer(task, generate, options)(None, [sentence], None)[0]


def test_entities_without_a_letter_or_a_digit_are_left_out_and_counted(task):
    every, worded = found(task, symbols=True), found(task, symbols=False)
    # By another rule: the places of what is none, counted by hand.
    symbols = {(1, 2), (2, 3), (3, 4), (5, 6), (1, 3), (2, 4)}
    assert len(every.entities) == 13
    assert set(worded.entities) == {e for e in every.entities if (e.start, e.end) not in symbols}
    assert Entity(0, 2, "dna") in worded.entities  # it takes a word along
    assert len(worded.scores) == len(worded.entities) == 7
    assert worded.dropped - every.dropped == Counter(symbols=6)
    assert {text for _, text in worded.items} == {"IL-2", "IL-2 !!!", "½", "🎉 ½", "½ —", "細胞", "—細胞"}


def test_in_windows_too(task):
    whole, parts = found(task, symbols=False), found(task, symbols=False, room=12)
    assert parts.coverage.windows > 1
    assert {e for e in parts.entities if e.end - e.start == 1} == {
        e for e in whole.entities if e.end - e.start == 1
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", True), ("7", True), ("½", True), ("ß", True), ("東", True), ("ह", True), ("C++", True), ("", False),
     ("$%", False), ("🎉", False), ("--", False), (GLUE, False), ("\u200b", False)],
)  # fmt: skip
def test_what_is_alphanumeric(text, expected):
    assert has_alphanumeric(text) is expected


def test_the_configuration_decides():
    config = configuration.base()
    assert "symbols" in {f.name for f in fields(DecodeOptions)}
    assert not decode_options(config).symbols
    config.decode.symbols = True
    assert decode_options(config).symbols
    for variant in (configuration.set_paper, configuration.set_authors):
        config = configuration.base()
        variant(config)
        assert config.decode.symbols
