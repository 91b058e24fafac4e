"""From sentences and their T′ to scored spans: the path that evaluation and predict share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from toner_jax.inference.windows import Window, readable_windows
from toner_jax.pipeline.features import NER, GeneratorFeatures
from toner_jax.schema import Entity, Sentence, sort_entities
from toner_jax.tasks.output import Input, Output, Span
from toner_jax.tasks.recognized import Recognized, Score
from toner_jax.text.align import SourceIndex, align
from toner_jax.text.linearize import Item, parse

Generate = Callable[[Any, Sequence[Input], float], list[Output]]  # the last: a temperature


class Recognizer:
    """Runs a generator over sentences of any length."""

    def __init__(
        self, generate: Generate, features: GeneratorFeatures, *, overlap: int = 16, task: str = NER
    ):
        """Args:
        overlap: words that neighbouring windows of a long sentence share.
        task: what the generator writes: NER, or NER with an explanation.
        """
        self._task = task
        self.features = features
        self._generate = generate
        self._overlap = overlap

    def __call__(
        self,
        params: Any,
        sentences: Sequence[Sentence],
        matched: Sequence[Sequence[str]] | None,
        temperature: float = 1.0,
    ) -> list[Recognized]:
        """Recognizes entities, of whatever score.

        Args:
          matched: T′ of each sentence, or None without type matching.
          temperature: what the scores are computed at; it changes nothing else.
        """
        self.features.prepare(sentences)
        windows: list[Window] = []
        skipped: list[int] = []  # words of each sentence that no input can hold
        for i, sentence in enumerate(sentences):
            readable, too_long = readable_windows(i, sentence, self.features, self._overlap, self._task)
            windows += readable
            skipped.append(too_long)
        inputs = [
            Input(
                sentences[w.sentence].words[w.start : w.end], None if matched is None else matched[w.sentence]
            )
            for w in windows
        ]
        parts: list[list[tuple[Window, Recognized]]] = [[] for _ in sentences]
        for window, output in zip(windows, self._generate(params, inputs, temperature), strict=True):
            parts[window.sentence].append((window, self._read(sentences[window.sentence], window, output)))
        return [self._merge(p, skipped[i]) for i, p in enumerate(parts)]

    def _read(self, sentence: Sentence, window: Window, output: Output) -> Recognized:
        words = sentence.words[window.start : window.end]
        text, starts = self.features.word_ids.spell(output.tokens)
        if output.spans is None:
            found, items, dropped = self._parse(words, text, starts, output.scores)
        else:
            found, dropped = self._place(words, output.spans), Counter[str]()
            items = _best(
                ((s.type, " ".join(words[s.start : s.end])), Score(s.type_score, s.span_score))
                for s in output.spans
            )
        scores = {Entity(e.start + window.start, e.end + window.start, e.type): s for e, s in found.items()}
        entities = sort_entities(scores, self.features.schema)
        explanation = output.tokens[len(output.tokens) - output.explanation :]
        return Recognized(
            entities,
            tuple(scores[e] for e in entities),
            items,
            " ".join(text.split()),
            dropped,
            self.features.word_ids.decode(explanation),
        )

    def _place(self, words: Sequence[str], spans: Sequence[Span]) -> dict[Entity, Score]:
        """Entities of items written under the grammar. Their strings are runs of the words; where one
        occurs more than once, `align` says which is meant."""
        if not spans:
            return {}
        surfaces = [self.features.word_ids.surface(w) for w in words]
        items = [(s.type, " ".join(surfaces[s.start : s.end])) for s in spans]
        aligned, _ = align(items, SourceIndex(surfaces))
        own = [Entity(s.start, s.end, s.type) for s in spans]
        # Words that differ can read alike; then the places that the grammar itself found stand.
        entities = own if None in aligned or len(set(aligned)) < len(own) else aligned
        return {
            e: Score(s.type_score, s.span_score)
            for e, s in zip(entities, spans, strict=True)
            if e is not None
        }

    def _parse(
        self, words: Sequence[str], text: str, starts: Sequence[int], log_probabilities: np.ndarray
    ) -> tuple[dict[Entity, Score], dict[Item, Score], Counter[str]]:
        """Entities, usable items and losses of a freely written output."""
        source = SourceIndex([self.features.word_ids.surface(w) for w in words])
        parsed = parse(text, self.features.schema.names, source)
        aligned, dropped = align(parsed.items, source)
        begins, ends = np.array(starts), np.array([*starts[1:], len(text)])

        def probability(a: int, b: int) -> float:
            return float(np.exp(log_probabilities[(begins < b) & (ends > a)].sum()))

        found: dict[Entity, Score] = {}
        items: list[tuple[Item, Score]] = []
        for item, entity, (a, b) in zip(parsed.items, aligned, parsed.ranges, strict=True):
            comma = text.index(",", a) + 1
            score = Score(probability(a, comma), probability(comma, b))
            if entity is not None:
                found[entity] = score
                # The tokenizer may have respelled the words (NFKC, ⁇): the source's own spelling counts.
                item = entity.type, " ".join(words[entity.start : entity.end])
            items.append((item, score))
        return found, _best(items), parsed.dropped + dropped

    def _merge(self, parts: Sequence[tuple[Window, Recognized]], skipped: int) -> Recognized:
        """The windows of one sentence as one; an entity is its window's whose core it begins in."""
        if len(parts) == 1 and not skipped:
            return parts[0][1]
        scores = {
            e: s
            for w, r in parts
            for e, s in zip(r.entities, r.scores, strict=True)
            if w.core_start <= e.start < w.core_end
        }
        entities = sort_entities(scores, self.features.schema)
        dropped = sum((r.dropped for _, r in parts), Counter())
        if skipped:
            dropped["word_too_long"] += skipped
        return Recognized(
            entities,
            tuple(scores[e] for e in entities),
            _best(scored for _, r in parts for scored in r.items.items()),
            "\n".join(r.output for _, r in parts),
            dropped,
            "\n".join(r.explanation for _, r in parts if r.explanation),
        )


def _best(items: Iterable[tuple[Item, Score]]) -> dict[Item, Score]:
    """Each item once, with the best of its scores."""
    best: dict[Item, Score] = {}
    for item, score in items:
        if item not in best or score.joint > best[item].joint:
            best[item] = score
    return best
