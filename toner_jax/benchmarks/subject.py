"""What all contenders are given: one trained model and the same prompts; and how their outputs are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from toner_jax.data.sentences import load_sentences
from toner_jax.errors import UserError
from toner_jax.evaluation.scoring import strict_counts
from toner_jax.inference.options import DecodeOptions
from toner_jax.inference.recognize import Recognizer
from toner_jax.inference.sources import make_source
from toner_jax.models.decoder import MakeDecoder
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs import setup
from toner_jax.runs.chain import DATA, whole
from toner_jax.runs.evaluate import FOLDER as EVALUATE
from toner_jax.runs.options import writing
from toner_jax.runs.recognizers import decode_options, make_programs
from toner_jax.runs.restore import Restored, restore
from toner_jax.runs.types_files import evaluation_path, read_types
from toner_jax.runs.types_files import types_path as training_path
from toner_jax.runs.workdir import split_path
from toner_jax.schema import Sentence
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.output import Input, Output


@dataclass(frozen=True)
class Subject:
    """A finished run's generator, and sentences of one of its splits with the T′ that the run gave them.

    Attributes:
      inputs: a long sentence is several.
    """

    restored: Restored
    task: Entities
    mesh: Mesh
    sentences: Sequence[Sentence]
    matched: Sequence[Sequence[str]] | None
    inputs: Sequence[Input]

    @property
    def options(self) -> DecodeOptions:
        """How the run decodes; each input once, however long its output."""
        return replace(decode_options(self.restored.config), halve=False)

    @property
    def make_decoder(self) -> MakeDecoder:
        """Parameters → the generator's decoder."""
        return make_programs(self.restored.generator, self.mesh).make_decoder

    def sources(self, inputs: Sequence[Input]) -> list[np.ndarray]:
        """The prompts' ids, end of sequence included."""
        return [make_source(self.task, i).ids for i in inputs]

    def f1(self, outputs: Sequence[Output]) -> float:
        """Strict span F1 of what was written for `inputs`."""
        found = self._recognize(lambda _, inputs, temperature: list(outputs))
        return strict_counts(self.sentences, [r.entities for r in found]).f1

    def _recognize(self, generate: Any) -> Any:
        return Recognizer(self.task, generate, self.options)(None, self.sentences, self.matched)


def load(workdir: Path, split: str, count: int) -> Subject:
    """The first `count` sentences of a split (0: all) of a finished run.

    Raises:
      UserError: the folder holds no finished run, or the split has no sentences.
    """
    mesh = make_mesh(jax.device_count())
    restored = restore(workdir, mesh)
    word_ids = setup.generator_word_ids(restored.config, restored.tokenizers)
    task = Entities(word_ids, restored.schema, writing(restored.config))
    whole(workdir, DATA)
    whole(workdir, EVALUATE)
    sentences = load_sentences(split_path(workdir, split))
    if not sentences:
        raise UserError(f"{workdir}: its {split} split is empty; choose another --split")
    matched = None
    if restored.config.matcher.enabled:
        matched = read_types(
            training_path(workdir, split) if split == "train" else evaluation_path(workdir, split), sentences
        )
    count = count or len(sentences)
    sentences, matched = sentences[:count], None if matched is None else matched[:count]
    inputs: list[Input] = []

    def listen(_: Any, given: Sequence[Input], temperature: float) -> list[Output]:
        inputs.extend(given)
        return [Output([], np.zeros(0, np.float32))] * len(given)

    Subject(restored, task, mesh, sentences, matched, ())._recognize(listen)
    return Subject(restored, task, mesh, sentences, matched, inputs)
