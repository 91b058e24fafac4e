"""From a configuration to recognizers: the one place that makes them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import fields

from jax.sharding import Mesh

from toner_jax.inference.constrained import GrammarGenerator
from toner_jax.inference.explained import ExplainedGenerator
from toner_jax.inference.free import FreeGenerator
from toner_jax.inference.options import DecodeOptions
from toner_jax.inference.programs import Programs
from toner_jax.inference.recognize import Generate, Recognizer
from toner_jax.models import registry
from toner_jax.models.toner import ToNER
from toner_jax.parallel.mesh import on_cpu
from toner_jax.pipeline.features import check_room
from toner_jax.runs.options import writing
from toner_jax.runs.view import Settings
from toner_jax.schema import Schema
from toner_jax.tasks.registry import make_task
from toner_jax.tasks.task import Task
from toner_jax.text.ids import WordIds
from toner_jax.text.words import Reading

MOST_RECOGNIZERS = 16  # label sets whose recognizers are kept

# Options that do not bear the name of a key of `decode`.
_ELSEWHERE = ("max_source", "max_length", "halve", "window_overlap")


def decode_options(config: Settings) -> DecodeOptions:
    """How a configuration decodes; a key of `decode` is the option of its name."""
    most = config.decode.max_length or config.text.max_target
    own = {f.name: getattr(config.decode, f.name) for f in fields(DecodeOptions) if f.name not in _ELSEWHERE}
    return DecodeOptions(
        max_source=config.text.max_source,
        max_length=most,
        halve=most >= config.text.max_target,
        window_overlap=config.text.window_overlap,
        **own,
    )


def reading_of(config: Settings) -> Reading:
    """How raw text is read, as the data of the run were."""
    return Reading(config.data.edges, config.data.language, config.data.split_sentences)


def make_programs(model: ToNER, mesh: Mesh, *, any_schema: bool = False) -> Programs:
    """The programs of a model on a mesh; `any_schema` as `Programs` has it."""
    make_decoder = registry.of(model.config).make_decoder(model, on_cpu(mesh))
    return Programs(make_decoder, mesh, any_schema=any_schema)


def make_recognizer(
    task: Task, programs: Programs, mesh: Mesh, options: DecodeOptions, limit: int = 0, explain: bool = False
) -> Recognizer:
    """The recognizer of a task. Only lists with spans are ever written freely: types alone, and a list before an
    explanation, are always of the grammar, and the explanation itself is left out unless it is asked for.

    Args:
      programs: of the model.
      explain: whether what follows a list is written too, where anything does.
      limit: under the grammar, where an output is cut, in tokens; 0: where there is room for no more.

    Raises:
      UserError: the task's instruction leaves no room for text.
    """
    check_room(task, options.max_source)
    grammar = task.grammar()
    generate: Generate
    if explain and not grammar.ends:
        generate = ExplainedGenerator(programs, task, mesh, options)
    elif options.grammar or not (grammar.spans and grammar.ends):
        generate = GrammarGenerator(programs, task, mesh, options, limit=limit)
    else:
        generate = FreeGenerator(programs, task, mesh, options)
    return Recognizer(task, generate, options)


class Recognizers:
    """A model's recognizers by task and label set, made when first asked for; those of the label sets that were
    asked for last are kept. Threads share one."""

    def __init__(self, config: Settings, model: ToNER, mesh: Mesh, word_ids: WordIds, schema: Schema):
        """`schema`: of the trained types, whose programs are its own; those of all others share theirs."""
        self._config, self._mesh, self._word_ids, self._schema = config, mesh, word_ids, schema
        self._programs = make_programs(model, mesh)
        self._any_programs = make_programs(model, mesh, any_schema=True)
        self._made: OrderedDict[tuple[str, Schema, bool], Recognizer] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, name: str, schema: Schema, *, explain: bool = False) -> Recognizer:
        """That of a task over a schema's types; raises as `make_recognizer`."""
        key = name, schema, explain
        with self._lock:
            if key not in self._made:
                task = make_task(name, self._word_ids, schema, writing(self._config))
                programs = self._programs if schema.types == self._schema.types else self._any_programs
                options = decode_options(self._config)
                self._made[key] = make_recognizer(task, programs, self._mesh, options, explain=explain)
                if len(self._made) > MOST_RECOGNIZERS:
                    self._made.popitem(last=False)  # the one that was asked for the longest time ago
            self._made.move_to_end(key)
            return self._made[key]
