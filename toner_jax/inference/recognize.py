"""From sentences and their T′ to scored spans: the path that evaluation and predict share."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from toner_jax.decoding.search import greedy
from toner_jax.inference.lengths import ladder, padded_length
from toner_jax.inference.windows import Window, make_windows
from toner_jax.models.toner import ToNER
from toner_jax.pipeline.batching import length_sorted_batches, pad_rows
from toner_jax.pipeline.features import GeneratorFeatures
from toner_jax.schema import Entity, Sentence, sort_entities
from toner_jax.text.align import SourceIndex, align
from toner_jax.text.linearize import Item, parse
from toner_jax.training.sharding import round_batch, shard_batch


@dataclass(frozen=True)
class Recognized:
    """What was found in one sentence.

    Attributes:
      entities: spans in order of appearance, and `scores`, the probability of each one's item: the
        product over its tokens, type and entity.
      items: the usable items, aligned or not (what the paper's metric counts).
      output: the string the model wrote; of a windowed text, the windows' strings joined by lines.
      dropped: how much of it could not be used, by reason.
    """

    entities: tuple[Entity, ...]
    scores: tuple[float, ...]
    items: tuple[Item, ...]
    output: str
    dropped: Counter[str] = field(default_factory=Counter)


class Recognizer:
    """Runs the generator over sentences of any length, in a bounded number of compiled shapes."""

    def __init__(
        self,
        model: ToNER,
        features: GeneratorFeatures,
        mesh: Mesh,
        *,
        batch_size: int = 64,
        max_length: int = 0,
        overlap: int = 16,
    ):
        self.features = features
        self._mesh = mesh
        self._batch_size = round_batch(batch_size, mesh)
        self._max_length = max_length or features.max_target
        self._ladder = ladder(features.max_source)
        self._overlap = overlap
        self._decode = jax.jit(functools.partial(_greedy, model), static_argnames="length")

    def __call__(
        self, params: Any, sentences: Sequence[Sentence], matched: Sequence[Sequence[str]] | None
    ) -> list[Recognized]:
        """Recognizes entities; `matched` gives T′ of each sentence, or None without type matching."""
        self.features.prepare(sentences)
        windows: list[Window] = []
        skipped: list[int] = []  # words of each sentence that no input can hold
        for i, sentence in enumerate(sentences):
            readable, too_long = self._windows(i, sentence)
            windows += readable
            skipped.append(too_long)
        sources = [
            self.features.inference(
                sentences[w.sentence].words[w.start : w.end], None if matched is None else matched[w.sentence]
            ).source
            for w in windows
        ]
        found = [
            self._read(sentences[w.sentence], w, tokens, scores)
            for w, (tokens, scores) in zip(windows, self._generate(params, sources), strict=True)
        ]
        parts: list[list[tuple[Window, Recognized]]] = [[] for _ in sentences]
        for window, result in zip(windows, found, strict=True):
            parts[window.sentence].append((window, result))
        return [self._merge(p, skipped[i]) for i, p in enumerate(parts)]

    def _windows(self, index: int, sentence: Sentence) -> tuple[list[Window], int]:
        """The windows of a sentence, and how many of its words are longer than an input."""
        lengths = [len(self.features.word_ids.word(w)) for w in sentence.words]
        limit = self.features.max_source - self.features.source_overhead()
        windows = [w for w in make_windows(index, lengths, limit, self._overlap) if w.start < w.end]
        readable = [w for w in windows if sum(lengths[w.start : w.end]) <= limit]
        return readable, len(windows) - len(readable)

    def _generate(self, params: Any, sources: Sequence[np.ndarray]) -> list[tuple[list[int], np.ndarray]]:
        """Tokens before the end of sequence and their log-probabilities, for each source.

        A first pass gives every row as much room as its source is padded to; the few that need more
        are decoded again with all the room there is.
        """
        out: list[tuple[list[int], np.ndarray] | None] = [None] * len(sources)
        todo = list(range(len(sources)))
        for final in (False, True):
            unfinished = []
            for batch in length_sorted_batches([len(sources[i]) for i in todo], self._batch_size):
                rows = [todo[k] for k in batch]
                source_length = padded_length(len(sources[rows[0]]), self._ladder)
                if final:
                    source_length = self._ladder[-1]
                length = self._max_length if final else min(source_length, self._max_length)
                ids = pad_rows([sources[i] for i in rows], source_length, self._batch_size)
                device = shard_batch({"ids": ids}, self._mesh)["ids"]
                tokens, scores = jax.device_get(self._decode(params, device, length=length))
                for i, row, score in zip(rows, tokens, scores, strict=False):
                    ends = np.flatnonzero(row == self.features.word_ids.tokenizer.eos_id)
                    if len(ends) or final or length == self._max_length:
                        count = ends[0] if len(ends) else length
                        out[i] = row[:count].tolist(), score[:count]
                    else:
                        unfinished.append(i)
            todo = unfinished
        return out  # type: ignore[return-value]

    def _read(self, sentence: Sentence, window: Window, tokens: list[int], scores: np.ndarray) -> Recognized:
        words = sentence.words[window.start : window.end]
        source = SourceIndex([self.features.word_ids.surface(w) for w in words])
        text, starts = self.features.word_ids.spell(tokens)
        parsed = parse(text, self.features.schema.names, source)
        aligned, dropped = align(parsed.items, source)
        begins, ends = np.array(starts), np.array([*starts[1:], len(text)])
        probability: dict[Entity, float] = {}
        items: list[Item] = []
        for item, entity, (a, b) in zip(parsed.items, aligned, parsed.ranges, strict=True):
            if entity is None:
                items.append(item)
                continue
            # The tokenizer may have respelled the words (NFKC, ⁇): the source's own spelling counts.
            items.append((entity.type, " ".join(words[entity.start : entity.end])))
            shifted = Entity(entity.start + window.start, entity.end + window.start, entity.type)
            probability[shifted] = float(np.exp(scores[(begins < b) & (ends > a)].sum()))
        entities = sort_entities(probability, self.features.schema)
        return Recognized(
            entities,
            tuple(probability[e] for e in entities),
            tuple(items),
            " ".join(text.split()),
            parsed.dropped + dropped,
        )

    def _merge(self, parts: Sequence[tuple[Window, Recognized]], skipped: int) -> Recognized:
        """The windows of one sentence as one; an entity is its window's whose core it begins in."""
        if len(parts) == 1 and not skipped:
            return parts[0][1]
        probability = {
            e: s
            for w, r in parts
            for e, s in zip(r.entities, r.scores, strict=True)
            if w.core_start <= e.start < w.core_end
        }
        entities = sort_entities(probability, self.features.schema)
        dropped = sum((r.dropped for _, r in parts), Counter())
        if skipped:
            dropped["word_too_long"] += skipped
        return Recognized(
            entities,
            tuple(probability[e] for e in entities),
            tuple(dict.fromkeys(i for _, r in parts for i in r.items)),
            "\n".join(r.output for _, r in parts),
            dropped,
        )


def _greedy(model: ToNER, params: Any, source: jax.Array, length: int) -> tuple[jax.Array, jax.Array]:
    def apply(*args: Any, method: Callable[..., Any] | str) -> Any:
        return model.apply({"params": params}, *args, method=method)

    mask = (source != 0).astype(jnp.float32)
    cache = apply(apply(source, mask, method="encode"), mask, length, method="start")
    return greedy(lambda tokens, cache: apply(tokens, cache, method="step"), cache, source.shape[0], length)
