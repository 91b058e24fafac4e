"""The instructions of §3.1, §3.2, §3.4 and §3.5: as strings for people, as ids for the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toner_jax.text.ids import Ids, WordIds

NER = "List all named entities of type"
TYPE_RECOGNITION = "List all entity types in the text from type"
TEXT = "Text:"
EXPLAIN = "and give explanations."
HINT = ("Entities of type", "may exist in text.")
# What an explained output says before its list of entities, and before the explanation.
LIST, EXPLANATION = "Entity:", "Explanation:"


def ner_prompt(
    types: Sequence[str], words: Sequence[str], matched: Sequence[str] | None = None, explain: bool = False
) -> str:
    """The NER prompt. `matched` is T′ by descending similarity; None leaves its line out. `explain` asks for
    an explanation, too (§3.5)."""
    asked = f"{NER} [{', '.join(types)}]" + (f" {EXPLAIN}" if explain else "")
    lines = [asked, f"{TEXT} {' '.join(words)}"]
    if matched is not None:
        lines.append(f"{HINT[0]} [{', '.join(matched)}] {HINT[1]}")
    return "\n".join(lines)


def type_recognition_prompt(types: Sequence[str], words: Sequence[str]) -> str:
    """The prompt of the auxiliary task (§3.4), which never has a T′ line."""
    return f"{TYPE_RECOGNITION} [{', '.join(types)}]\n{TEXT} {' '.join(words)}"


@dataclass(frozen=True)
class PromptIds:
    """A prompt's ids without the end of sequence; `ids[text_start:text_end]` are the text's own."""

    ids: Ids
    text_start: int
    text_end: int


def ner_prompt_ids(
    w: WordIds,
    types: Sequence[str],
    words: Sequence[str],
    matched: Sequence[str] | None = None,
    explain: bool = False,
) -> PromptIds:
    """The ids of `ner_prompt` of the same arguments."""
    before = w.phrase(NER) + w.type_list(types) + (w.phrase(EXPLAIN) if explain else ()) + w.phrase(TEXT)
    after: Ids = ()
    if matched is not None:
        after = w.phrase(HINT[0]) + w.type_list(matched) + w.phrase(HINT[1])
    return _assemble(before, w.words(words), after)


def type_recognition_prompt_ids(w: WordIds, types: Sequence[str], words: Sequence[str]) -> PromptIds:
    """The ids of `type_recognition_prompt` of the same arguments."""
    before = w.phrase(TYPE_RECOGNITION) + w.type_list(types) + w.phrase(TEXT)
    return _assemble(before, w.words(words), ())


def _assemble(before: Ids, text: Ids, after: Ids) -> PromptIds:
    return PromptIds(before + text + after, len(before), len(before) + len(text))
