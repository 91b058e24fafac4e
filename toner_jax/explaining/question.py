"""What a language model is asked about an annotated sentence, and what of its answers is of use."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from toner_jax.schema import Schema, Sentence
from toner_jax.tasks.explanations import EXPLANATION, LIST
from toner_jax.text.align import SourceIndex
from toner_jax.text.linearize import linearize, parse, sentence_items

_SYSTEM = (
    "You explain annotations of named entities to students. The annotation is right: explain it, do not change it. "
    "Say of each entity in one sentence which words of the text, or what that is commonly known, show its type, as in: "
    "'Wellington' is labeled as 'location' because it refers to a specific location, which is the capital city of New "
    "Zealand. Answer in two lines: the list of entities as you were given it, and the explanation."
)
_CHARACTERS = 3.0  # of English a token has at least, roughly: estimates are rather too high

# `'Lima' is labeled as a 'person'`, in the words that models use for it.
_CLAIM = (
    r"[\"'‘’“”`]{name}[\"'‘’“”`],?\s+(?:is|was|has been)\s+"
    r"(?:labell?ed|classified|annotated|identified|recognized|recognised|tagged|categorized|categorised)\s+"
    r"as\s+(?:an?\s+|the\s+)?[\"'‘’“”`]?(?P<type>{types})\b"
)

MALFORMED, CONTRADICTS = "malformed", "contradicts"


class Unusable(Exception):
    """An answer that is of no use; `reason` is "malformed" or "contradicts"."""

    def __init__(self, reason: str, what: str):
        super().__init__(what)
        self.reason, self.what = reason, what


@dataclass(frozen=True)
class Question:
    """One sentence with entities, as a language model is asked about it.

    Attributes:
      model: that is asked.
      max_tokens: the most that it may answer.
    """

    sentence: Sentence
    schema: Schema
    model: str
    max_tokens: int

    @cached_property
    def request(self) -> dict[str, Any]:
        """The body of a request for a chat completion."""
        return {
            "model": self.model,
            "messages": [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": self._text()}],
            "max_tokens": self.max_tokens,
        }

    def _text(self) -> str:
        occurring = set(self.sentence.types())
        types = [
            f"- {t.name}: {' '.join(t.description.split())}" if t.description else f"- {t.name}"
            for t in self.schema.types
            if t.name in occurring
        ]
        listed = linearize(sentence_items(self.sentence))
        return "\n".join(["Types:", *types, f"Text: {self.sentence.text}", f"{LIST} {listed}", EXPLANATION])

    @cached_property
    def key(self) -> str:
        """A digest of the prompt and the model."""
        asked = {name: self.request[name] for name in ("model", "messages")}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def prompt_tokens(self) -> int:
        """About how many tokens the prompt has, rather too many than too few."""
        return int(sum(len(m["content"]) for m in self.request["messages"]) / _CHARACTERS) + 8

    def read(self, answer: str) -> str:
        """The explanation of an answer, in one line.

        Raises:
          Unusable: it is not of the form, or says of an entity what the annotation does not.
        """
        before, mark, explanation = answer.partition(EXPLANATION)
        _, listed, given = before.partition(LIST)
        explanation = " ".join(explanation.split())
        if not mark or not listed or not explanation:
            raise Unusable(MALFORMED, f"not of the form {LIST} … {EXPLANATION} …")
        names = self.schema.names
        source = SourceIndex(self.sentence.words)
        parsed = parse(given.strip(), names, source)
        found = {(name, _packed(text)) for name, text in parsed.items}
        gold = {(name, _packed(text)) for name, text in sentence_items(self.sentence)}
        if parsed.dropped or found != gold:
            raise Unusable(CONTRADICTS, f"its list is {' '.join(given.split())[:200]}")
        for name, text in sorted(set(sentence_items(self.sentence))):
            if claim := _other_claim(explanation, text, names, gold):
                raise Unusable(CONTRADICTS, f"{claim}, and the annotation has {name}")
        return explanation


def _other_claim(explanation: str, text: str, names: Sequence[str], gold: set[tuple[str, str]]) -> str:
    """What an explanation calls an entity that the annotation does not; "" for nothing."""
    # The longest names first: `person` is the beginning of another.
    types = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    by_name: Mapping[str, str] = {name.lower(): name for name in names}
    for claim in re.finditer(_CLAIM.format(name=re.escape(text), types=types), explanation, re.IGNORECASE):
        if (by_name[claim["type"].lower()], _packed(text)) not in gold:
            return claim[0]
    return ""


def _packed(text: str) -> str:
    return "".join(text.split())
