"""The prompts of the paper (§3.1, §3.2, §3.4, §3.5), each written down once: as a wording, of which the string for
people and the ids for the model are both made.

Models know the wording that they were trained with: a finished run does not notice when it changes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from toner_jax.atoms import join
from toner_jax.tasks.task import Prompt
from toner_jax.text.ids import Ids, WordIds

Part = str | tuple[str, ...]  # a phrase, or a list of types
Line = tuple[Part, ...]

EXPLAIN = "and give explanations."


@dataclass(frozen=True)
class Wording:
    """The lines of a prompt around a text.

    Attributes:
      before: the lines before the text, which stands at the end of the last of them.
      after: the lines after it.
    """

    before: tuple[Line, ...]
    after: tuple[Line, ...] = ()

    def string(self, words: Sequence[str]) -> str:
        """The prompt for people."""
        *lines, last = map(_line, self.before)
        return "\n".join([*lines, f"{last} {join(words)}", *map(_line, self.after)])

    def prompt(self, word_ids: WordIds, words: Sequence[str]) -> Prompt:
        """The prompt for the model, which sees a space where a line ends."""
        before, text, after = _ids(word_ids, self.before), word_ids.words(words), _ids(word_ids, self.after)
        return Prompt(before + text + after, len(before), len(before) + len(text))


def _line(line: Line) -> str:
    return " ".join(part if isinstance(part, str) else f"[{', '.join(part)}]" for part in line)


def _ids(word_ids: WordIds, lines: tuple[Line, ...]) -> Ids:
    parts = chain.from_iterable(lines)
    ids = (word_ids.phrase(part) if isinstance(part, str) else word_ids.type_list(part) for part in parts)
    return tuple(chain.from_iterable(ids))


def entities(types: Sequence[str], matched: Sequence[str] | None, *, explain: bool = False) -> Wording:
    """Asks for entities (§3.1), with T′, the likely types (§3.2), and for an explanation too (§3.5) if told so.

    Args:
      types: T.
      matched: T′ by descending similarity; None without type matching leaves its line out.
    """
    instruction: Line = ("List all named entities of type", tuple(types))
    if explain:
        instruction += (EXPLAIN,)
    likely: Line = () if matched is None else ("Entities of type", tuple(matched), "may exist in text.")
    return Wording((instruction, ("Text:",)), (likely,) if likely else ())


def occurring_types(types: Sequence[str]) -> Wording:
    """Asks which of the types occur (§3.4), never with T′."""
    return Wording((("List all entity types in the text from type", tuple(types)), ("Text:",)))


def overhead(word_ids: WordIds, types: Sequence[str]) -> int:
    """Pieces of the longest of these prompts around a text, its end of sequence included, with any T′ in any order.
    One that asks for an explanation has those of `EXPLAIN` besides.

    Entities and occurring types are trained on the same parts of sentences and decoded in the same lengths, so they
    share it.
    """
    # The first type of a list stands glued to its bracket, where it may have more pieces.
    orders = [(first, *(n for n in types if n != first)) for first in types]
    wordings = [*(entities(types, matched) for matched in orders), occurring_types(types)]
    return max(len(w.prompt(word_ids, ()).ids) for w in wordings) + 1
