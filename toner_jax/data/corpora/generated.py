"""Seeded, generated sentences whose names are coined, so that a model must copy what it never saw.

A small annotated grammar (`generated_words.py`) writes the sentences. Names are put together from
syllables, which makes the space of names so large that most names of the held-out splits do not occur
in training: knowing the training names by heart does not solve the task, reading the context does.
The corpus is for trying out the pipeline; scores on it say nothing about real text.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

from toner_jax.data.corpora.generated_types import FINE, finer, outermost
from toner_jax.data.corpora.generated_words import (
    EMPTY_TEMPLATES,
    PATTERNS,
    PLACE_ENDINGS,
    SURNAME_ENDINGS,
    SYLLABLES,
    TEMPLATES,
    WORDS,
)
from toner_jax.errors import UserError
from toner_jax.schema import Entity, EntityType, Schema, Sentence, make_sentence

SCHEMA = Schema(
    "generated",
    (
        EntityType("person", "names of people, without titles such as Dr."),
        EntityType("organization", "companies, schools, public institutions and sports clubs"),
        EntityType("location", "towns, regions, islands, lakes and other places"),
        EntityType("product", "devices and vehicles that a company makes, with their model numbers"),
        EntityType("event", "contests, festivals, conferences, battles and treaties"),
        EntityType("date", "days, months, seasons, years and decades"),
    ),
)

# A checksum deals every possible sentence to one of eight lanes, and each split owns its lanes: splits
# are disjoint although none knows another's size or content.
_LANES = 8
_SPLIT_LANES = {"train": range(6), "dev": range(6, 7), "test": range(7, 8)}

_MIN_WORDS, _MAX_WORDS = 5, 28
_DOUBLED = re.compile(r"(?<!\S)(\S+) and \1(?!\S)")
_EMPTY_SHARE = 0.125  # of the sentences mention nothing
_FAMILIAR_WORDS = 250
_FAMILIAR_SHARE = 0.4  # of the bare names are familiar words; the others are coined on the spot


def generate(seed: int, sizes: Mapping[str, int], *, fine: bool = False) -> dict[str, tuple[Sentence, ...]]:
    """Distinct sentences for each split of `sizes`, in its order.

    A split depends on the seed and its own size alone, and a larger split begins with the smaller one.

    Args:
      seed: names, their frequencies and the sentences all follow from it.
      sizes: number of sentences of `train`, `dev` and `test`, or of some of them.
      fine: annotate the same sentences in `FINE`, not in `SCHEMA`.

    Raises:
      UserError: another split is asked for, or a negative size.
    """
    for split, size in sizes.items():
        if split not in _SPLIT_LANES:
            raise UserError(f"generated corpus: no split {split!r}; there are {', '.join(_SPLIT_LANES)}")
        if size < 0:
            raise UserError(f"generated corpus: split {split!r} cannot have {size} sentences")
    return {split: tuple(_split(seed, split, size, fine)) for split, size in sizes.items()}


def _split(seed: int, split: str, size: int, fine: bool) -> Iterator[Sentence]:
    coiner = _Coiner(Random(f"{seed}/{split}"), _familiar_words(seed))
    seen: set[str] = set()
    while len(seen) < size:
        draft = _draft(coiner)
        text = " ".join(draft.words)
        lane = zlib.crc32(text.encode()) % _LANES
        if lane in _SPLIT_LANES[split] and text not in seen and _reads_well(draft.words, text):
            entities, schema = draft.entities, SCHEMA
            if fine:
                entities, schema = finer(draft.words, draft.entities, draft.patterns), FINE
            yield make_sentence(f"{split}-{len(seen)}", draft.words, entities, schema)
            seen.add(text)


def _reads_well(words: list[str], text: str) -> bool:
    """Neither too short nor too long, and without `lawyer and lawyer`."""
    return _MIN_WORDS <= len(words) <= _MAX_WORDS and not _DOUBLED.search(text)


# Coined words.


def _coin(rng: Random, syllables: int) -> str:
    return "".join(rng.choice(SYLLABLES) for _ in range(syllables)).capitalize()


def _familiar_words(seed: int) -> tuple[str, ...]:
    """The names that the whole corpus keeps coming back to, as news does; shared by the splits."""
    rng = Random(f"{seed}/familiar")
    return tuple(_coin(rng, 2) for _ in range(_FAMILIAR_WORDS))


@dataclass
class _Coiner:
    """Draws everything that is random: choices, and the words that no list holds."""

    rng: Random
    familiar: tuple[str, ...]

    def word(self) -> str:
        """A bare name; nothing in its form tells a person from a place, a company or a product."""
        if self.rng.random() < _FAMILIAR_SHARE:
            return self.rng.choice(self.familiar)
        return _coin(self.rng, 2 if self.rng.random() < 0.25 else 3)

    def family(self) -> str:
        return _coin(self.rng, self.rng.choice((1, 2, 2))) + self.rng.choice(SURNAME_ENDINGS)

    def town(self) -> str:
        return _coin(self.rng, self.rng.choice((1, 2, 2))) + self.rng.choice(PLACE_ENDINGS)

    def double(self) -> str:
        return f"{_coin(self.rng, 2)}-{_coin(self.rng, 2)}"

    def letters(self, count: int) -> str:
        return "".join(self.rng.choice("ABCDEFGHJKLMNPRSTVWXZ") for _ in range(count))

    def code(self) -> str:
        number = self.rng.choice((str(self.rng.randrange(1, 10) * 100), str(self.rng.randrange(2, 100))))
        return f"{self.letters(self.rng.choice((1, 1, 2)))}-{number}"

    def year(self) -> str:
        return str(self.rng.randrange(1850, 2025))


_COINED: Mapping[str, Callable[[_Coiner], str]] = {
    "word": _Coiner.word,
    "family": _Coiner.family,
    "town": _Coiner.town,
    "double": _Coiner.double,
    "code": _Coiner.code,
    "year": _Coiner.year,
    "acronym": lambda c: c.letters(3),
    "initial": lambda c: c.letters(1) + ".",
    "digit": lambda c: str(c.rng.randrange(2, 10)),
    "number": lambda c: str(c.rng.randrange(1, 29)),
    "decade": lambda c: f"{c.rng.randrange(185, 203)}0s",
    "percent": lambda c: str(c.rng.randrange(2, 25)),
    "money": lambda c: str(c.rng.randrange(1, 25) * 10),
    "score": lambda c: f"{c.rng.randrange(1, 6)}-{c.rng.randrange(0, 4)}",
}


# The grammar: patterns as trees.


@dataclass(frozen=True)
class _Part:
    """`<name/tag>`: from a list, a pattern or the coiner; a tag repeats what it first stood for."""

    name: str
    tag: str


@dataclass(frozen=True)
class _Mention:
    """`{type:…}`: an annotated run of words."""

    type: str
    body: _Body


_Body = tuple[str | _Part | _Mention, ...]
_TOKEN = re.compile(r"\{(?P<type>\w+):|<(?P<part>\w+)/?(?P<tag>\w*)>|(?P<close>\})|(?P<word>[^\s{}<>]+)")


def _parse(pattern: str) -> _Body:
    """The tree of one pattern; see `generated_words.py` for the notation."""
    pattern = re.sub(r"\{(\w+)(/\w+)?\}", r"{\1:<\1\2>}", pattern)
    open_mentions: list[str] = []
    bodies: list[list[str | _Part | _Mention]] = [[]]
    for token in _TOKEN.finditer(pattern):
        if token["type"]:
            open_mentions.append(token["type"])
            bodies.append([])
        elif token["close"]:
            inner = tuple(bodies.pop())
            bodies[-1].append(_Mention(open_mentions.pop(), inner))
        elif token["part"]:
            bodies[-1].append(_Part(token["part"], token["tag"]))
        else:
            bodies[-1].append(token["word"])
    (body,) = bodies
    return tuple(body)


# Name of a part → its alternatives, each as often as its weight says.
_ALTERNATIVES: Mapping[str, tuple[_Body, ...]] = {
    **{name: tuple(tuple(phrase.split()) for phrase in phrases) for name, phrases in WORDS.items()},
    **{
        name: tuple(body for pattern, weight in table.items() for body in [_parse(pattern)] * weight)
        for name, table in PATTERNS.items()
    },
}
_TEMPLATES = tuple(_parse(t) for t in TEMPLATES)
_EMPTY_TEMPLATES = tuple(_parse(t) for t in EMPTY_TEMPLATES)


# Writing a sentence.


@dataclass
class _Draft:
    """A sentence in the making: its words and mentions so far, the pattern of each mention that tells its finer type,
    and what its tags stand for."""

    words: list[str] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    tagged: dict[_Part, tuple[_Draft, list[str]]] = field(default_factory=dict)  # and what it came by

    def append(self, other: _Draft) -> None:
        """Adds the words and mentions of another draft."""
        at = len(self.words)
        self.words += other.words
        self.entities += (Entity(e.start + at, e.end + at, e.type) for e in other.entities)
        self.patterns += other.patterns

    def write(self, body: _Body, coiner: _Coiner) -> list[str]:
        """Adds what the body stands for, drawing at random whatever it leaves open.

        Returns:
          The patterns that it came by, other mentions' apart, from the outside in.
        """
        came_by: list[str] = []
        for node in body:
            if isinstance(node, str):
                self.words.append(node)
            elif isinstance(node, _Mention):
                start = len(self.words)
                pattern = outermost(self.write(node.body, coiner))
                self.entities.append(Entity(start, len(self.words), node.type))
                self.patterns.append(pattern)
            elif node.tag:
                if node not in self.tagged:
                    tagged = _Draft()
                    self.tagged[node] = tagged, tagged.write((_Part(node.name, ""),), coiner)
                self.append(self.tagged[node][0])
                came_by += self.tagged[node][1]
            elif node.name in _COINED:
                self.words.append(_COINED[node.name](coiner))
            else:
                came_by.append(node.name)
                came_by += self.write(coiner.rng.choice(_ALTERNATIVES[node.name]), coiner)
        return came_by


def _draft(coiner: _Coiner) -> _Draft:
    templates = _EMPTY_TEMPLATES if coiner.rng.random() < _EMPTY_SHARE else _TEMPLATES
    draft = _Draft()
    draft.write(coiner.rng.choice(templates), coiner)
    _correct(draft.words)
    return draft


def _correct(words: list[str]) -> None:
    """`a` before a vowel becomes `an`, and the sentence begins with a capital."""
    for i, (word, following) in enumerate(pairwise(words)):
        if word in ("a", "A") and following[0] in "aeio":
            words[i] = f"{word}n"
    words[0] = words[0][0].upper() + words[0][1:]
