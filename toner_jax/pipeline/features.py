"""From sentences to ids: what one training sample of a task is to the generator.

Nothing is truncated here. A training sentence whose source or target passes the limit is split into
sentences at word boundaries that cut no entity; inference splits its texts in `toner_jax.inference.windows`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toner_jax.atoms import GLUE, whole_words
from toner_jax.errors import ParameterError, UserError
from toner_jax.schema import Entity, Schema, Sentence
from toner_jax.tasks.task import Task
from toner_jax.text.ids import WordIds


@dataclass(frozen=True)
class Example:
    """One training sample of the generator.

    Attributes:
      source: prompt ids, end of sequence included.
      text_range: where the text's own ids stand in `source`.
      target: target ids, end of sequence included.
      present: bool [K], which types occur in the text.
    """

    source: np.ndarray
    text_range: tuple[int, int]
    target: np.ndarray
    present: np.ndarray


def check_room(task: Task, max_source: int) -> None:
    """Raises:
    UserError: a task's instruction leaves no room for text.
    """
    # One prompt tells of most that do not fit; the longest is found among as many as there are types.
    pieces = len(task.prompt((), None).ids) + 1
    if pieces < max_source:
        pieces = task.overhead()
    if pieces >= max_source:
        raise ParameterError(
            "text.max_source",
            max_source,
            f"the instruction with {len(task.schema.types)} types alone takes "
            f"{pieces} pieces; ask for fewer types at a time, or raise the limit",
        )


class GeneratorFeatures:
    """Makes the samples of the tasks that a generator is trained on.

    Attributes:
      tasks: the main one, whose types are the classifier's columns, and any auxiliary ones, all of one tokenizer.
      plain: the task of sentences that the main one has no target for; None where it has one for all.
      max_source, max_target: the most pieces of a prompt and of an answer, each with its end of sequence.
    """

    def __init__(
        self, tasks: Sequence[Task], max_source: int = 512, max_target: int = 512, plain: Task | None = None
    ):
        self.tasks, self.plain = tuple(tasks), plain
        self.max_source = max_source
        self.max_target = max_target

    @property
    def word_ids(self) -> WordIds:
        return self.tasks[0].word_ids

    @property
    def schema(self) -> Schema:
        return self.tasks[0].schema

    def prepare(self, sentences: Iterable[Sentence]) -> None:
        """Tokenizes the words of many sentences in one call; only ever a matter of speed."""
        self.word_ids.prepare(w for s in sentences for w in s.words)

    def example(self, task: Task, sentence: Sentence, matched: Sequence[str] | None) -> Example:
        """A sample of one of the tasks; `matched` is T′ by descending similarity, None without matching."""
        prompt, end = task.prompt(sentence.words, matched), (task.word_ids.tokenizer.eos_id,)
        return Example(
            source=np.array(prompt.ids + end, np.int32),
            text_range=(prompt.text_start, prompt.text_end),
            target=np.array(task.target(sentence) + end, np.int32),
            present=present_types([sentence], self.schema)[0],
        )

    def is_plain(self, sentence: Sentence) -> bool:
        """Whether the plain task stands in for the main one, which has no target for the sentence or none that fits."""
        main = self.tasks[0]
        return self.plain is not None and not (main.teaches(sentence) and self._fits(main, sentence))

    def fits(self, sentence: Sentence) -> bool:
        """Whether every task's source (with any T′) and target are within the limits."""
        main, *others = self.tasks
        if self.plain and self.is_plain(sentence):
            main = self.plain
        return all(self._fits(task, sentence) for task in (main, *others))

    def _fits(self, task: Task, sentence: Sentence) -> bool:
        text = len(self.word_ids.words(sentence.words))
        return task.overhead() + text <= self.max_source and len(task.target(sentence)) + 1 <= self.max_target

    def split(self, sentence: Sentence) -> list[Sentence]:
        """The sentence, or the fewest halves of halves of it that fit.

        Raises:
          UserError: a part that cannot be cut without cutting an entity does not fit.
        """
        if self.fits(sentence):
            return [sentence]
        cut = _middle_cut(sentence)
        if cut is None:
            words = len(whole_words(sentence.words))
            raise UserError(
                f"sentence {sentence.id}: {words} words that cannot be cut without cutting a word or an entity "
                f"pass text.max_source={self.max_source} or text.max_target={self.max_target}; "
                "raise the limits"
            )
        return [p for part in (_part(sentence, 0, cut), _part(sentence, cut, None)) for p in self.split(part)]


def present_types(sentences: Sequence[Sentence], schema: Schema) -> np.ndarray:
    """bool [N, K], the indicator of P_x: which types occur in each sentence."""
    return types_indicator([s.types() for s in sentences], schema)


def types_indicator(types: Sequence[Sequence[str]], schema: Schema) -> np.ndarray:
    """bool [N, K]: which of the schema's types are among those of each row."""
    rows = np.zeros((len(types), len(schema.types)), bool)
    for i, names in enumerate(types):
        rows[i, [schema.index[name] for name in names]] = True
    return rows


def _middle_cut(sentence: Sentence) -> int | None:
    """The word boundary nearest the middle that lies inside no entity, and if there is one, inside no whole word."""
    n = len(sentence.words)
    inside = {i for e in sentence.entities for i in range(e.start + 1, e.end)}
    free = [i for i in range(1, n) if i not in inside]
    free = [i for i in free if not sentence.words[i].startswith(GLUE)] or free
    return min(free, key=lambda i: abs(2 * i - n)) if free else None


def _part(sentence: Sentence, start: int, end: int | None) -> Sentence:
    last = end is None
    end = len(sentence.words) if end is None else end
    begin, stop = (
        sentence.offsets[start][0] if start else 0,
        len(sentence.text) if last else sentence.offsets[end][0],
    )
    return replace(
        sentence,
        id=f"{sentence.id}[{start}:{end}]",
        words=sentence.words[start:end],
        offsets=sentence.offsets[start:end],
        unreachable=tuple(u for u in sentence.unreachable if begin <= u.start < stop),
        entities=tuple(
            Entity(e.start - start, e.end - start, e.type)
            for e in sentence.entities
            if start <= e.start and e.end <= end
        ),
    )
