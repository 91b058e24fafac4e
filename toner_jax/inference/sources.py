"""What the generator encodes of an input."""

from __future__ import annotations

import numpy as np

from toner_jax.tasks.output import Input
from toner_jax.tasks.task import Task


def source_ids(task: Task, given: Input) -> np.ndarray:
    """int32 ids of a task's prompt, end of sequence included."""
    prompt = task.prompt(given.words, given.matched)
    return np.array((*prompt.ids, task.word_ids.tokenizer.eos_id), np.int32)
