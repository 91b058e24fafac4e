"""Explanations of annotated entities, to train on (§3.5): a file of them, or sentences made by a template, which stand
in where no language model has been asked; and controls, which tell what in an explanation is of use."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from toner_jax.errors import ParameterError, UserError
from toner_jax.schema import Schema, Sentence

TEMPLATE, DATA = "template", "data"
SHUFFLED, KEY_WORDS = "shuffled", "key_words"

_WORD = re.compile(r"\w+")


def explanations_of(source: str, sentences: Sequence[Sentence], schema: Schema) -> dict[str, str]:
    """Explanations by the id of the sentence, of those among `sentences` that have entities.

    Args:
      source: "template", "data" for the sentences' own, or a file.

    Raises:
      UserError: no sentence has one, or the file is missing or malformed, or explains none of the sentences.
    """
    if source == TEMPLATE:
        return {s.id: by_template(s, schema) for s in sentences if s.entities}
    if source == DATA:
        own = {s.id: s.explanation for s in sentences if s.entities and s.explanation}
        if not own and any(s.entities for s in sentences):
            raise ParameterError(
                "generator.explanations",
                DATA,
                'no sentence of train has an "explanation"; jsonl and doccano read them',
            )
        return own
    path, wanted = Path(source).expanduser(), {s.id for s in sentences if s.entities}
    found = {key: text for key, text in read_explanations(path).items() if key in wanted}
    if wanted and not found:
        raise UserError(
            f"{path}: explains no sentence of train; ids are those of the data, as of {min(wanted)!r}"
        )
    return found


def read_explanations(path: Path) -> dict[str, str]:
    """Explanations by id, of JSON lines {"id": …, "explanation": …}; other keys do not matter.

    Raises:
      UserError: the file cannot be read, a line is none of these, or two of an id differ.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            key, text = entry["id"], entry["explanation"]
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f'{path}:{number}: no object with "id" and "explanation" on a line of its own'
            ) from None
        if not isinstance(key, str) or not isinstance(text, str) or not text.strip():
            raise UserError(f"{path}:{number}: id and explanation must be strings, and say something")
        if found.setdefault(key, text) != text:
            raise UserError(f"{path}:{number}: another explanation of {key} stands above")
    return found


def by_template(sentence: Sentence, schema: Schema) -> str:
    """What says of each entity, in their order, what its type is described as; nothing that the schema does not say."""
    descriptions = {t.name: " ".join(t.description.split()).rstrip(".") for t in schema.types}
    parts = []
    for entity in sentence.entities:
        because = f": {descriptions[entity.type]}" if descriptions[entity.type] else ""
        parts.append(f"'{sentence.surface(entity)}' is labeled as '{entity.type}'{because}.")
    return " ".join(parts)


def controlled(
    explanations: Mapping[str, str], sentences: Sequence[Sentence], control: str, seed: int
) -> dict[str, str]:
    """The explanations under a control.

    Args:
      control: "" leaves them; "shuffled" gives each to another sentence, so that they tell of nothing in it;
        "key_words" keeps the words of each that its sentence or its entities' types have, so that nothing is reasoned.
      seed: of the shuffle.
    """
    if control == SHUFFLED:
        keys = sorted(explanations)
        shift = list(keys)
        random.Random(seed).shuffle(shift)
        # Round one cycle, so that none keeps its own.
        following = dict(zip(shift, [*shift[1:], *shift[:1]], strict=True))
        return {key: explanations[following[key]] for key in keys}
    if control == KEY_WORDS:
        of = {s.id: s for s in sentences}
        return {key: _key_words(text, of[key]) for key, text in explanations.items()}
    return dict(explanations)


def _key_words(text: str, sentence: Sentence) -> str:
    known = {word.lower() for word in _WORD.findall(sentence.text)}
    known |= {word.lower() for name in sentence.types() for word in _WORD.findall(name)}
    return " ".join(word for word in _WORD.findall(text) if word.lower() in known)
