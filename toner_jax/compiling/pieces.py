"""A tokenizer for programs that are only compiled: any text in pieces of a few characters, without a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

from toner_jax.atoms import GLUE, bare
from toner_jax.text.tokenizer_files import AddedToken

_CHARACTERS = 4  # of a piece: about as many as in the pieces of a trained vocabulary
_FIRST = 3  # after the padding, the end and the unknown piece


class PlainPieces:
    """`toner_jax.text.tokenizers.SentencePieceTokenizer`: grammars can be spelled with it, as with a real one."""

    vocab_size = 32_000
    pad_id, eos_id, unk_id = 0, 1, 2
    added: tuple[AddedToken, ...] = ()

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        return [
            tuple(self._id(piece) for word in text.split(" ") for piece in _cut(word)) for text in strings
        ]

    def piece(self, id: int) -> str:
        return list(self._ids)[id - _FIRST]

    def _id(self, piece: str) -> int:
        return self._ids.setdefault(piece, _FIRST + len(self._ids))


def _cut(word: str) -> list[str]:
    """The pieces of a word after white space; what is glued to the word before it has a piece more, for the glue."""
    rest = bare(word)
    begin = [f"▁{GLUE}"] if rest != word else []
    rest = rest if begin else f"▁{rest}"
    return begin + [rest[i : i + _CHARACTERS] for i in range(0, len(rest), _CHARACTERS)]
