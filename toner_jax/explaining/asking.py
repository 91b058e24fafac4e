"""Many questions at a time, within the limits, each answer written down when it comes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from toner_jax.common.console import Progress
from toner_jax.errors import UserError
from toner_jax.explaining.endpoint import Chat, Reply, Unanswered
from toner_jax.explaining.ledger import Ledger
from toner_jax.explaining.limits import Budget, Prices, Rate
from toner_jax.explaining.question import MALFORMED, Question, Unusable

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_GIVEN_UP = 8  # questions without an answer, where no other has had one


@dataclass(frozen=True)
class Limits:
    """How the endpoint may be asked.

    Attributes:
      concurrency: requests at a time.
      attempts: how often a request is repeated that gets no answer, and an answer asked for that is malformed.
      requests_per_minute, tokens_per_minute: 0 for no limit.
      prices: None where costs are not told.
      max_cost: of all starts together; None for no limit.
    """

    concurrency: int
    attempts: int
    requests_per_minute: int
    tokens_per_minute: int
    prices: Prices | None
    max_cost: float | None


@dataclass
class Outcome:
    """What came of a start: counts of what was written and refused, and what is left, by reason."""

    counts: Counter[str] = field(default_factory=Counter)
    last_failure: str = ""


@dataclass
class Used:
    """What all answers to a question took; `cost` None where there are no prices."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None

    def add(self, reply: Reply, cost: float | None) -> None:
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens
        if cost is not None:
            self.cost = (self.cost or 0.0) + cost


class Asker:
    """Asks the questions of one start."""

    def __init__(self, client: AsyncOpenAI, ledger: Ledger, limits: Limits):
        self._chat, self._ledger, self._limits = Chat(client), ledger, limits
        self._requests, self._tokens = Rate(limits.requests_per_minute), Rate(limits.tokens_per_minute)
        self._budget = Budget(limits.max_cost, ledger.cost)
        self.outcome = Outcome()

    async def run(self, questions: Sequence[Question]) -> None:
        """Asks all of them.

        Raises:
          UserError: the endpoint answers nobody.
        """
        first = {q.key: q for q in reversed(questions)}  # what stands twice is asked once
        waiting = iter(list(first.values())[::-1])
        with Progress("explanations", len(first)) as progress:
            self._progress = progress
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._limits.concurrency, len(first))):
                    group.create_task(self._work(waiting))
        for question in questions:
            if question is not first[question.key] and self._ledger.answered(question):
                self.outcome.counts["written"] += 1

    async def _work(self, waiting: Iterator[Question]) -> None:
        for question in waiting:
            await self._ask(question)
            counts = self.outcome.counts
            self._progress.update(
                sum(counts.values()), f"cost {self._budget.spent:.2f}" if self._limits.prices else ""
            )

    async def _ask(self, question: Question) -> None:
        prices = self._limits.prices or Prices(0, 0)
        reserved = prices.of(question.prompt_tokens, question.max_tokens)
        used = Used()
        for attempt in range(1, self._limits.attempts + 1):
            if not await self._budget.reserve(reserved):
                self.outcome.counts["above max_cost"] += 1
                return
            cost = 0.0
            try:
                reply = await self._chat.ask(
                    question.request, self._limits.attempts, partial(self._allowed, question)
                )
                cost = prices.of(reply.prompt_tokens, reply.completion_tokens)
            except Unanswered as error:
                self._unanswered(str(error))
                return
            finally:
                await self._budget.settle(reserved, cost)
            used.add(reply, cost if self._limits.prices else None)
            last = reply.cut or attempt == self._limits.attempts
            if reason := take(self._ledger, question, reply, used, last=last):
                self.outcome.counts[reason] += 1
                return

    async def _allowed(self, question: Question) -> None:
        """Returns when a request may be sent."""
        await self._requests.take(1)
        await self._tokens.take(question.prompt_tokens + question.max_tokens)

    def _unanswered(self, why: str) -> None:
        """Counts a question without an answer.

        Raises:
          UserError: no question has had one, after some.
        """
        counts = self.outcome.counts
        counts["unanswered"] += 1
        self.outcome.last_failure = why
        if counts["unanswered"] >= _GIVEN_UP and counts.keys() == {"unanswered"}:
            raise UserError(f"no question was answered: {why}")


def take(ledger: Ledger, question: Question, reply: Reply, used: Used, *, last: bool) -> str:
    """Writes an answer down, and says as what: "written", "contradicts" or "malformed"; "" where it is malformed and
    not the last that is asked for."""
    answer = {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "cost": used.cost,
    }
    try:
        if reply.cut:
            raise Unusable(MALFORMED, f"cut at max_tokens={question.max_tokens}")
        ledger.record(question, question.read(reply.text), answer)
    except Unusable as why:
        if why.reason == MALFORMED and not last:
            return ""
        ledger.refuse(question, why, reply.text, answer)
        return why.reason
    return "written"
