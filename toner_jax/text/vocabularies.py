"""What the back ends of a tokenizer have in common: its vocabulary, the tokens added to it, and what they cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from toner_jax.atoms import GLUE
from toner_jax.errors import UserError
from toner_jax.text.added_tokens import AddedTokens
from toner_jax.text.tokenizer_files import TOKENIZER_JSON, TokenizerFolder
from toner_jax.text.tokenizer_json import (
    bert_normalization,
    continues_without_space,
    sentencepiece_model,
    unigram_pieces,
    wordpiece_pieces,
)

SENTENCEPIECE_FILE = "spiece.model"
WORDPIECE_FILE = "vocab.txt"


def _check_agreement(folder: TokenizerFolder, file: str, pieces: Sequence[str], whole: Sequence[str]) -> None:
    """Raises: UserError: `tokenizer.json` has other pieces than the file beside it."""
    for i, (one, other) in enumerate(zip_longest(pieces, whole[: len(pieces)])):
        if one != other:
            raise UserError(
                f"{folder.path / TOKENIZER_JSON}: has {other!r} for id {i}, where {file} has {one!r}; remove the one "
                "that is not this checkpoint's"
            )


class _WithAddedTokens:
    """A vocabulary, and the tokens that were added to it."""

    vocab_size: int

    def _add(self, folder: TokenizerFolder, pieces: Sequence[str], normalizer: Any) -> None:
        """`pieces`: of the vocabulary itself, by id."""
        self.added = folder.added_tokens
        for token in self.added:
            if not token.special and token.id < len(pieces) and pieces[token.id] != token.content:
                raise UserError(
                    f"{folder.path}: the added token {token.content!r} has the id {token.id} of the vocabulary's "
                    f"{pieces[token.id]!r}; save the tokenizer anew"
                )
        known = {t.id: "" if t.special else t.content for t in self.added}
        self._beyond = {id: piece for id, piece in known.items() if id >= len(pieces)}
        self.vocab_size = max([len(pieces), *(id + 1 for id, piece in self._beyond.items() if piece)])
        self._size, self._added_tokens = len(pieces), AddedTokens(self.added, normalizer)

    def encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        strings = encodable(strings)
        if not self._added_tokens or not strings:
            return self._encode(strings)
        return self._added_tokens.encode(strings, self._encode, self._encode_after)

    def piece(self, id: int) -> str:
        return self._beyond.get(id, "") if id >= self._size else self._own_piece(id)

    def _encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        """The ids of strings that hold no added token."""
        raise NotImplementedError

    def _encode_after(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        """As `_encode`, where an added token stands before each."""
        return self._encode(strings)

    def _own_piece(self, id: int) -> str:
        raise NotImplementedError


class SentencePieceVocabulary(_WithAddedTokens):
    """What both SentencePiece back ends are made of."""

    def __init__(self, folder: TokenizerFolder):
        import sentencepiece
        from sentencepiece import sentencepiece_model_pb2
        from tokenizers.normalizers import Precompiled

        path = folder.path / SENTENCEPIECE_FILE
        alone = not path.is_file()
        try:
            self.bytes = sentencepiece_model(folder) if alone else path.read_bytes()
            path = folder.path / TOKENIZER_JSON if alone else path
            if not self.bytes:
                raise RuntimeError("it is empty")
            self._vocabulary = sentencepiece.SentencePieceProcessor(model_proto=self.bytes)
        except (OSError, RuntimeError) as error:
            raise UserError(f"{path}: not a SentencePiece model ({error})") from error
        protobuf: Any = sentencepiece_model_pb2  # generated code that type checkers cannot read
        self.model = protobuf.ModelProto.FromString(self.bytes)
        v = self._vocabulary
        self.pad_id, self.unk_id, self.eos_id = v.pad_id(), v.unk_id(), v.eos_id()
        if min(self.pad_id, self.unk_id, self.eos_id) < 0:
            raise UserError(f"{path}: not a T5 model, it lacks a piece for padding, the end or the unknown")
        if self.model.trainer_spec.model_type != self.model.trainer_spec.UNIGRAM:
            raise UserError(f"{path}: not a T5 model, which is SentencePiece's unigram model")
        pieces = [p.piece for p in self.model.pieces]
        if not alone and folder.whole:
            _check_agreement(folder, path.name, pieces, [piece for piece, _ in unigram_pieces(folder)])
        charsmap = self.model.normalizer_spec.precompiled_charsmap
        self.normalizer = Precompiled(charsmap) if charsmap else None
        self._joins = continues_without_space(folder)
        self._add(folder, pieces, self.normalizer)

    def _encode_after(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        if not self._joins:
            return self._encode(strings)
        prefix, *rows = self._encode([GLUE, *(GLUE + s for s in strings)])
        n = len(prefix)
        # An unknown character would share `GLUE`'s piece; it follows without the piece of the space.
        return [
            own[n - 1 :] if own[:n] == prefix else row[n:]
            for row, own in zip(rows, self._encode(strings), strict=True)
        ]

    def _own_piece(self, id: int) -> str:
        return str(self._vocabulary.id_to_piece(id))


class WordPieceVocabulary(_WithAddedTokens):
    """What both WordPiece back ends are made of."""

    def __init__(self, folder: TokenizerFolder):
        from tokenizers.normalizers import BertNormalizer

        path = folder.path / WORDPIECE_FILE
        if path.is_file():
            self.pieces = _read_vocabulary(path)
            if folder.whole:
                _check_agreement(folder, path.name, self.pieces, wordpiece_pieces(folder, self.pieces))
        else:
            path, self.pieces = folder.path / TOKENIZER_JSON, wordpiece_pieces(folder)
        ids = {piece: i for i, piece in enumerate(self.pieces)}
        missing = [p for p in ("[PAD]", "[UNK]", "[CLS]", "[SEP]") if p not in ids]
        if missing:
            raise UserError(f"{path}: not a BERT vocabulary, it lacks {', '.join(missing)}")
        self.pad_id, self.unk_id = ids["[PAD]"], ids["[UNK]"]
        self.cls_id, self.sep_id = ids["[CLS]"], ids["[SEP]"]
        self.normalization = bert_normalization(folder)
        self.normalizer = BertNormalizer(**self.normalization)
        self._add(folder, self.pieces, self.normalizer)

    def _own_piece(self, id: int) -> str:
        return self.pieces[id]


def _read_vocabulary(path: Path) -> list[str]:
    try:
        pieces = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a BERT vocabulary ({error})") from error
    return pieces[:-1] if pieces[-1] == "" else pieces


def encodable(strings: Sequence[str]) -> list[str]:
    """Lone surrogates have no UTF-8 form; each becomes a question mark."""
    return [s.encode("utf-8", "replace").decode("utf-8") if not s.isascii() else s for s in strings]
