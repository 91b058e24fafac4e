"""The published sizes of the benchmark sets, to tell which copy of a set one has.

OntoNotes' counts are without the genre `pt`. Preprocessed copies of ACE differ with the sentence splitter; the one
listed is the most used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

Size = tuple[int, int]  # sentences, entities


class Copy(NamedTuple):
    """One copy of a data set; a key such as `train+dev` stands for both splits together."""

    dataset: str
    name: str
    sizes: Mapping[str, Size]


COPIES: tuple[Copy, ...] = (
    Copy(
        "conll2003",
        "shared task",
        {"train": (14_041, 23_499), "dev": (3_250, 5_942), "test": (3_453, 5_648)},
    ),
    Copy(
        "ontonotes",
        "CoNLL-2012 v4",
        {"train": (59_924, 81_828), "dev": (8_528, 11_066), "test": (8_262, 11_257)},
    ),
    Copy(
        "ontonotes",
        "CoNLL-2012 v12",
        {"train": (94_292, 128_738), "dev": (13_900, 20_354), "test": (10_348, 12_586)},
    ),
    Copy("jnlpba", "shared task", {"train+dev": (18_546, 51_301), "test": (3_856, 8_662)}),
    Copy(
        "jnlpba",
        "devel.tsv copy",
        {"train": (16_807, 46_750), "dev": (1_739, 4_551), "test": (3_856, 8_662)},
    ),
    Copy(
        "ace2004",
        "preprocessed nested NER",
        {"train": (6_200, 22_204), "dev": (745, 2_514), "test": (812, 3_035)},
    ),
    Copy(
        "ace2005",
        "preprocessed nested NER",
        {"train": (7_194, 24_441), "dev": (969, 3_200), "test": (1_047, 2_993)},
    ),
    Copy(
        "wnut17",
        "shared task",
        {"train": (3_394, 1_975), "dev": (1_009, 836), "test": (1_287, 1_079)},
    ),
)


class Comparison(NamedTuple):
    """A published size beside the size found; of raw text the sentences are ours, so that entities alone count."""

    copy: str
    splits: str
    published: Size
    found: Size
    raw: bool = False

    @property
    def agrees(self) -> bool:
        """Whether the sizes are the same, as far as they count."""
        return self.published[1] == self.found[1] and (self.raw or self.published[0] == self.found[0])


def compare(dataset: str, found: Mapping[str, Size], raw: Collection[str] = ()) -> list[Comparison]:
    """Every published size of a data set whose splits are all among those found, of which some came as raw text."""
    rows = []
    for copy in COPIES:
        for key, published in copy.sizes.items():
            parts = key.split("+")
            if copy.dataset == dataset and all(part in found for part in parts):
                total = sum(found[p][0] for p in parts), sum(found[p][1] for p in parts)
                rows.append(Comparison(copy.name, key, published, total, any(p in raw for p in parts)))
    return rows


def matching_copies(rows: list[Comparison]) -> list[str]:
    """The copies all of whose compared sizes are the ones found."""
    wrong = {row.copy for row in rows if not row.agrees}
    return [copy for copy in dict.fromkeys(row.copy for row in rows) if copy not in wrong]
