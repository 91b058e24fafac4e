"""What the generator encodes of an input."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toner_jax.tasks.output import Input
from toner_jax.tasks.task import Task


class Source(NamedTuple):
    """A task's prompt.

    Attributes:
      ids: int32 [S], end of sequence included.
      text: how many of them are the text's own.
    """

    ids: np.ndarray
    text: int


def make_source(task: Task, given: Input) -> Source:
    """The source of an input."""
    prompt = task.prompt(given.words, given.matched)
    ids = np.array((*prompt.ids, task.word_ids.tokenizer.eos_id), np.int32)
    return Source(ids, prompt.text_end - prompt.text_start)
