"""Many questions at a time, within the limits, each answer written down when it comes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toner_jax.common.console import Progress
from toner_jax.explaining.endpoint import Unanswered, ask
from toner_jax.explaining.ledger import Ledger
from toner_jax.explaining.limits import Budget, Prices, Rate
from toner_jax.explaining.question import CONTRADICTS, MALFORMED, Question, Unusable

if TYPE_CHECKING:
    from openai import AsyncOpenAI


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


class Asker:
    """Asks the questions of one start."""

    def __init__(self, client: AsyncOpenAI, ledger: Ledger, limits: Limits):
        self._client, self._ledger, self._limits = client, ledger, limits
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

        async def allowed() -> None:
            await self._requests.take(1)
            await self._tokens.take(question.prompt_tokens + question.max_tokens)

        prices = self._limits.prices or Prices(0, 0)
        reserved = prices.of(question.prompt_tokens, question.max_tokens)
        for attempt in range(1, self._limits.attempts + 1):
            if not await self._budget.reserve(reserved):
                self.outcome.counts["above max_cost"] += 1
                return
            cost = 0.0
            try:
                reply = await ask(self._client, question.request, self._limits.attempts, allowed)
                cost = prices.of(reply.prompt_tokens, reply.completion_tokens)
            except Unanswered as error:
                self.outcome.counts["unanswered"] += 1
                self.outcome.last_failure = str(error)
                return
            finally:
                await self._budget.settle(reserved, cost)
            used = {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens}
            answer = {**used, "cost": cost if self._limits.prices else None}
            try:
                self._ledger.record(question, question.read(reply.text), answer)
                self.outcome.counts["written"] += 1
                return
            except Unusable as why:
                if why.reason == CONTRADICTS or attempt == self._limits.attempts:
                    self._ledger.refuse(question, why, reply.text, answer)
                    self.outcome.counts[CONTRADICTS if why.reason == CONTRADICTS else MALFORMED] += 1
                    return
