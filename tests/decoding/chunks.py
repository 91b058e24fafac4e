"""A tokenizer small enough to reason about: a word's first two characters with the word mark, then two by two."""

from __future__ import annotations

import re
from collections.abc import Sequence

from toner_jax.text.ids import WordIds


class ChunkTokenizer:
    """Pieces of at most two characters, numbered as they are met."""

    pad_id, eos_id, unk_id = 0, 1, 2
    vocab_size = 1_000

    def __init__(self) -> None:
        self._pieces = ["<pad>", "</s>", "<unk>"]
        self._ids: dict[str, int] = {}

    def encode(self, strings: Sequence[str]) -> list[tuple[int, ...]]:
        return [tuple(self._id(p) for p in _cut(s)) for s in strings]

    def piece(self, id: int) -> str:
        return self._pieces[id]

    def _id(self, piece: str) -> int:
        if piece not in self._ids:
            self._ids[piece] = len(self._pieces)
            self._pieces.append(piece)
        return self._ids[piece]


def _cut(string: str) -> list[str]:
    pieces: list[str] = []
    for word in string.split():
        # Nothing crosses the private-use character that `WordIds` glues with.
        first, *rest = re.findall("\ue000|[^\ue000]{1,2}", word)
        pieces += [f"▁{first}", *rest]
    return pieces


def word_ids() -> WordIds:
    return WordIds(ChunkTokenizer())  # type: ignore[arg-type]
