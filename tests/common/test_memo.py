"""Memos that overflow while threads read them."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from toner_jax.common.memo import Memo

pytestmark = pytest.mark.usefixtures("busy_switching")


def test_what_a_thread_asked_for_is_there_whatever_others_ask_for():
    memo: Memo[str, str] = Memo(lambda keys: [key.upper() for key in keys], 10)

    def ask(seed: int) -> int:
        rng, most = random.Random(seed), 0
        for _ in range(2_000):
            words = rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(1, 8))
            known = memo.holding(words)
            assert [known[word] for word in words] == [word.upper() for word in words]
            assert memo[words[0]] == words[0].upper()
            most = max(most, len(memo))
        return most

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(ask, range(8))) <= 10


def test_keys_are_made_once_and_in_one_call():
    asked: list[list[str]] = []

    def make(keys: list[str]) -> list[str]:
        asked.append(keys)
        return keys

    memo: Memo[str, str] = Memo(make, 3)
    memo.holding(["a", "b", "a"])
    memo.holding(["b", "c"])
    assert memo["c"] == "c"
    assert asked == [["a", "b"], ["c"]]
    assert dict(memo.holding(["c", "d"])) == {"c": "c", "d": "d"}  # a fourth: all but those asked for go
    assert memo["a"] == "a"
    assert asked == [["a", "b"], ["c"], ["d"], ["a"]]


def test_few_long_keys_are_as_many_as_all_of_usual_length():
    memo: Memo[str, str] = Memo(lambda keys: keys, 10)
    for i in range(10):
        assert len(memo[f"{i}" * 75]) == 75
        assert len(memo) == 1
