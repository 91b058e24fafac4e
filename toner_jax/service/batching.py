"""Dynamic batching: sentences of many requests go through the model together.

Threads take turns at the model: while one waits for the device, another prepares texts. Each takes a few sentences of
requests that wait, so that a long document holds up nobody, and hands each request what was found in its own as soon as
that is known.
"""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from toner_jax.api import Ner
from toner_jax.common.console import warn
from toner_jax.errors import UserError
from toner_jax.inference.texts import Numbered
from toner_jax.schema import Sentence
from toner_jax.service.requests import Question, Request, Tell, Wanted, place_of

SENTENCES = 32  # that are read together
_WORDS = 2048  # or fewer, once they have so many
_THREADS = 2
# A thread that has just answered several requests waits so many seconds for as many: who was answered may ask again.
_LINGER = 0.005


class FullError(Exception):
    """So many requests wait that another one would wait too long."""


class ClosedError(Exception):
    """The service takes no more requests."""


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
            if self.waiting >= self._most_waiting:  # some may be such as nobody waits for
                self._requests = deque(r for r in self._requests if not r.cancelled)
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
            # Not for the threads: one may compile a program that nobody needs any more.
            while self._at_work or any(not request.cancelled for request in self._requests):
                self._changed.wait(0.1)

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
        except Exception as error:  # a text that needs it meets the same, and is told
            warn(f"not prepared: {type(error).__name__} at {place_of(error)}")
        with self._changed:
            self.prepared += 1
            self._preparing = False
            self._changed.notify_all()

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
        left, count, words = deque(requests), 0, 0
        while left and count < SENTENCES and words < _WORDS:
            request = left.popleft()
            if request.more():
                taken.setdefault(request, []).append(numbered := request.take())
                left.append(request)
                count, words = count + 1, words + len(numbered[1].words)
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
