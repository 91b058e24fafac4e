"""The kinds of tokenizers that models come with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toner_jax.text.tokenizers import load_sentencepiece, load_wordpiece
from toner_jax.text.train_tokenizers import Corpus, train_sentencepiece, train_wordpiece
from toner_jax.text.vocabularies import SENTENCEPIECE_FILE, WORDPIECE_FILE


@dataclass(frozen=True)
class TokenizerKind:
    """One kind of tokenizer.

    Attributes:
      file: what a folder with such a tokenizer holds, unless it holds `tokenizer.json` alone.
      load: (folder, `tokenizer.backend`) → the tokenizer.
      train: (folder, corpus, most pieces) → writes `file`, for a model without a checkpoint.
    """

    file: str
    load: Callable[[Path, str], Any]
    train: Callable[[Path, Corpus, int], object]


SENTENCEPIECE = TokenizerKind(SENTENCEPIECE_FILE, load_sentencepiece, train_sentencepiece)
WORDPIECE = TokenizerKind(WORDPIECE_FILE, load_wordpiece, train_wordpiece)
