"""A task: what the generator is asked, what it should answer, what it may answer, and how an answer is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from toner_jax.schema import Schema, Sentence
from toner_jax.tasks.grammar import Grammar
from toner_jax.tasks.output import Output
from toner_jax.tasks.recognized import Recognized
from toner_jax.text.ids import Ids, WordIds


@dataclass(frozen=True)
class Prompt:
    """A prompt's ids without the end of sequence; `ids[text_start:text_end]` are the text's own."""

    ids: Ids
    text_start: int
    text_end: int


class Task(Protocol):
    """One task over the types of a schema.

    Attributes:
      name: what runs and messages call it.
      word_ids: how words become ids.
      schema: the types that are asked for.
    """

    name: str
    word_ids: WordIds
    schema: Schema

    def prompt(self, words: Sequence[str], matched: Sequence[str] | None) -> Prompt:
        """What the generator reads: the instruction around a text; `matched` is T′ by descending similarity, None
        without type matching."""

    def teaches(self, sentence: Sentence) -> bool:
        """Whether there is a target for the sentence."""

    def target(self, sentence: Sentence) -> Ids:
        """The answer that training teaches, without the end of sequence."""

    def overhead(self) -> int:
        """Pieces of the longest prompt around a text, its end of sequence included."""

    def grammar(self) -> Grammar:
        """What may be answered."""

    def read(self, words: Sequence[str], output: Output) -> Recognized:
        """What an answer says about a text of these words; never raises, whatever was written."""
