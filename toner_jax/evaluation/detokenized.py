"""What a user's text gives of a corpus that comes as words: each sentence is written as running text, and read as one.

The words of a corpus stand apart as its annotators' tokenizer put them; the rules that read raw text know nothing of
that. sacremoses (the Moses detokenizer) writes the text, and characters are compared with characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toner_jax.atoms import Range, bare, join, whole_words
from toner_jax.evaluation.scoring import Counts
from toner_jax.schema import Sentence
from toner_jax.tasks.recognized import Coverage, Recognized
from toner_jax.text.words import Reading, sentences_from_text

if TYPE_CHECKING:
    from sacremoses import MosesDetokenizer

Recognize = Callable[[Sequence[Sentence]], Sequence[Recognized]]


@dataclass(frozen=True)
class Detokenized:
    """Strict scores of sentences that were written as running text, and how much of that was read."""

    counts: Counts
    coverage: Coverage


def evaluate_detokenized(
    sentences: Iterable[Sentence], recognize: Recognize, reading: Reading
) -> Detokenized | None:
    """Evaluates the sentences that came as words; None where there are none.

    Args:
      recognize: what counts as found in each sentence.
      reading: how `predict` reads raw text.
    """
    from sacremoses import MosesDetokenizer  # takes a while, and a loaded model has no use for it

    detokenizer = MosesDetokenizer(reading.language)
    texts = [_Written(s, detokenizer) for s in sentences if not s.raw]
    parts = [(i, part) for i, t in enumerate(texts) for part in sentences_from_text("", t.text, reading)]
    found = recognize([part for _, part in parts])
    predicted: list[set[tuple[Range, str]]] = [set() for _ in texts]
    coverage = Coverage()
    for (i, part), result in zip(parts, found, strict=True):
        predicted[i] |= {(part.char_span(e), e.type) for e in result.entities}
        coverage += result.coverage
    pairs = [(t.gold, p) for t, p in zip(texts, predicted, strict=True)]
    counts = sum((Counts(len(g & p), len(p - g), len(g - p)) for g, p in pairs), Counts())
    return Detokenized(counts, coverage) if texts else None


class _Written:
    """A sentence as running text, and the places of its annotated entities in it."""

    def __init__(self, sentence: Sentence, detokenizer: MosesDetokenizer):
        self.text, places = write_as_text(sentence.words, detokenizer)
        self.gold: set[tuple[Range, str]] = {
            ((places[e.start][0], places[e.end - 1][1]), e.type) for e in sentence.entities
        }
        # Those that no words make up are missed here, too: no prediction is there.
        self.gold |= {((-1 - i, -1 - i), e.type) for i, e in enumerate(sentence.unreachable)}


def write_as_text(words: Sequence[str], detokenizer: MosesDetokenizer) -> tuple[str, list[Range]]:
    """The words of a `Sentence` as running text, and their places in it. Where the detokenizer changes more than white
    space, they are joined by single spaces."""
    text, places, at = detokenizer.detokenize(whole_words(words), unescape=False), [], 0
    for word in map(bare, words):
        while at < len(text) and text[at].isspace():
            at += 1
        if not text.startswith(word, at):
            break
        places.append((at, at + len(word)))
        at += len(word)
    if len(places) == len(words) and not text[at:].strip():
        return text, places
    places, at = [], 0
    for i, word in enumerate(words):
        at += i > 0 and word == bare(word)
        places.append((at, at + len(bare(word))))
        at = places[-1][1]
    return join(words), places
