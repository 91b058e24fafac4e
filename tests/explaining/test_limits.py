"""Rates over any minute, and what may be spent."""

import asyncio

import pytest

from toner_jax.explaining import limits


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when one sleeps."""
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(limits.asyncio, "sleep", sleep)
    return now


@pytest.mark.parametrize(
    ("most", "amounts"), [(10, [1] * 95), (100, [30, 50, 20, 90, 5, 5, 60] * 6), (3, [1, 5, 1])]
)
def test_no_minute_has_more(clock, most, amounts):
    async def work() -> list[tuple[float, float]]:
        rate, taken = limits.Rate(most), []
        for amount in amounts:
            await rate.take(amount)
            taken.append((clock[0], amount))
        return taken

    taken = asyncio.run(work())
    for at, _ in taken:
        within = [amount for when, amount in taken if at <= when < at + 60]
        assert sum(within) <= most or len(within) == 1
    # And no slower than need be: a full minute's worth is spent in each.
    assert taken[-1][0] <= 60.1 * len(amounts)
    assert most != 10 or taken[-1][0] == pytest.approx(60 * 9, abs=0.1)


def test_a_budget_counts_what_is_under_way():
    async def work() -> list[str]:
        budget, order = limits.Budget(10.0, spent=4.0), []
        assert await budget.reserve(3.0)
        assert await budget.reserve(3.0)

        async def another() -> None:
            assert await budget.reserve(2.5)
            order.append("reserved")

        waiting = asyncio.ensure_future(another())
        await asyncio.sleep(0)
        order.append("settled")
        await budget.settle(3.0, 0.5)
        await waiting
        await budget.settle(3.0, 3.0)
        await budget.settle(2.5, 2.0)
        assert budget.spent == 9.5
        assert not await budget.reserve(0.6)  # nothing is under way that might cost less
        assert await budget.reserve(0.5)
        return order

    assert asyncio.run(work()) == ["settled", "reserved"]
    assert asyncio.run(limits.Budget(None, 0.0).reserve(1e9))
    assert limits.Prices(2.5, 10).of(1_000_000, 100_000) == pytest.approx(3.5)
