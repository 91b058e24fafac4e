"""The field's words: a reader who greps for one finds it where the thing lives, and finds no other word for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import toner_jax

PACKAGE = Path(toner_jax.__file__).parent

# Word → the module that does it.
LIVES = {
    "KV cache": "models/decoder.py",
    "keys transposed|transposed keys|keys_transposed|, transposed": "models/decoder.py",
    "prefill": "models/decoder.py",
    "encode": "models/decoder.py",
    "init_cache": "models/decoder.py",
    "speculative decoding": "decoding/speculative.py",
    "draft, verify, accept": "decoding/speculative.py",
    "drafts": "decoding/drafts.py",
    "continuous batching": "decoding/continuous_batching.py",
    "admit": "decoding/continuous_batching.py",
    "slots": "decoding/continuous_batching.py",
    "constrained decoding": "inference/constrained.py",
    "automaton": "decoding/automaton.py",
    "tape": "decoding/tape.py",
    "length_buckets": "inference/lengths.py",
    "forced prefix|ForcedPrefix": "decoding/search.py",
    "beam search": "decoding/search.py",
    "NaN": "training/state.py",
    "throughput": "training/throughput.py",
    "MFU": "training/throughput.py",
    "location": "data/reading.py",
    "sort_key": "schema.py",
    "word_index|index of its word": "decoding/tape.py",
    "memoised": "text/ids.py",
    "cached": "common/cache.py",
    "confidence": "tasks/recognized.py",
    "calibration": "evaluation/calibration.py",
    "calibration temperature": "evaluation/calibration_temperature.py",
    "type_threshold": "runs/matcher.py",
    "threshold": "tasks/recognized.py",
}

# Words that stood for something above, with the folders in which they would do so again.
GONE = {
    r"ladders?": (".",),
    r"refill(s|ed|ing)?": (".",),
    r"min_score": (".",),
    r"no number": (".",),
    r"guess(es|ed)?": (".",),
    r"hints?": ("decoding", "inference", "tasks"),
    r"queues?": ("decoding", "inference"),
    r"blocks?": ("decoding", "inference"),
    r"begun": ("decoding", "inference"),
    r"places?": ("data/formats", "decoding", "inference"),
    r"columns": ("decoding", "inference"),
    r"(?<!calibration_)(?<!log_)temperature: (jax|float)": ("decoding", "inference", "runs", "api.py"),
}


def lines(folder: str) -> list[tuple[str, str]]:
    """(file:line, text) of every line of the package's code below a folder, or of one file."""
    root = PACKAGE / folder
    files = sorted(root.rglob("*.py")) if root.is_dir() else [root]
    return [
        (f"{file.relative_to(PACKAGE)}:{i}", line)
        for file in files
        for i, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
    ]


@pytest.mark.parametrize("word", LIVES)
def test_a_word_of_the_field_stands_where_it_is_meant(word):
    text = (PACKAGE / LIVES[word]).read_text(encoding="utf-8")
    assert re.search(word, text, re.IGNORECASE)


@pytest.mark.parametrize("word", GONE)
def test_no_other_word_stands_for_it(word):
    found = [at for folder in GONE[word] for at, line in lines(folder) if re.search(rf"\b(?:{word})\b", line)]
    assert found == []
