"""Named entity recognition (§3.1, §3.2): `[(type, entity), …]`."""

from __future__ import annotations

from collections.abc import Sequence

from toner_jax.schema import Sentence, sort_entities
from toner_jax.tasks import prompts, reading
from toner_jax.tasks.grammar import Grammar, entity_list
from toner_jax.tasks.output import Output
from toner_jax.tasks.recognized import Recognized
from toner_jax.tasks.task import Prompt
from toner_jax.tasks.typed import TypedTask
from toner_jax.text.ids import Ids


def target_items(sentence: Sentence, *, unique_pairs: bool) -> list[tuple[str, tuple[str, ...]]]:
    """The (type, words) of a target in order of appearance: of each mention, or with `unique_pairs` each once."""
    items = [(e.type, sentence.words[e.start : e.end]) for e in sentence.entities]
    return list(dict.fromkeys(items)) if unique_pairs else items


class Entities(TypedTask):
    """All entities of the schema's types, in order of appearance."""

    name = "ner"

    def prompt(self, words: Sequence[str], matched: Sequence[str] | None) -> Prompt:
        wording = prompts.entities(self.schema.names, matched, phrases=self.writing.phrases)
        return wording.prompt(self.word_ids, words)

    def target(self, sentence: Sentence) -> Ids:
        return self.word_ids.items(target_items(sentence, unique_pairs=self.writing.unique_pairs))

    def grammar(self) -> Grammar:
        return entity_list(self.word_ids, self.schema.names)

    def read(self, words: Sequence[str], output: Output) -> Recognized:
        spelled = reading.spell(self.word_ids, output)
        if output.spans is None:
            names, text = self.schema.names, self._list(spelled.text)
            found = reading.parse_items(self.word_ids, words, names, spelled, text, output.truncated)
        else:
            found = reading.place_spans(self.word_ids, words, output.spans)
        entities = sort_entities(found.scores, self.schema)
        scores = tuple(found.scores[e] for e in entities)
        dropped = reading.with_truncated(found.dropped, output)
        return Recognized(entities, scores, found.items, " ".join(spelled.text.split()), dropped)

    def _list(self, text: str) -> str:
        """The list in a freely written output, at the same characters as there."""
        return text
