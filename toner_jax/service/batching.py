"""Dynamic batching: sentences of many requests go through the model together.

Threads take turns at the model: while one waits for the device, another prepares texts. Each takes a few sentences of
requests that wait, so that a long document holds up nobody, and hands each request what was found in its own as soon as
that is known.
"""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toner_jax.api import Ner
from toner_jax.common.console import alarm, warn
from toner_jax.errors import UserError
from toner_jax.inference.labels import Asked
from toner_jax.inference.predicted import Part, predicted_entities
from toner_jax.inference.texts import Numbered, numbered_sentences
from toner_jax.schema import Schema, Sentence
from toner_jax.tasks.recognized import Coverage
from toner_jax.text.words import sentence_from_text

SENTENCES = 32  # that are read together
_THREADS = 2
# A thread that has just answered several requests waits so many seconds for as many: who was answered may ask again.
_LINGER = 0.005


class FullError(Exception):
    """So many requests wait that another one would wait too long."""


class ClosedError(Exception):
    """The service takes no more requests."""


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
        self._sentences = (
            _whole(texts, ner) if wanted.question.match else numbered_sentences(texts, ner.reading)
        )
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
        if self.error and not isinstance(
            self.error, UserError
        ):  # a defect of ours; the text is nobody else's business
            alarm(f"a request failed: {type(self.error).__name__} at {_place(self.error)}")
        if not self.cancelled:
            self._tell(self.error)
        self.cancelled = True

    def _read(self, numbered: Numbered, result: Any) -> Answer:
        (i, sentence, is_last), wanted = numbered, self._wanted
        if wanted.question.match:
            names, written = wanted.question.schema.names, wanted.asked.written
            order = np.argsort(-result, kind="stable")
            return Cosines(i, {written[names[k]]: round(float(result[k]), 6) for k in order})
        found = result.above(wanted.threshold)
        entities = predicted_entities(sentence, found.flat() if wanted.flat else found, wanted.asked)
        return Part(i, entities, is_last, found.coverage, found.explanation)


def _whole(texts: Sequence[str], ner: Ner) -> Iterator[Numbered]:
    """Each text as one sentence."""
    for i, text in enumerate(texts):
        yield i, sentence_from_text(str(i), text, ner.reading), True


class Batcher:
    """Takes requests of any thread, and has threads of its own read them.

    Attributes:
      programs: how many the models have; `prepared`, how many of them are compiled.
      on_batch: is told of each batch how many sentences and requests it has.
    """

    def __init__(self, ner: Ner, *, most_waiting: int = 256, most_together: int = 0, prepare: bool = True):
        """Args:
        most_waiting: requests; with more, another is refused.
        most_together: requests that are read together, 0 for any number.
        prepare: whether all programs are compiled while no request waits.
        """
        self._ner, self._most_waiting = ner, most_waiting
        self._most_together = most_together or most_waiting
        self._requests: deque[Request] = deque()  # that wait for their turn
        self._at_work = 0  # requests whose sentences are read now
        self._preparing = False
        self._changed = threading.Condition()
        self._closed = False
        self._preparations = deque(ner.preparations() if prepare else ())
        self.programs, self.prepared = len(self._preparations), 0
        self.on_batch: Callable[[int, int], None] = lambda sentences, requests: None
        threads = 1 if most_together == 1 else _THREADS
        self._threads = [
            threading.Thread(target=self._work, name="models", daemon=True) for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Requests that are not answered yet."""
        return len(self._requests) + self._at_work

    @property
    def is_prepared(self) -> bool:
        """Whether no text waits for a program to be compiled."""
        return self.prepared == self.programs

    def submit(self, texts: Sequence[str], wanted: Wanted, tell: Tell) -> Request:
        """Has texts read; each answer goes to `tell`, in the order of the texts' sentences.

        Returns:
          The request, to be cancelled.

        Raises:
          FullError: too many wait.
          ClosedError: none is taken any more.
        """
        request = Request(texts, wanted, tell, self._ner)
        with self._changed:
            if self._closed:
                raise ClosedError
            if self.waiting >= self._most_waiting:
                raise FullError
            self._requests.append(request)
            self._changed.notify()
        return request

    def close(self) -> None:
        """Takes no more requests, and returns when those that wait are answered."""
        with self._changed:
            self._closed = True
            self._preparations.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        answered = 0
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                self._changed.wait_for(functools.partial(self._are_waiting, answered), _LINGER)
                chosen = self._chosen()
                step = self._next_step() if not chosen else None
            if chosen:
                answered = self._read(chosen)
            elif step:
                self._prepare(step)
            elif self._closed:
                return

    def _has_work(self) -> bool:
        ended = self._closed and not self._at_work
        return bool(self._requests) or ended or (bool(self._preparations) and not self._preparing)

    def _are_waiting(self, count: int) -> bool:
        return len(self._requests) >= count or not self._requests or self._closed

    def _next_step(self) -> Callable[[], None] | None:
        """A program that is to be compiled, if no other thread compiles one: a request that comes meanwhile is read."""
        if self._closed or self._preparing or not self._preparations:
            return None
        self._preparing = True
        return self._preparations.popleft()

    def _prepare(self, step: Callable[[], None]) -> None:
        """Compiles one program more."""
        try:
            step()
        except UserError as error:  # of a batch that has no room in memory: no text needs it yet
            warn(f"not prepared: {error}")
        with self._changed:
            self.prepared += 1
            self._preparing = False
            self._changed.notify()

    def _chosen(self) -> list[Request]:
        """The requests whose turn it is: the first, and those that ask the same. They wait no more."""
        most = min(self._most_together, SENTENCES)
        chosen: list[Request] = []
        others: deque[Request] = deque()
        for request in self._requests:
            if request.cancelled:
                continue
            same = not chosen or request.question == chosen[0].question
            (chosen if same and len(chosen) < most else others).append(request)
        self._requests = others
        self._at_work += len(chosen)
        return chosen

    def _read(self, requests: Sequence[Request]) -> int:
        """Reads some sentences of each; returns how many requests are answered by that."""
        taken: dict[Request, list[Numbered]] = {}
        left, count = deque(requests), 0
        while left and count < SENTENCES:
            request = left.popleft()
            if request.more():
                taken.setdefault(request, []).append(request.take())
                left.append(request)
                count += 1
        self.on_batch(count, len(taken))
        if taken:
            self._answer(taken)
        going = [request for request in requests if request.more()]
        for request in requests:
            if request not in going:
                request.end()
        with self._changed:
            self._at_work -= len(requests)
            self._requests += going  # behind those that have waited meanwhile
            self._changed.notify_all()
        return len(requests) - len(going)

    def _answer(self, taken: dict[Request, list[Numbered]]) -> None:
        """Answers requests; where that fails, each by itself, so that none fails for another."""
        first = next(iter(taken))
        try:
            found = self._ask(first.question, [s for sentences in taken.values() for _, s, _ in sentences])
        except Exception as error:
            if len(taken) == 1:
                first.error = error
                return
            for request, sentences in taken.items():
                self._answer({request: sentences})
            return
        at = 0
        for request, sentences in taken.items():
            request.answer(sentences, found[at : at + len(sentences)])
            at += len(sentences)

    def _ask(self, question: Question, sentences: list[Sentence]) -> Sequence[Any]:
        if question.match:
            return list(self._ner.similarities(sentences, question.schema))
        found, _ = self._ner.recognize(
            sentences, question.schema, 0.0, question.type_threshold, explain=question.explain
        )
        return found


def _place(error: BaseException) -> str:
    """Where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "an unknown place" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def coverage_of(parts: Sequence[Part]) -> Coverage:
    """How much of a text was read, of whose sentences these are."""
    return sum((part.coverage for part in parts), Coverage())
