"""What readers mended or left out: how often, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


class Repairs(Mapping[str, int]):
    """Reason → times, and the places of each; equal to a dict of the same counts.

    Attributes:
      scheme: that of the tags read, by which faults of tags are told; "" where there were none.
    """

    def __init__(self, places: Mapping[str, Iterable[str]] | None = None, scheme: str = ""):
        self.scheme = scheme
        self._places: dict[str, list[str]] = {
            reason: found for reason, given in (places or {}).items() if (found := list(given))
        }

    def add(self, reason: str, location: str, times: int = 1) -> None:
        """Counts what was done `times` at a place (`file:line`, or whatever names it); 0 counts nothing."""
        if times:
            self._places.setdefault(reason, []).extend([location] * times)

    def update(self, other: Repairs) -> None:
        """Counts what another reader did, too."""
        for reason in other:
            self._places.setdefault(reason, []).extend(other.places(reason))

    def places(self, reason: str) -> tuple[str, ...]:
        """The places of a reason, one for each time, in the order found."""
        return tuple(self._places.get(reason, ()))

    def to_json(self) -> dict[str, list[str]]:
        """Reason → places: what the constructor takes."""
        return {reason: list(places) for reason, places in self._places.items()}

    def __getitem__(self, reason: str) -> int:
        return len(self._places[reason])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        return f"Repairs({dict(self)})"
