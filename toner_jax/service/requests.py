"""A request: its texts on their way through the model, and what it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from toner_jax.api import Ner
from toner_jax.common.console import alarm
from toner_jax.errors import UserError
from toner_jax.inference.labels import Asked
from toner_jax.inference.predicted import Part, labelled_cosines, part_of
from toner_jax.inference.texts import Numbered, numbered_sentences, whole_texts
from toner_jax.schema import Schema
from toner_jax.tasks.recognized import Coverage


@dataclass(frozen=True)
class Question:
    """What is asked of a sentence; those of the same question can be read together.

    Attributes:
      schema: the types to look for.
      type_threshold: δ of T′, None for the run's.
      explain: whether an explanation is written, too.
      match: only the cosine of each type is asked for (Eq. 3).
    """

    schema: Schema
    type_threshold: float | None = None
    explain: bool = False
    match: bool = False


@dataclass(frozen=True)
class Wanted:
    """What a request wants to know of its texts.

    Attributes:
      asked: the labels.
      question: what the models are asked.
      threshold: the least score of an entity.
      flat: of entities that overlap, only the likeliest.
    """

    asked: Asked
    question: Question
    threshold: float = 0.0
    flat: bool = False


@dataclass(frozen=True)
class Cosines:
    """Of a text, the cosine of each label, by descending value."""

    text: int
    types: dict[str, float]


Answer = Part | Cosines
# What a request is told, in the model's thread: some of its answers, None after the last, or why there are none.
Tell = Callable[[Sequence[Answer] | BaseException | None], None]


class Request:
    """Texts on their way through the model.

    Attributes:
      question: what is asked.
      cancelled: nobody waits for it any more: its remaining sentences are not read.
      error: why they cannot be.
    """

    def __init__(self, texts: Sequence[str], wanted: Wanted, tell: Tell, ner: Ner):
        self.question, self.cancelled = wanted.question, False
        self.error: BaseException | None = None
        self._wanted, self._tell = wanted, tell
        read = whole_texts if wanted.question.match else numbered_sentences
        self._sentences = read(texts, ner.reading)
        self._next: Numbered | None = None

    def more(self) -> bool:
        """Whether it has a sentence left."""
        if self.cancelled or self.error:
            return False
        if self._next is None:
            try:
                self._next = next(self._sentences, None)
            except Exception as error:  # a text that cannot be split; others can
                self.error = error
        return self._next is not None

    def take(self) -> Numbered:
        """Its next sentence; `more` has said that there is one."""
        found, self._next = self._next, None
        assert found is not None
        return found

    def answer(self, sentences: Sequence[Numbered], found: Sequence[Any]) -> None:
        """Says what was found in some of its sentences."""
        if self.cancelled:
            return
        try:
            pairs = zip(sentences, found, strict=True)
            self._tell([self._read(numbered, result) for numbered, result in pairs])
        except Exception as error:  # it is this request's alone
            self.error = error

    def end(self) -> None:
        """There are no more answers."""
        if self.error and not isinstance(self.error, UserError):  # a defect of ours, said without the text
            alarm(f"a request failed: {type(self.error).__name__} at {place_of(self.error)}")
        if not self.cancelled:
            with suppress(RuntimeError):  # of a loop that has ended: nobody waits any more
                self._tell(self.error)
        self.cancelled = True

    def _read(self, numbered: Numbered, result: Any) -> Answer:
        wanted = self._wanted
        if wanted.question.match:
            cosines = labelled_cosines(result, wanted.asked)
            return Cosines(numbered[0], {label: round(cosine, 6) for label, cosine in cosines.items()})
        return part_of(numbered, result.above(wanted.threshold), wanted.asked, wanted.flat)


def place_of(error: BaseException) -> str:
    """Where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "an unknown place" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def coverage_of(parts: Sequence[Part]) -> Coverage:
    """How much of a text was read, of whose sentences these are."""
    return sum((part.coverage for part in parts), Coverage())
