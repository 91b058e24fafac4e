"""What the tasks have in common that ask for a schema's types by the paper's prompts."""

from __future__ import annotations

from functools import cached_property

from toner_jax.schema import Schema, Sentence
from toner_jax.tasks import prompts
from toner_jax.text.ids import WordIds


class TypedTask:
    """The part of a `Task` that depends on the tokenizer and the schema alone."""

    def __init__(self, word_ids: WordIds, schema: Schema):
        self.word_ids, self.schema = word_ids, schema

    def teaches(self, sentence: Sentence) -> bool:
        return True

    def overhead(self) -> int:
        return self._overhead

    @cached_property
    def _overhead(self) -> int:
        return prompts.overhead(self.word_ids, self.schema.names)
