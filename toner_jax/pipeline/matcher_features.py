"""From words to the type matching model's ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from toner_jax.atoms import whole_words
from toner_jax.common.console import warn
from toner_jax.common.lazy import Lazy
from toner_jax.common.memo import Memo
from toner_jax.parallel.exchange import by_share, share
from toner_jax.schema import Schema
from toner_jax.text.ids import MOST_WORDS, Ids
from toner_jax.text.tokenizers import WordPieceTokenizer

_MOST_TOLD = 1_000  # schemas whose long descriptions are remembered to have been named


class MatcherFeatures:
    """Makes the type matching model's inputs: `[CLS] text [SEP]`, made word by word."""

    def __init__(self, tokenizer: WordPieceTokenizer, max_length: int = 512, told: Iterable[Schema] = ()):
        """`told`: the schemas whose long descriptions have been named before."""
        self.tokenizer = tokenizer
        self._words: Memo[str, Ids] = Memo(tokenizer.encode, MOST_WORDS)
        self._told = set(told)
        self.max_length = max_length

    def encode(self, words: Sequence[str]) -> np.ndarray:
        """int32 ids. Pieces past `max_length` are left out, in the matcher's view alone: T′ is a summary of the whole
        sentence; the generator still encodes every word."""
        words = whole_words(words)
        known = self._words.holding(words)
        ids = [i for w in words for i in known[w]]
        return np.array([self.tokenizer.cls_id, *ids[: self.max_length - 2], self.tokenizer.sep_id], np.int32)

    def encoded(self, texts: Sequence[Sequence[str]]) -> tuple[Sequence[np.ndarray], np.ndarray]:
        """`encode` of each text, made when it is asked for, and the lengths, int [N], of which each process finds out
        its share."""
        self.prepare(w for i in share(len(texts)) for w in texts[i])
        rows = Lazy(lambda i: self.encode(texts[i]), len(texts))
        return rows, np.array(by_share(lambda i: len(rows[i]), len(texts)), int)

    def is_shortened(self, words: Sequence[str]) -> bool:
        """Whether `encode` leaves some of it out."""
        words = whole_words(words)
        known = self._words.holding(words)
        return sum(len(known[w]) for w in words) > self.max_length - 2

    def prepare(self, words: Iterable[str]) -> None:
        """Tokenizes all words not yet known in one call; as `WordIds` it memoises only so many."""
        self._words.holding(whole_words(words))

    def descriptions(self, schema: Schema) -> list[np.ndarray]:
        """D_t of every type, in schema order; of one that is too long the beginning, said so."""
        self.tell_long_descriptions(schema)
        return [self.encode(t.text.split(" ")) for t in schema.types]

    def tell_long_descriptions(self, schema: Schema) -> None:
        """Names the types of whose description only the beginning is read, once for each schema."""
        if schema in self._told:
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told.add(schema)
        if long := [t.name for t in schema.types if self.is_shortened(t.text.split(" "))]:
            warn(
                f"types described at more length than the type matcher reads ({self.max_length} pieces): "
                f"{', '.join(long)}"
            )
