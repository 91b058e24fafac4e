"""The few padded lengths that inference compiles for."""

from __future__ import annotations

_LENGTHS = (48, 64, 80, 96, 128, 256, 512, 1024)


def ladder(limit: int) -> tuple[int, ...]:
    """At most eight lengths (seven up to 512), the last of them `limit`."""
    return (*(n for n in _LENGTHS if n < limit), limit)


def padded_length(length: int, lengths: tuple[int, ...]) -> int:
    """The least of `lengths` that holds `length`.

    Raises:
      ValueError: none does.
    """
    for n in lengths:
        if n >= length:
            return n
    raise ValueError(f"{length} pieces pass the limit of {lengths[-1]}")
