"""The few padded lengths that inference compiles for."""

from __future__ import annotations

# Texts are mostly short: what lengths are padded to, beyond what stands around every text.
_STEPS = (16, 32, 64, 128, 256)


def length_buckets(limit: int, overhead: int) -> tuple[int, ...]:
    """At most six lengths, multiples of 8 but for the last, which is `limit`.

    Args:
      overhead: pieces that stand around every text.
    """
    base = -(-overhead // 8) * 8
    return (*(base + n for n in _STEPS if base + n < limit), limit)


def few_lengths(limit: int) -> tuple[int, ...]:
    """At most four lengths, each twice the one before it, multiples of 8 but for the last, which is `limit`."""
    return tuple(sorted({limit, *(-(-limit // (8 * n)) * 8 for n in (8, 4, 2) if limit > 8 * n)}))


def bucket_of(length: int, buckets: tuple[int, ...]) -> int:
    """The least of the buckets that holds `length`.

    Raises:
      ValueError: none does.
    """
    for n in buckets:
        if n >= length:
            return n
    raise ValueError(f"{length} pieces pass the limit of {buckets[-1]}")
