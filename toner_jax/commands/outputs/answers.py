"""What was found in the rows of a file: read from JSON lines, in which every form of output begins."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from toner_jax.atoms import Range
from toner_jax.commands.rows import words_of
from toner_jax.schema import Entity

# The keys of a row that a prediction writes, or that say of an annotation what is not among its entities.
OURS = ("entities", "coverage", "error", "unreachable")
Span = tuple[int, int, str, float]  # half-open in characters, its label and its score


class TokenizedSentence(NamedTuple):
    """A sentence's tokens, and its entities as ranges of them: those that begin first, and are longest, come first."""

    tokens: list[str]
    entities: list[Entity]


class Tokens(NamedTuple):
    """The tokens of a whole row.

    Attributes:
      ranges: of its text, in which the tokens lie.
      sentences: the numbers of the tokens at which sentences begin, and that after the last token.
      entities: as ranges of tokens.
    """

    ranges: list[Range]
    sentences: list[int]
    entities: list[Entity]


@dataclass(frozen=True)
class Answer:
    """A row and what was found in it.

    Attributes:
      number: of the row, from 1; blank lines count as none.
      entry: its keys and values, as they came.
      entities: as `toner_jax.inference.predicted.PredictedEntity` has them.
      coverage: how much was read, of a text not read in whole.
      error: what is wrong with a row that could not be read.
    """

    number: int
    entry: Mapping[str, Any]
    entities: Sequence[Mapping[str, Any]]
    coverage: Mapping[str, Any] | None = None
    error: str = ""

    @property
    def name(self) -> str:
        """Its `id`, or else its `doc_id`; "" where it has neither as a string or a number."""
        for key in ("id", "doc_id"):
            value = self.entry.get(key)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return str(value)
        return ""

    @property
    def is_text(self) -> bool:
        """Whether it came as a text, and not as words."""
        return isinstance(self.entry.get("text"), str)

    @property
    def words(self) -> list[str]:
        """The words of one that came as words."""
        return words_of(self.entry) or []

    @property
    def text(self) -> str:
        """Its text, or its words with single spaces between."""
        return str(self.entry["text"]) if self.is_text else " ".join(self.words)

    def spans(self) -> list[Span]:
        """Its entities in characters of `text`, those that begin first, and are longest, before others."""
        ranges = None if self.is_text else _ranges(self.words)
        found = []
        for e in self.entities:
            start, end = e["start"], e["end"]
            if ranges is not None:
                start, end = ranges[start][0], ranges[end - 1][1]
            found.append((start, end, e["label"], e["score"]))
        return sorted(found, key=lambda span: (span[0], -span[1]))


# The ranges of a text's words, sentence by sentence.
Tokenize = Callable[[str], Sequence[Sequence[Range]]]


def tokens_of(answer: Answer, tokenize: Tokenize) -> Tokens:
    """The words of a text, cut wherever an entity begins or ends inside one; words that came as words stay as they are,
    and are one sentence."""
    if not answer.is_text:
        ranges = _ranges(answer.words)
        entities = [Entity(e["start"], e["end"], e["label"]) for e in answer.entities]
        return Tokens(ranges, [0, len(ranges)], _sorted(entities))
    spans = answer.spans()
    edges = sorted({edge for start, end, *_ in spans for edge in (start, end)})
    ranges, sentences = [], [0]
    for words in tokenize(answer.text):
        for start, end in words:
            inside = edges[bisect_right(edges, start) : bisect_right(edges, end - 1)]
            ranges += pairwise([start, *inside, end])
        sentences.append(len(ranges))
    first = {start: i for i, (start, _) in enumerate(ranges)}
    last = {end: i for i, (_, end) in enumerate(ranges, 1)}
    return Tokens(ranges, sentences, _sorted([Entity(first[a], last[b], label) for a, b, label, _ in spans]))


def sentences_of(answer: Answer, tokenize: Tokenize) -> Iterator[TokenizedSentence]:
    """Its sentences, each of which has tokens."""
    tokens, text = tokens_of(answer, tokenize), answer.text
    written = [text[a:b] for a, b in tokens.ranges]
    at = 0
    for start, end in pairwise(tokens.sentences):
        entities = []
        while at < len(tokens.entities) and tokens.entities[at].start < end:
            e = tokens.entities[at]
            entities.append(Entity(e.start - start, e.end - start, e.type))
            at += 1
        if start < end:
            yield TokenizedSentence(written[start:end], entities)


def _sorted(entities: list[Entity]) -> list[Entity]:
    return sorted(entities, key=lambda e: (e.start, -e.end))


def _ranges(words: Sequence[str]) -> list[Range]:
    """Where words lie in their text, single spaces between them."""
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    return [(a, b - 1) for a, b in pairwise(starts)]


class Answers:
    """The answers of a file of JSON lines as `toner-jax predict` writes them; it can be gone through again."""

    def __init__(self, path: Path, tokenize: Tokenize):
        """Args:
        tokenize: reads a text as the prediction did.
        """
        self._path, self.tokenize = path, tokenize

    def lines(self) -> Iterator[str]:
        """The lines themselves, each with its end."""
        with self._path.open(encoding="utf-8", newline="\n") as lines:
            yield from lines

    def __iter__(self) -> Iterator[Answer]:
        for number, line in enumerate(self.lines(), 1):
            row = json.loads(line)
            entry = {key: value for key, value in row.items() if key not in OURS}
            entities, error = row.get("entities", ()), row.get("error", "")
            yield Answer(number, entry, entities, row.get("coverage"), error)

    def read(self) -> Iterator[Answer]:
        """Those of rows that could be read."""
        return (answer for answer in self if not answer.error)
