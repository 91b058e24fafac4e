"""Entities under the grammar, and then an explanation in the model's own words (§3.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jax.sharding import Mesh

from toner_jax.inference.constrained import GrammarGenerator
from toner_jax.inference.free import FreeGenerator
from toner_jax.inference.options import DecodeOptions
from toner_jax.inference.programs import Programs
from toner_jax.tasks.output import Input, Output
from toner_jax.tasks.task import Task


class ExplainedGenerator:
    """Writes `Entity: [(type, span), …] Explanation: …`: the list, up to and with the word after it, under the
    grammar, the rest by greedy search over the vocabulary."""

    def __init__(self, programs: Programs, task: Task, mesh: Mesh, options: DecodeOptions):
        """`options.max_length`: the most tokens of the list, and of the explanation."""
        self._list = GrammarGenerator(programs, task, mesh, options)
        self._rest = FreeGenerator(programs, task, mesh, replace(options, beam_size=1))

    def __call__(
        self, params: Any, inputs: Sequence[Input], calibration_temperature: float = 1.0
    ) -> list[Output]:
        """The outputs, in the order of the inputs; `calibration_temperature` as in `GrammarGenerator`. A list that is
        cut has no explanation."""
        outputs = self._list(params, inputs, calibration_temperature)
        whole = [i for i, o in enumerate(outputs) if not o.truncated]
        rest = self._rest(
            params,
            [inputs[i] for i in whole],
            calibration_temperature,
            prefixes=[outputs[i].tokens for i in whole],
        )
        for i, b in zip(whole, rest, strict=True):
            a = outputs[i]
            outputs[i] = Output(
                a.tokens + b.tokens, np.concatenate([a.scores, b.scores]), a.spans, len(b.tokens)
            )
        return outputs

    def preparations(self, params: Any) -> list[Callable[[], object]]:
        """As of `GrammarGenerator`, for the list; explanations bring a program for each length of it later."""
        return self._list.preparations(params)
