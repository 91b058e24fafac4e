"""The prompts of the paper (§3.1, §3.2, §3.4, §3.5), each written down once: as a wording, of which the string for
people and the ids for the model are both made.

Models know the wording that they were trained with: a finished run does not notice when it changes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from toner_jax.atoms import GLUE, bare, join
from toner_jax.tasks.task import Prompt
from toner_jax.text.ids import Ids, WordIds

Part = (
    str | tuple[str, ...]
)  # a phrase, or a list of types; a phrase that begins with GLUE has no space before it
Line = tuple[Part, ...]

EXPLAIN = "and give explanations."


@dataclass(frozen=True)
class Phrases:
    """The words of the prompts around the lists of types.

    Attributes:
      entities, types: before T, where entities and where the types that occur are asked for.
      stop: after T, where no explanation is asked for.
      likely: before and after T′.
    """

    entities: str
    types: str
    stop: str
    likely: tuple[str, str]


PAPER = Phrases(
    "List all named entities of type",
    "List all entity types in the text from type",
    "",
    ("Entities of type", "may exist in text."),
)
# As the authors' released code has them, whatever the paper prints.
AUTHORS = Phrases(
    "List all named entities of the type",
    "List all entity types in the text of the type",
    GLUE + ".",
    ("Entities of type", "may exist in text"),
)
PHRASES = {"paper": PAPER, "authors": AUTHORS}  # by the values of generator.prompts


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
    return join([part if isinstance(part, str) else f"[{', '.join(part)}]" for part in line])


def _ids(word_ids: WordIds, lines: tuple[Line, ...]) -> Ids:
    parts = chain.from_iterable(lines)
    return tuple(chain.from_iterable(_part_ids(word_ids, part) for part in parts))


def _part_ids(word_ids: WordIds, part: Part) -> Ids:
    if not isinstance(part, str):
        return word_ids.type_list(part)
    return word_ids.glued(bare(part)) if part.startswith(GLUE) else word_ids.phrase(part)


def entities(
    types: Sequence[str],
    matched: Sequence[str] | None,
    *,
    explain: bool = False,
    phrases: Phrases = PAPER,
) -> Wording:
    """Asks for entities (§3.1), with T′, the likely types (§3.2), and for an explanation too (§3.5) if told so.

    Args:
      types: T.
      matched: T′ by descending similarity; None without type matching leaves its line out.
    """
    p = phrases
    end = EXPLAIN if explain else p.stop
    instruction: Line = (p.entities, tuple(types), *((end,) if end else ()))
    before, after = p.likely
    likely: tuple[Line, ...] = () if matched is None else ((before, tuple(matched), after),)
    return Wording((instruction, ("Text:",)), likely)


def occurring_types(types: Sequence[str], phrases: Phrases = PAPER) -> Wording:
    """Asks which of the types occur (§3.4), never with T′."""
    stop = (phrases.stop,) if phrases.stop else ()
    return Wording(((phrases.types, tuple(types), *stop), ("Text:",)))


def overhead(word_ids: WordIds, types: Sequence[str], phrases: Phrases = PAPER) -> int:
    """Pieces of the longest of these prompts around a text, its end of sequence included, with any T′ in any order.
    One that asks for an explanation has those of `EXPLAIN` besides.

    Entities and occurring types are trained on the same parts of sentences and decoded in the same lengths, so they
    share it.
    """
    # The first type of a list stands glued to its bracket, where it may have more pieces.
    orders = [(first, *(n for n in types if n != first)) for first in types]
    wordings = [
        *(entities(types, matched, phrases=phrases) for matched in orders),
        occurring_types(types, phrases),
    ]
    return max(len(w.prompt(word_ids, ()).ids) for w in wordings) + 1
