"""Subword tokenizers behind one small interface, with two back ends.

`tf_text` runs TensorFlow Text's kernels, `hf` the tokenizers of transformers; `auto` is the first where it
can be imported, else the second. Both are made of the same things, a SentencePiece model (T5) or a WordPiece
vocabulary (BERT) and the tokens that were added to it, and both are asked only for the pieces of single words:
`toner_jax.text.ids` builds everything longer from those. Their ids are the same, but for rare strings that have two
best cuts (`----------`) or a combining mark after a character that is rewritten (`½`), so a run may change from one to
the other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from toner_jax.common.console import warn
from toner_jax.common.environment import silent_stderr, variable
from toner_jax.errors import ParameterError, UserError
from toner_jax.text.tokenizer_files import TOKENIZER_JSON, AddedToken, TokenizerFolder
from toner_jax.text.vocabularies import (
    SENTENCEPIECE_FILE,
    WORDPIECE_FILE,
    SentencePieceVocabulary,
    WordPieceVocabulary,
)


class Tokenizer(Protocol):
    """The pieces of strings; ids are those of the checkpoint's vocabulary.

    Attributes:
      vocab_size: one more than the highest id that text becomes.
      added: the tokens added to the vocabulary, special ones too.
    """

    vocab_size: int
    pad_id: int
    unk_id: int
    added: tuple[AddedToken, ...]

    def encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        """The ids of each string standing alone, without special tokens. Text that spells a special
        token (`</s>`, `[SEP]`) never becomes one."""

    def piece(self, id: int) -> str:
        """The piece as the vocabulary spells it; nothing for a special token that was added."""


class SentencePieceTokenizer(Tokenizer, Protocol):
    eos_id: int


class WordPieceTokenizer(Tokenizer, Protocol):
    cls_id: int
    sep_id: int


def load_sentencepiece(folder: str | Path, backend: str) -> SentencePieceTokenizer:
    """T5's tokenizer from a folder that holds `spiece.model` or `tokenizer.json`, with its added tokens.

    Raises:
      UserError: there is none, it is of another kind, or its files disagree.
    """
    make = _choose(backend, {"tf_text": _TfSentencePiece, "hf": _HfSentencePiece})
    made: SentencePieceTokenizer = make(_require(Path(folder), SENTENCEPIECE_FILE))
    return made


def load_wordpiece(folder: str | Path, backend: str) -> WordPieceTokenizer:
    """BERT's tokenizer from a folder that holds `vocab.txt` or `tokenizer.json`, with its added tokens;
    `tokenizer_config.json` may say `"do_lower_case": false`.

    Raises:
      UserError: there is none, it is of another kind, or its files disagree.
    """
    make = _choose(backend, {"tf_text": _TfWordPiece, "hf": _HfWordPiece})
    made: WordPieceTokenizer = make(_require(Path(folder), WORDPIECE_FILE))
    return made


def _choose(backend: str, classes: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    name = _found_backend() if backend == "auto" else backend
    if name not in classes:
        raise ParameterError("tokenizer.backend", repr(backend), f"choose one of auto, {', '.join(classes)}")
    return classes[name]


@cache
def _found_backend() -> str:
    """What "auto" stands for here."""
    if find_spec("tensorflow_text") is None:
        return "hf"
    try:
        _import_tensorflow_text()
    except UserError as error:
        warn(
            f"{error.__cause__!r}: TensorFlow Text cannot be imported; tokenizer.backend=hf, with the same ids"
        )
        return "hf"
    return "tf_text"


def _require(folder: Path, file: str) -> TokenizerFolder:
    if not any((folder / name).is_file() for name in (file, TOKENIZER_JSON)):
        raise UserError(
            f"{folder / file}: no such tokenizer file; a tokenizer folder holds {file} or {TOKENIZER_JSON}"
        )
    return TokenizerFolder(folder)


class _TfSentencePiece(SentencePieceVocabulary):
    def __init__(self, folder: TokenizerFolder):
        super().__init__(folder)
        _, tf_text = _import_tensorflow_text()
        self._tokenizer = tf_text.SentencepieceTokenizer(model=self.bytes)

    def _encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        return _rows(self._tokenizer.tokenize(strings)) if strings else []


class _HfSentencePiece(SentencePieceVocabulary):
    def __init__(self, folder: TokenizerFolder):
        super().__init__(folder)
        from tokenizers import Tokenizer as FastTokenizer
        from tokenizers.models import Unigram
        from tokenizers.pre_tokenizers import Metaspace, WhitespaceSplit
        from tokenizers.pre_tokenizers import Sequence as Steps

        # SentencePiece never matches control pieces in text; tokenizers would, and so let an input
        # inject an end of sequence. Spelled with spaces, which never reach the model, none can match.
        special = {self.model.SentencePiece.CONTROL, self.model.SentencePiece.UNKNOWN}
        rows = [
            (f" {i} " if p.type in special else p.piece, p.score) for i, p in enumerate(self.model.pieces)
        ]
        by_bytes = self.model.trainer_spec.byte_fallback
        self._tokenizer = FastTokenizer(Unigram(rows, unk_id=self.unk_id, byte_fallback=by_bytes))
        if self.normalizer is not None:
            self._tokenizer.normalizer = self.normalizer
        self._tokenizer.pre_tokenizer = Steps([WhitespaceSplit(), Metaspace()])

    def _encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        encoded = self._tokenizer.encode_batch(strings, add_special_tokens=False)
        return [tuple(e.ids) for e in encoded]


class _TfWordPiece(WordPieceVocabulary):
    def __init__(self, folder: TokenizerFolder):
        super().__init__(folder)
        tf, tf_text = _import_tensorflow_text()
        self._tokenizer = tf_text.FastBertTokenizer(
            vocab=self.pieces, token_out_type=tf.int32, lower_case_nfd_strip_accents=False
        )

    def _encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        # TensorFlow Text's own normalisation is not the one that BERT's vocabularies were made with: it
        # turns `…` into three periods, `ß` into `ss` and drops `´`.
        normalized = [self.normalizer.normalize_str(s) for s in strings]
        return _rows(self._tokenizer.tokenize(normalized)) if strings else []


class _HfWordPiece(WordPieceVocabulary):
    def __init__(self, folder: TokenizerFolder):
        super().__init__(folder)
        from tokenizers import BertWordPieceTokenizer

        vocabulary = {piece: i for i, piece in enumerate(self.pieces)}
        self._tokenizer = BertWordPieceTokenizer(vocabulary, **self.normalization)
        self._tokenizer._tokenizer.encode_special_tokens = True

    def _encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        encoded = self._tokenizer.encode_batch(strings, add_special_tokens=False)
        return [tuple(e.ids) for e in encoded]


def _rows(ragged: Any) -> list[tuple[int, ...]]:
    """Rows of a RaggedTensor of any rank ≥ 2, as tuples of Python ints."""
    if ragged.shape.rank > 2:
        ragged = ragged.merge_dims(1, -1)
    values, splits = ragged.values.numpy().tolist(), ragged.row_splits.numpy().tolist()
    return [tuple(values[a:b]) for a, b in pairwise(splits)]


def _import_tensorflow_text() -> tuple[Any, Any]:
    """TensorFlow and TensorFlow Text, quietly, and never with a GPU.

    Raises:
      UserError: TensorFlow Text cannot be imported.
    """
    if sys.modules.get("tensorflow_text") is None:
        # Its start-up lines come from C++; no environment variable stops all of them.
        with variable("TF_CPP_MIN_LOG_LEVEL", "3"), silent_stderr():
            try:
                import tensorflow as tf
                import tensorflow_text  # noqa: F401
            except Exception as error:  # a library that does not fit the others fails in ways of its own
                raise UserError(
                    f"tokenizer.backend='tf_text' needs tensorflow-text ({error}); install it, or set "
                    "tokenizer.backend to auto or hf"
                ) from error
            tf.config.set_visible_devices([], "GPU")
    return sys.modules["tensorflow"], sys.modules["tensorflow_text"]
