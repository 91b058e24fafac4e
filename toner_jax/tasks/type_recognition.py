"""The auxiliary task (§3.4): which types occur in a text, `[type, …]`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from toner_jax.schema import Sentence
from toner_jax.tasks import prompts
from toner_jax.tasks.grammar import Grammar, type_list
from toner_jax.tasks.output import Output
from toner_jax.tasks.reading import Spelled, spell, with_truncated
from toner_jax.tasks.recognized import Recognized
from toner_jax.tasks.task import Prompt
from toner_jax.tasks.typed import TypedTask
from toner_jax.text.ids import Ids


class TypeRecognition(TypedTask):
    """The types that occur, in schema order."""

    name = "tr"

    def prompt(self, words: Sequence[str], matched: Sequence[str] | None) -> Prompt:
        return prompts.occurring_types(self.schema.names, self.writing.phrases).prompt(self.word_ids, words)

    def target(self, sentence: Sentence) -> Ids:
        occurring = set(sentence.types())
        return self.word_ids.type_list([name for name in self.schema.names if name in occurring])

    def grammar(self) -> Grammar:
        return type_list(self.word_ids, self.schema.names)

    def read(self, words: Sequence[str], output: Output) -> Recognized:
        spelled = spell(self.word_ids, output)
        if output.spans is None:
            types, dropped = _parse(spelled, self.schema.names, output.truncated)
        else:
            types = {s.type: s.type_score * s.span_score for s in output.spans}
            dropped = Counter()
        dropped = with_truncated(dropped, output)
        return Recognized((), (), {}, " ".join(spelled.text.split()), dropped, types=types)


def _parse(spelled: Spelled, names: Sequence[str], truncated: bool) -> tuple[dict[str, float], Counter[str]]:
    """The types of a freely written list, each with the probability of its name, and what was dropped, by reason: as
    `toner_jax.text.linearize.parse` calls them, and `duplicate`. Of a list that was cut, the last name may be the
    beginning of a longer one."""
    text = spelled.text
    at = len(text) - len(text.lstrip()) + 1
    if not text.startswith("[", at - 1):
        return {}, Counter(malformed=1) if text.strip() else Counter()
    body, closed, rest = text[at:].partition("]")
    parts = body.split(",") if body.strip() else []
    types: dict[str, float] = {}
    dropped: Counter[str] = Counter(malformed=1) if rest.strip() else Counter()
    for i, part in enumerate(parts):
        name = " ".join(part.split())
        cut = not closed and i + 1 == len(parts)
        if cut and truncated:
            dropped["truncated"] += 1
        elif name in types:
            dropped["duplicate"] += 1
        elif name in names:
            types[name] = spelled.probability(at, at + len(part))
        elif cut:
            dropped["truncated"] += 1
        else:
            dropped["unknown_type" if name else "malformed"] += 1
        at += len(part) + 1
    return {name: types[name] for name in names if name in types}, dropped
