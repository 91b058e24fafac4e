"""Ids made atom by atom and symbol by symbol.

Source, target and grammar share one memo of word → ids, so a span's ids in a target are exactly its
ids in the source, and no piece ever merges the end of an entity with the format around it. The ids of a word are those
of its atoms (`toner_jax.atoms`), whether or not an entity may end at one: so text reads the same ids however it
came, as words or as it was written. On words joined by single spaces this is what joint tokenization gives, except
where a piece would cross an atom's end (`-2`) or the format (`3)`, `)),`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from toner_jax.atoms import GLUE, bare, parts
from toner_jax.common.memo import Memo
from toner_jax.errors import UserError
from toner_jax.text.tokenizer_files import AddedToken
from toner_jax.text.tokenizers import SentencePieceTokenizer
from toner_jax.text.words import ATOMS

Ids = tuple[int, ...]
Phrase = str | tuple[str, ...]

# Words that are memoised: texts without end bring new ones all the time.
MOST_WORDS = 200_000
_MOST_PHRASES = 10_000  # names of types, and lists of them in many orders


@dataclass(frozen=True)
class Symbols:
    """The ids of the target format `[(type, entity), (type, entity)]`, symbol by symbol.

    A symbol that follows white space in the string carries the word-initial mark, others do not.
    """

    open: Ids  # "[" at the start of a target or of a list of types
    first_item: Ids  # "(" right after "["
    next_item: Ids  # "(" after "), "
    comma: Ids  # "," after a type
    item_end: Ids  # ")," after an entity that another follows
    last_end: Ids  # ")" after the last entity
    close: Ids  # "]"


def unread_tokens(added: Iterable[AddedToken], *, by_atoms: bool) -> dict[str, str]:
    """Those of a tokenizer's added tokens that no text is read as, and why; T5's and BERT's own special ones aside.

    Args:
      by_atoms: whether ids are made atom by atom, or else of whole words.
    """
    reasons: dict[str, str] = {}
    for token in added:
        if token.special:
            if not token.is_own:
                reasons[token.content] = "it is special"
        elif len(token.content.split()) != 1:
            reasons[token.content] = "it has white space"
        elif by_atoms and len(parts(token.content)) > 1:
            reasons[token.content] = "it is no single atom; tokenizer.ids=words reads it"
    return reasons


class WordIds:
    """Memoised ids of words, of strings glued to what stands before them, and of the format."""

    def __init__(self, tokenizer: SentencePieceTokenizer, by: str = ATOMS):
        """`by`: what ids are made of: "atoms", or whole "words", as joint tokenization makes them."""
        self.tokenizer = tokenizer
        self._by = by
        self._words = Memo(self._encode, MOST_WORDS)
        self._surfaces: Memo[str, str] = Memo(lambda words: map(self._make_surface, words), MOST_WORDS)
        self._glued: Memo[str, Ids] = Memo(lambda texts: map(self._make_glued, texts), _MOST_PHRASES)
        self._phrases: Memo[Phrase, Ids] = Memo(lambda all: map(self._make_phrase, all), _MOST_PHRASES)
        (self._glue_prefix,) = tokenizer.encode([GLUE])
        self.symbols = Symbols(
            open=self.word("["),
            first_item=self.glued("("),
            next_item=self.word("("),
            comma=self.glued(","),
            item_end=self.glued("),"),
            last_end=self.glued(")"),
            close=self.glued("]"),
        )

    def unread_tokens(self) -> dict[str, str]:
        """The tokens that were added to the vocabulary and that no text is read as, and why."""
        return unread_tokens(self.tokenizer.added, by_atoms=self._by == ATOMS)

    def prepare(self, words: Iterable[str]) -> None:
        """Tokenizes all words not yet known in one batched call. When there are too many to memoise, those not asked
        for now are dropped."""
        self._words.holding(words)

    def _encode(self, words: Sequence[str]) -> list[Ids]:
        """The ids of words, atom by atom."""
        cut = [parts(w) if self._by == ATOMS else (w,) for w in words]
        atoms = list(dict.fromkeys(chain.from_iterable(cut)))
        glued = [a for a in atoms if a != bare(a)]
        ids = dict(zip(atoms, self.tokenizer.encode(atoms), strict=True))
        prefix = self._glue_prefix
        alone = self.tokenizer.encode([bare(a) for a in glued]) if glued else []
        for atom, plain in zip(glued, alone, strict=True):
            # An unknown character would share `GLUE`'s piece; it follows without the space that begins a word.
            unknown = plain[: len(prefix)] == prefix
            ids[atom] = plain[len(prefix) - 1 :] if unknown else ids[atom][len(prefix) :]
        return [tuple(chain.from_iterable(ids[a] for a in w)) for w in cut]

    def word(self, word: str) -> Ids:
        """The ids of a word after white space, or of a glued one without; none for a word the tokenizer cannot see."""
        return self._words[word]

    def words(self, words: Sequence[str]) -> Ids:
        """The ids of the words of a text."""
        known = self._words.holding(words)
        return tuple(chain.from_iterable(known[w] for w in words))

    def glued(self, text: str) -> Ids:
        """The ids of `text` when its first word follows other characters without white space.

        Raises:
          UserError: the ids do not spell `text`, so that no output could be read back.
        """
        return self._glued[text]

    def _make_glued(self, text: str) -> Ids:
        first, *rest = text.split(" ")
        (ids,) = self.tokenizer.encode([GLUE + first])
        if ids[: len(self._glue_prefix)] != self._glue_prefix:
            raise UserError(f"the tokenizer merges U+E000 with {first!r}; it cannot be used")
        ids = ids[len(self._glue_prefix) :] + self._whole(rest)
        if self.decode(ids) != text:
            raise UserError(
                f"the tokenizer cannot spell {text!r}, it reads {self.decode(ids)!r}; "
                "use other characters in the names of types, or another tokenizer"
            )
        return ids

    def phrase(self, text: str) -> Ids:
        """The ids of words of ours, joined by single spaces: of whole words, not of atoms; memoised as a whole."""
        return self._phrases[text]

    def _whole(self, words: Sequence[str]) -> Ids:
        return tuple(chain.from_iterable(self.tokenizer.encode(words)))

    def type_list(self, names: Sequence[str]) -> Ids:
        """The ids of `[type, type]`, memoised as a whole."""
        return self._phrases[tuple(names)]

    def _make_phrase(self, phrase: Phrase) -> Ids:
        return self._whole(phrase.split(" ")) if isinstance(phrase, str) else self._type_list(phrase)

    def _type_list(self, names: Sequence[str]) -> Ids:
        parts: list[Ids] = [self.symbols.open]
        for i, name in enumerate(names):
            parts += [self.symbols.comma, self.phrase(name)] if i else [self.glued(name)]
        return tuple(chain.from_iterable([*parts, self.symbols.close]))

    def items(self, items: Sequence[tuple[str, Sequence[str]]]) -> Ids:
        """The ids of `[(type, entity), …]`; an item is a type's name and the entity's words."""
        s = self.symbols
        parts: list[Ids] = [s.open]
        for i, (name, words) in enumerate(items):
            parts += [s.next_item if i else s.first_item, self.glued(name), s.comma, self.words(words)]
            parts.append(s.item_end if i + 1 < len(items) else s.last_end)
        return tuple(chain.from_iterable([*parts, s.close]))

    def spell(self, ids: Iterable[int]) -> tuple[str, list[int]]:
        """The string that ids spell, and where in it each id's piece begins. An unknown piece reads `⁇`,
        without the spaces that SentencePiece's decoder adds, which would blur where words end; ids
        without a string (padding, the end, ids past the vocabulary) spell nothing."""
        t = self.tokenizer
        parts: list[str] = []
        starts: list[int] = []
        length = 0
        for i in ids:
            starts.append(length)
            if i in (t.pad_id, t.eos_id) or i >= t.vocab_size:
                continue
            parts.append("⁇" if i == t.unk_id else t.piece(i).replace("▁", " "))
            length += len(parts[-1])
        return "".join(parts), starts

    def decode(self, ids: Iterable[int]) -> str:
        """The string that ids spell, with single spaces."""
        return " ".join(self.spell(ids)[0].split())

    def surface(self, word: str) -> str:
        """The word as a generated string would spell it: normalised, what the vocabulary lacks as `⁇`. A glued one
        stays so. Memoised."""
        return self._surfaces[word]

    def _make_surface(self, word: str) -> str:
        spelled = self.decode(self.word(word))
        return spelled if word == bare(word) else GLUE + spelled
