"""The auxiliary task of §3.4 at inference: which types occur in a text, as the generator sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from toner_jax.inference.windows import readable_windows
from toner_jax.pipeline.features import GeneratorFeatures
from toner_jax.schema import Sentence
from toner_jax.tasks.output import Input, Output


class TypeRecognizer:
    """Runs a generator of the type-recognition task, under its grammar, over sentences of any length."""

    def __init__(
        self,
        generate: Callable[[Any, Sequence[Input], float], list[Output]],
        features: GeneratorFeatures,
        *,
        overlap: int = 16,
    ):
        """`overlap`: words that neighbouring windows of a long sentence share."""
        self._generate, self._features, self._overlap = generate, features, overlap

    def __call__(
        self, params: Any, sentences: Sequence[Sentence], temperature: float = 1.0
    ) -> list[dict[str, float]]:
        """The types of each sentence, in schema order, each with the probability of its being named after those
        before it; of a windowed sentence, the largest."""
        self._features.prepare(sentences)
        windows = [
            w
            for i, s in enumerate(sentences)
            for w in readable_windows(i, s, self._features, self._overlap)[0]
        ]
        inputs = [Input(sentences[w.sentence].words[w.start : w.end], None) for w in windows]
        found: list[dict[str, float]] = [{} for _ in sentences]
        for window, output in zip(windows, self._generate(params, inputs, temperature), strict=True):
            own = found[window.sentence]
            for span in output.spans or ():
                own[span.type] = max(own.get(span.type, 0.0), span.type_score * span.span_score)
        return [{n: own[n] for n in self._features.schema.names if n in own} for own in found]
