"""Strings that hold tokens which were added to a vocabulary, cut at these as transformers cuts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from typing import Any

from toner_jax.text.tokenizer_files import AddedToken

_TEXT = "\ue000"

Ids = tuple[int, ...]


class AddedTokens:
    """The tokens that text can become.

    The strings are cut by the tokenizers library itself, whose rules (what is normalised first, which of several
    tokens is taken, what white space goes with it) are those of every checkpoint's training.
    """

    def __init__(self, tokens: Sequence[AddedToken], normalizer: Any):
        """`normalizer`: of the tokenizers library, or None."""
        from tokenizers import AddedToken as Token
        from tokenizers import Tokenizer
        from tokenizers.models import WordLevel

        used = [t for t in tokens if not t.special]
        self._cutter = Tokenizer(WordLevel({_TEXT: 0}, unk_token=_TEXT))
        if normalizer is not None:
            self._cutter.normalizer = normalizer
        self._normalizer = normalizer
        self._cutter.add_tokens(
            [
                Token(
                    t.content,
                    single_word=t.single_word,
                    lstrip=t.lstrip,
                    rstrip=t.rstrip,
                    normalized=t.normalized,
                )
                for t in used
            ]
        )
        self._ids = {self._cutter.token_to_id(t.content): t.id for t in used}

    def __bool__(self) -> bool:
        return bool(self._ids)

    def encode(
        self,
        strings: Sequence[str],
        alone: Callable[[Sequence[str]], list[Ids]],
        after: Callable[[Sequence[str]], list[Ids]],
    ) -> list[Ids]:
        """The ids of strings.

        Args:
          alone, after: give the ids of strings without added tokens, that stand at the beginning, or after a token.
        """
        cut = [
            self._cut(*pair) for pair in zip(strings, self._cutter.encode_batch(list(strings)), strict=True)
        ]
        texts = {(at > 0, part) for parts in cut for at, part in enumerate(parts) if isinstance(part, str)}
        ids: dict[tuple[bool, str], Ids] = {}
        for later, encode in ((False, alone), (True, after)):
            chosen = sorted(text for is_later, text in texts if is_later == later)
            ids.update(zip(((later, text) for text in chosen), encode(chosen), strict=True))
        rows = (
            [(p,) if isinstance(p, int) else ids[at > 0, p] for at, p in enumerate(parts)] for parts in cut
        )
        return [tuple(chain.from_iterable(row)) for row in rows]

    def _cut(self, string: str, encoding: Any, again: bool = True) -> list[str | int]:
        """Ids of added tokens, and the strings between them."""
        if len(encoding.ids) < 2 and 0 in encoding.ids:  # no token in it
            return [string]
        if again and any(b[0] < a[1] for a, b in pairwise(encoding.offsets)):
            # Normalising made several characters of one, and a token is a part of them.
            normalized = self._normalizer.normalize_str(string)
            return self._cut(normalized, self._cutter.encode(normalized), again=False)
        return [
            self._ids[id] if id else string[begin:end]
            for id, (begin, end) in zip(encoding.ids, encoding.offsets, strict=True)
        ]
