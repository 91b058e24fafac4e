"""How fast and for how much may be asked."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass

_WINDOW = 60.0  # seconds


class Rate:
    """So much a minute at most, over any minute; 0 for no limit."""

    def __init__(self, most: float):
        self._most = most
        self._spent: deque[tuple[float, float]] = deque()
        self._lock = asyncio.Lock()

    async def take(self, amount: float) -> None:
        """Returns when the amount may be spent. One above the limit is let through alone."""
        if not self._most:
            return
        async with self._lock:  # first come, first served
            while (wait := self._wait(amount)) > 0:
                await asyncio.sleep(wait)
            self._spent.append((time.monotonic(), amount))

    def _wait(self, amount: float) -> float:
        now = time.monotonic()
        while self._spent and self._spent[0][0] <= now - _WINDOW:
            self._spent.popleft()
        if not self._spent or sum(spent for _, spent in self._spent) + amount <= self._most:
            return 0.0
        return self._spent[0][0] + _WINDOW - now + 0.001


@dataclass(frozen=True)
class Prices:
    """Of a million tokens of prompts and of answers, in any currency."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


class Budget:
    """What may be spent in all; what is asked for and not answered yet counts as if it were as long as it may be.

    Attributes:
      spent: so far.
    """

    def __init__(self, most: float | None, spent: float):
        self._most, self.spent, self._reserved = most, spent, 0.0
        self._settled = asyncio.Condition()

    async def reserve(self, amount: float) -> bool:
        """Sets an amount aside, once there is room for it; False where there is not so much left."""
        async with self._settled:
            while self._most is not None and self.spent + self._reserved + amount > self._most:
                if not self._reserved:
                    return False
                await self._settled.wait()  # what is under way may cost less
            self._reserved += amount
            return True

    async def settle(self, reserved: float, cost: float) -> None:
        """Spends `cost` of what was set aside."""
        async with self._settled:
            self._reserved = max(0.0, self._reserved - reserved)
            if self._reserved < 1e-12:
                self._reserved = 0.0
            self.spent += cost
            self._settled.notify_all()
