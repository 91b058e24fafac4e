"""From sentences and their T′ to what a task finds in them: the path that evaluation and predict share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

from toner_jax.inference.options import DecodeOptions
from toner_jax.inference.windows import Window, halves, readable_windows
from toner_jax.parallel.exchange import by_share, share
from toner_jax.schema import Sentence, sort_entities
from toner_jax.tasks.output import Input, Output
from toner_jax.tasks.recognized import Coverage, Recognized, best_items
from toner_jax.tasks.task import Task

Generate = Callable[[Any, Sequence[Input], float], list[Output]]  # the last: the calibration temperature


@runtime_checkable
class Preparable(Protocol):
    """A `Generate` whose programs are known beforehand."""

    def preparations(self, params: Any) -> list[Callable[[], object]]:
        """What compiles them, one by one."""


class Recognizer:
    """Does one task on sentences of any length."""

    def __init__(self, task: Task, generate: Generate, options: DecodeOptions):
        """`generate` writes the task's outputs: (parameters, inputs, calibration temperature) → one for each."""
        self.task = task
        self._generate = generate
        self._options = options

    def __call__(
        self,
        params: Any,
        sentences: Sequence[Sentence],
        matched: Sequence[Sequence[str]] | None,
        calibration_temperature: float = 1.0,
    ) -> list[Recognized]:
        """What is found in each sentence, of whatever score.

        Args:
          matched: T′ of each sentence, or None without type matching.
          calibration_temperature: what the scores are computed at; it changes nothing else.
        """
        self.task.word_ids.prepare(w for i in share(len(sentences)) for w in sentences[i].words)
        readable = by_share(
            lambda i: readable_windows(i, sentences[i], self.task, self._options), len(sentences)
        )
        windows = [w for found, _ in readable for w in found]
        parts: list[list[tuple[Window, Recognized]]] = [[] for _ in sentences]
        while windows:
            inputs = [_input(w, sentences, matched) for w in windows]
            outputs = self._generate(params, inputs, calibration_temperature)
            read = partial(self._read, windows, inputs, outputs)
            again: list[Window] = []
            for window, found in zip(windows, by_share(read, len(windows)), strict=True):
                if isinstance(found, Recognized):
                    parts[window.sentence].append((window, found))
                else:
                    again += found
            windows = again
        return [self._merge(p, coverage) for p, (_, coverage) in zip(parts, readable, strict=True)]

    def preparations(self, params: Any) -> list[Callable[[], object]]:
        """What compiles the programs, one by one; none of free decoding, whose programs come with the texts."""
        if not isinstance(self._generate, Preparable):
            return []
        return self._generate.preparations(params)

    def _read(
        self, windows: Sequence[Window], inputs: Sequence[Input], outputs: Sequence[Output], k: int
    ) -> Recognized | list[Window]:
        """What is found in the k-th window, or what is read instead of it."""
        if smaller := self._halves(windows[k], outputs[k]):
            return smaller
        words = inputs[k].words
        found = self.task.read(words, outputs[k])
        return (found if self._options.symbols else found.without_symbols(words)).moved(windows[k].start)

    def _halves(self, window: Window, output: Output) -> list[Window]:
        """What is read instead of a window whose output was cut, if anything: fewer words have fewer entities."""
        if not (output.truncated and self._options.halve):
            return []
        return halves(window, self._options.window_overlap)

    def _merge(self, parts: Sequence[tuple[Window, Recognized]], coverage: Coverage) -> Recognized:
        """The windows of one sentence as one; an entity is its window's whose core it begins in."""
        skipped = coverage.words_too_long
        cut = sum(r.dropped["truncated"] for _, r in parts)
        coverage = replace(coverage, windows=len(parts), truncated=cut)
        if len(parts) == 1 and not skipped:
            return replace(parts[0][1], coverage=coverage)
        parts = sorted(parts, key=lambda part: (part[0].core_start, part[0].start))
        found = {
            e: s
            for w, r in parts
            for e, s in zip(r.entities, r.scores, strict=True)
            if w.core_start <= e.start < w.core_end
        }
        scores = self._options.compatible(found)
        entities = sort_entities(scores, self.task.schema)
        dropped = sum((r.dropped for _, r in parts), Counter())
        if skipped:
            dropped["word_too_long"] += skipped
        if len(scores) < len(found):
            dropped["overlap"] += len(found) - len(scores)
        types: dict[str, float] = {}
        for _, r in parts:
            types |= {name: max(p, types.get(name, 0.0)) for name, p in r.types.items()}
        return Recognized(
            entities,
            tuple(scores[e] for e in entities),
            best_items(scored for _, r in parts for scored in r.items.items()),
            "\n".join(r.output for _, r in parts),
            dropped,
            "\n".join(r.explanation for _, r in parts if r.explanation),
            {name: types[name] for name in self.task.schema.names if name in types},
            coverage,
        )


def _input(window: Window, sentences: Sequence[Sentence], matched: Sequence[Sequence[str]] | None) -> Input:
    """What the generator is given of a window."""
    words = sentences[window.sentence].words[window.start : window.end]
    return Input(words, None if matched is None else matched[window.sentence])


def mark_shortened(found: Sequence[Recognized], shortened: Sequence[bool]) -> list[Recognized]:
    """What was found, where `shortened` says of which sentences the type matcher saw the beginning alone."""
    return [
        replace(r, coverage=replace(r.coverage, matching_shortened=1)) if short else r
        for r, short in zip(found, shortened, strict=True)
    ]
