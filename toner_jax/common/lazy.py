"""A sequence whose items are made when they are first asked for, and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload

T = TypeVar("T")


class Lazy(Sequence[T], Generic[T]):
    """`make(i)` of i = 0 … `count` − 1."""

    def __init__(self, make: Callable[[int], T], count: int):
        self._make, self._made = make, {}  # type: tuple[Callable[[int], T], dict[int, T]]
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[i] for i in range(self._count)[index]]
        i = range(self._count)[index]
        if i not in self._made:
            self._made[i] = self._make(i)
        return self._made[i]
