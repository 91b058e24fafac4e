"""Entities and the reasons for them (§3.5): `Entity: [(type, entity), …] Explanation: …`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from toner_jax.errors import UserError
from toner_jax.schema import Schema, Sentence
from toner_jax.tasks import prompts
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.grammar import Grammar, entity_list
from toner_jax.tasks.output import Output
from toner_jax.tasks.recognized import Recognized
from toner_jax.tasks.task import Prompt
from toner_jax.tasks.typed import Writing
from toner_jax.text.ids import Ids, WordIds

# What stands before the list, before the explanation, and as the explanation of an empty list.
LIST, EXPLANATION = "Entity:", "Explanation:"
NO_ENTITY = "No entity in the text belongs to any pre-defined entity type."

_BEFORE_LIST = re.compile(rf"\s*{LIST}")
_AFTER_LIST = re.compile(rf"(?<=\])\s*{EXPLANATION}")


class Explanations(Entities):
    """As `Entities`, followed by an explanation in the model's own words: only the list has a grammar."""

    name = "exp"

    def __init__(
        self,
        word_ids: WordIds,
        schema: Schema,
        writing: Writing = Writing(),  # noqa: B008
        explanations: Mapping[str, str] | None = None,
    ):
        """`explanations`: of training sentences that have entities, by the sentence's id."""
        super().__init__(word_ids, schema, writing)
        self._explanations = explanations or {}

    def prompt(self, words: Sequence[str], matched: Sequence[str] | None) -> Prompt:
        wording = prompts.entities(self.schema.names, matched, explain=True, phrases=self.writing.phrases)
        return wording.prompt(self.word_ids, words)

    def teaches(self, sentence: Sentence) -> bool:
        return not sentence.entities or sentence.id in self._explanations

    def target(self, sentence: Sentence) -> Ids:
        """As `Task.target`.

        Raises:
          UserError: the sentence has entities, but no explanation of them.
        """
        text = self._explanations.get(sentence.id) if sentence.entities else NO_ENTITY
        if text is None:
            raise UserError(f"sentence {sentence.id}: no explanation of its entities to train on")
        w = self.word_ids
        return (
            w.phrase(LIST)
            + super().target(sentence)
            + w.phrase(EXPLANATION)
            + w.phrase(" ".join(text.split()))
        )

    def overhead(self) -> int:
        return super().overhead() + len(self.word_ids.phrase(prompts.EXPLAIN))

    def grammar(self) -> Grammar:
        w = self.word_ids
        return entity_list(w, self.schema.names, w.phrase(LIST), w.phrase(EXPLANATION))

    def read(self, words: Sequence[str], output: Output) -> Recognized:
        if output.spans is None:
            text, _ = self.word_ids.spell(output.tokens)
            after = _AFTER_LIST.search(text)
            explanation = " ".join(text[after.end() :].split()) if after else ""
        else:
            explanation = self.word_ids.decode(output.tokens[len(output.tokens) - output.explanation :])
        return replace(super().read(words, output), explanation=explanation)

    def _list(self, text: str) -> str:
        before, after = _BEFORE_LIST.match(text), _AFTER_LIST.search(text)
        begin = before.end() if before else 0
        return " " * begin + text[begin : after.start() if after else None]
