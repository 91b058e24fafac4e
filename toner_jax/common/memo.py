"""A memo of what was made, for threads: bounded, and nothing that a thread has found goes away under it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Generic, TypeVar

K = TypeVar("K", bound=Sized)
V = TypeVar("V", bound=Sized)

_USUAL = 16  # the length of a key and its value together, of which a memo holds so many as it holds keys


class Memo(Generic[K, V]):
    """Values by their keys, memoised.

    When there are too many, or some of them too long, all go but those that are asked for just then. They are left
    behind, never deleted: the mapping that a thread was given keeps what it had.
    """

    def __init__(self, make: Callable[[list[K]], Iterable[V]], most: int):
        """Args:
        make: the values of keys, in their order; called by several threads at once, of the same keys perhaps.
        most: keys of usual length that are memoised, or as many as are asked for at once.
        """
        self._make, self._most = make, most
        self._values: dict[K, V] = {}
        self._length = 0  # of all keys and values
        self._lock = threading.Lock()  # of what is added

    def __getitem__(self, key: K) -> V:
        """The value of one key."""
        known = self._values
        return known[key] if key in known else self.holding([key])[key]

    def __len__(self) -> int:
        return len(self._values)

    def holding(self, keys: Iterable[K]) -> Mapping[K, V]:
        """A mapping that has all of the keys; the new ones are made in one call."""
        asked, known = dict.fromkeys(keys), self._values
        new = [key for key in asked if key not in known]
        if not new:
            return known
        made = dict(zip(new, self._make(new), strict=True))
        with self._lock:
            # Since then, another thread may have added some, or begun anew without others.
            lacking = [key for key in asked if key not in self._values]
            length = sum(len(key) + len(made[key] if key in made else known[key]) for key in lacking)
            if len(self._values) + len(lacking) > self._most or self._length + length > _USUAL * self._most:
                self._values, self._length, lacking = {}, 0, list(asked)
            for key in lacking:
                self._values[key] = value = made[key] if key in made else known[key]
                self._length += len(key) + len(value)
            return self._values
