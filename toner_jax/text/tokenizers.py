"""Subword tokenizers behind one small interface, with two back ends.

`tf_text` runs TensorFlow Text's kernels, `hf` the tokenizers of transformers; `auto` is the first where it
can be imported, else the second. Both read the same two files, a SentencePiece model (T5) or a WordPiece
vocabulary (BERT), and both are asked only for the pieces of single words: `toner_jax.text.ids` builds
everything longer from those. Their ids are the same, but for rare strings that have two best cuts (`----------`)
or a combining mark after a character that is rewritten (`½`), so a run may change from one to the other.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from toner_jax.common.cache import digest
from toner_jax.common.console import warn
from toner_jax.common.environment import variable
from toner_jax.errors import ParameterError, UserError

SENTENCEPIECE_FILE = "spiece.model"
WORDPIECE_FILE = "vocab.txt"


class Tokenizer(Protocol):
    """The pieces of strings; ids are those of the checkpoint's vocabulary."""

    vocab_size: int
    pad_id: int
    unk_id: int

    def encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        """The ids of each string standing alone, without special tokens. Text that spells a special
        token (`</s>`, `[SEP]`) never becomes one."""

    def piece(self, id: int) -> str:
        """The piece as the vocabulary spells it."""


class SentencePieceTokenizer(Tokenizer, Protocol):
    eos_id: int
    digest: str  # of all that the ids depend on


class WordPieceTokenizer(Tokenizer, Protocol):
    cls_id: int
    sep_id: int


def load_sentencepiece(folder: str | Path, backend: str) -> SentencePieceTokenizer:
    """T5's tokenizer from a folder that holds `spiece.model`."""
    path = _require(Path(folder) / SENTENCEPIECE_FILE)
    made: SentencePieceTokenizer = _choose(backend, {"tf_text": _TfSentencePiece, "hf": _HfSentencePiece})(
        path
    )
    return made


def load_wordpiece(folder: str | Path, backend: str) -> WordPieceTokenizer:
    """BERT's tokenizer from a folder that holds `vocab.txt`; `tokenizer_config.json` may say
    `"do_lower_case": false`."""
    path = _require(Path(folder) / WORDPIECE_FILE)
    settings = path.with_name("tokenizer_config.json")
    try:
        lower_case = json.loads(settings.read_text("utf-8")).get("do_lower_case", True)
    except FileNotFoundError:
        lower_case = True
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{settings}: not a tokenizer's settings ({error})") from error
    made: WordPieceTokenizer = _choose(backend, {"tf_text": _TfWordPiece, "hf": _HfWordPiece})(
        path, lower_case
    )
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


def _require(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path}: no such tokenizer file; a tokenizer folder holds {path.name}")
    return path


class _SentencePieceVocabulary:
    """What both SentencePiece back ends read from the model file itself."""

    def __init__(self, path: Path):
        import sentencepiece

        try:
            self._vocabulary = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise UserError(f"{path}: not a SentencePiece model ({error})") from error
        self.vocab_size: int = self._vocabulary.vocab_size()
        self.digest = digest(type(self).__name__, path.read_bytes())
        self.pad_id: int = self._vocabulary.pad_id()
        self.unk_id: int = self._vocabulary.unk_id()
        self.eos_id: int = self._vocabulary.eos_id()
        if min(self.pad_id, self.unk_id, self.eos_id) < 0:
            raise UserError(f"{path}: not a T5 model, it lacks a piece for padding, the end or the unknown")

    def piece(self, id: int) -> str:
        return self._vocabulary.id_to_piece(id)


class _TfSentencePiece(_SentencePieceVocabulary):
    def __init__(self, path: Path):
        super().__init__(path)
        _, tf_text = _import_tensorflow_text()
        self._tokenizer = tf_text.SentencepieceTokenizer(model=path.read_bytes())

    def encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        return _rows(self._tokenizer.tokenize(encodable(strings))) if strings else []


class _HfSentencePiece(_SentencePieceVocabulary):
    def __init__(self, path: Path):
        super().__init__(path)
        from tokenizers import Tokenizer as FastTokenizer

        with variable("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1"):  # that PyTorch is absent is no news
            from transformers import T5Tokenizer

        # SentencePiece never matches control pieces in text; tokenizers would, and so let an input
        # inject an end of sequence. Spelled with spaces, which never reach the model, none can match.
        state = json.loads(T5Tokenizer.from_pretrained(str(path.parent)).backend_tokenizer.to_str())
        special = {token["content"] for token in state.pop("added_tokens")}
        state["added_tokens"], state["post_processor"] = [], None
        state["model"]["vocab"] = [
            [f" {i} " if piece in special else piece, score]
            for i, (piece, score) in enumerate(state["model"]["vocab"])
        ]
        self._tokenizer = FastTokenizer.from_str(json.dumps(state))

    def encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        encoded = self._tokenizer.encode_batch(encodable(strings), add_special_tokens=False)
        return [tuple(e.ids) for e in encoded]


class _WordPieceVocabulary:
    """What both WordPiece back ends read from the vocabulary file itself."""

    def __init__(self, path: Path):
        try:
            pieces = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not a BERT vocabulary ({error})") from error
        self._pieces = pieces[:-1] if pieces[-1] == "" else pieces
        ids = {piece: i for i, piece in enumerate(self._pieces)}
        missing = [p for p in ("[PAD]", "[UNK]", "[CLS]", "[SEP]") if p not in ids]
        if missing:
            raise UserError(f"{path}: not a BERT vocabulary, it lacks {', '.join(missing)}")
        self.vocab_size = len(self._pieces)
        self.pad_id, self.unk_id = ids["[PAD]"], ids["[UNK]"]
        self.cls_id, self.sep_id = ids["[CLS]"], ids["[SEP]"]

    def piece(self, id: int) -> str:
        return self._pieces[id]


class _TfWordPiece(_WordPieceVocabulary):
    def __init__(self, path: Path, lower_case: bool):
        super().__init__(path)
        tf, tf_text = _import_tensorflow_text()
        from tokenizers.normalizers import BertNormalizer

        # TensorFlow Text's own normalisation is not the one that BERT's vocabularies were made with: it
        # turns `…` into three periods, `ß` into `ss` and drops `´`.
        self._normalize = BertNormalizer(lowercase=lower_case).normalize_str
        self._tokenizer = tf_text.FastBertTokenizer(
            vocab=self._pieces, token_out_type=tf.int32, lower_case_nfd_strip_accents=False
        )

    def encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        normalized = [self._normalize(s) for s in encodable(strings)]
        return _rows(self._tokenizer.tokenize(normalized)) if strings else []


class _HfWordPiece(_WordPieceVocabulary):
    def __init__(self, path: Path, lower_case: bool):
        super().__init__(path)
        from tokenizers import BertWordPieceTokenizer

        self._tokenizer = BertWordPieceTokenizer(str(path), lowercase=lower_case)
        self._tokenizer._tokenizer.encode_special_tokens = True

    def encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        encoded = self._tokenizer.encode_batch(encodable(strings), add_special_tokens=False)
        return [tuple(e.ids) for e in encoded]


def _rows(ragged: Any) -> list[tuple[int, ...]]:
    """Rows of a RaggedTensor of any rank ≥ 2, as tuples of Python ints."""
    if ragged.shape.rank > 2:
        ragged = ragged.merge_dims(1, -1)
    values, splits = ragged.values.numpy().tolist(), ragged.row_splits.numpy().tolist()
    return [tuple(values[a:b]) for a, b in pairwise(splits)]


def encodable(strings: Sequence[str]) -> list[str]:
    """Lone surrogates have no UTF-8 form; each becomes a question mark."""
    return [s.encode("utf-8", "replace").decode("utf-8") if not s.isascii() else s for s in strings]


def _import_tensorflow_text() -> tuple[Any, Any]:
    """TensorFlow and TensorFlow Text, quietly, and never with a GPU.

    Raises:
      UserError: TensorFlow Text cannot be imported.
    """
    if sys.modules.get("tensorflow_text") is None:
        # Its start-up lines come from C++; no environment variable stops all of them.
        with variable("TF_CPP_MIN_LOG_LEVEL", "3"), _silent_stderr():
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


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Within, nothing of this process comes out at standard error, C++ included."""
    try:
        saved = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
