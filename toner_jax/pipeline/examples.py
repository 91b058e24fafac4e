"""The generator's training examples: their lengths, known at once, and their ids, made where they are needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toner_jax.common.lazy import Lazy
from toner_jax.parallel.exchange import by_share, share
from toner_jax.pipeline.features import Example, GeneratorFeatures
from toner_jax.schema import Sentence


class TrainingExamples(Lazy[Example]):
    """Of every part of every sentence the main task's example, and after all these the auxiliary task's.

    Of several processes each tokenizes its share, and all tell each other the lengths, of which batches and their order
    are made. What else a process tokenizes are the rows that its devices are given.

    Attributes:
      ids: of the parts.
      added_parts: how many more there are than sentences, as long ones are split.
      plain: how many have the plain task's example (`GeneratorFeatures.is_plain`) instead of the main one's.
      lengths_N2: int, source and target tokens of each example.
    """

    def __init__(
        self,
        features: GeneratorFeatures,
        train: Sequence[Sentence],
        matched: Sequence[Sequence[str]] | None,
    ):
        """`matched`: T′ of each sentence, or None without type matching."""
        features.prepare(train[i] for i in share(len(train)))
        fits = by_share(lambda i: features.fits(train[i]), len(train))
        self._parts = [
            (part, None if matched is None else matched[i])
            for i, sentence in enumerate(train)
            for part in ([sentence] if fits[i] else features.split(sentence))
        ]
        self._features = features
        self.ids = [part.id for part, _ in self._parts]
        self.added_parts = len(self.ids) - len(train)
        count, tasks = len(self.ids), len(features.tasks)
        self._tasks = [features.tasks] * count
        if features.plain:
            plain = by_share(lambda i: features.is_plain(self._parts[i][0]), count)
            self._tasks = [(features.plain, *features.tasks[1:]) if p else features.tasks for p in plain]
        self.plain = sum(own is not features.tasks for own in self._tasks)
        super().__init__(self._example, count * tasks)
        examples = by_share(lambda i: [self._length(i + task * count) for task in range(tasks)], count)
        self.lengths_N2 = np.array(examples, int).reshape(count, tasks, 2).swapaxes(0, 1).reshape(-1, 2)

    def _example(self, index: int) -> Example:
        task, number = divmod(index, len(self.ids))
        part, matched = self._parts[number]
        return self._features.example(self._tasks[number][task], part, None if task else matched)

    def _length(self, index: int) -> tuple[int, int]:
        example = self[index]
        return len(example.source), len(example.target)
