"""A task made of the generator's features."""

from __future__ import annotations

from collections.abc import Sequence

from toner_jax.pipeline.features import EXPLAINED, NER, TYPE_RECOGNITION, GeneratorFeatures
from toner_jax.schema import Sentence
from toner_jax.tasks.grammar import Grammar, entity_list, type_list
from toner_jax.tasks.output import Output
from toner_jax.tasks.recognized import Recognized
from toner_jax.tasks.task import Prompt
from toner_jax.text import prompts
from toner_jax.text.ids import Ids


class FeaturesTask:
    def __init__(self, features: GeneratorFeatures, name: str = NER):
        self.name, self._features = name, features
        self.word_ids, self.schema = features.word_ids, features.schema

    def prompt(self, words: Sequence[str], matched: Sequence[str] | None) -> Prompt:
        ids = self._features.source(words, matched, self.name)[:-1]
        return Prompt(tuple(ids.tolist()), 0, 0)

    def target(self, sentence: Sentence) -> Ids:
        raise NotImplementedError

    def overhead(self) -> int:
        return self._features.source_overhead(self.name)

    def grammar(self) -> Grammar:
        names = self.schema.names
        if self.name == TYPE_RECOGNITION:
            return type_list(self.word_ids, names)
        if self.name == EXPLAINED:
            head, tail = self.word_ids.phrase(prompts.LIST), self.word_ids.phrase(prompts.EXPLANATION)
            return entity_list(self.word_ids, names, head, tail)
        return entity_list(self.word_ids, names)

    def read(self, words: Sequence[str], output: Output) -> Recognized:
        raise NotImplementedError
