"""The tasks by the names that runs record. A new task is one file beside this one, and an entry here."""

from __future__ import annotations

from collections.abc import Callable

from toner_jax.errors import UserError
from toner_jax.schema import Schema
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.explanations import Explanations
from toner_jax.tasks.task import Task
from toner_jax.tasks.type_recognition import TypeRecognition
from toner_jax.tasks.typed import Writing
from toner_jax.text.ids import WordIds

TASKS: dict[str, Callable[[WordIds, Schema, Writing], Task]] = {
    Entities.name: Entities,
    TypeRecognition.name: TypeRecognition,
    Explanations.name: Explanations,
}


def make_task(name: str, word_ids: WordIds, schema: Schema, writing: Writing) -> Task:
    """The task of this name over a schema's types, with its prompts and targets written so.

    Raises:
      UserError: there is none.
    """
    if name not in TASKS:
        raise UserError(f"{name!r} is no task; choose from {', '.join(TASKS)}")
    return TASKS[name](word_ids, schema, writing)
