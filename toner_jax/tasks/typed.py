"""What the tasks have in common that ask for a schema's types by the paper's prompts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from toner_jax.schema import Schema, Sentence
from toner_jax.tasks import prompts
from toner_jax.text.ids import WordIds


@dataclass(frozen=True)
class Writing:
    """How prompts and targets are written.

    Attributes:
      phrases: the words of the prompts.
      unique_pairs: whether a target names each (type, string) of a sentence once, where it first stands, as the
        authors' code does, or else each mention.
    """

    phrases: prompts.Phrases = prompts.PAPER
    unique_pairs: bool = False


class TypedTask:
    """The part of a `Task` that depends on the tokenizer, the schema and how it is written alone."""

    def __init__(self, word_ids: WordIds, schema: Schema, writing: Writing = Writing()):
        self.word_ids, self.schema, self.writing = word_ids, schema, writing

    def teaches(self, sentence: Sentence) -> bool:
        return True

    def overhead(self) -> int:
        return self._overhead

    @cached_property
    def _overhead(self) -> int:
        return prompts.overhead(self.word_ids, self.schema.names, self.writing.phrases)
