"""Entities under the grammar, and then an explanation in the model's own words (§3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from toner_jax.inference.constrained import GrammarGenerator
from toner_jax.inference.free import FreeGenerator
from toner_jax.models.toner import ToNER
from toner_jax.pipeline.features import EXPLAINED, GeneratorFeatures
from toner_jax.tasks.output import Input, Output


class ExplainedGenerator:
    """Writes `Entity: [(type, span), …] Explanation: …`: the list, up to and with the word after it, under the
    grammar, the rest by greedy search over the vocabulary."""

    def __init__(
        self,
        model: ToNER,
        features: GeneratorFeatures,
        mesh: Mesh,
        *,
        batch_size: int,
        max_length: int,
        block: int = 0,
    ):
        """`max_length`: the most tokens of the list, and of the explanation."""
        self._list = GrammarGenerator(
            model, features, mesh, batch_size=batch_size, max_length=max_length, task=EXPLAINED, block=block
        )
        self._rest = FreeGenerator(
            model, features, mesh, batch_size=batch_size, max_length=max_length, task=EXPLAINED
        )

    def __call__(self, params: Any, inputs: Sequence[Input], temperature: float = 1.0) -> list[Output]:
        """The outputs, in the order of the inputs; `temperature` as in `GrammarGenerator`."""
        lists = self._list(params, inputs, temperature)
        rest = self._rest(params, inputs, temperature, begun=[o.tokens for o in lists])
        return [
            Output(a.tokens + b.tokens, np.concatenate([a.scores, b.scores]), a.spans, len(b.tokens))
            for a, b in zip(lists, rest, strict=True)
        ]
