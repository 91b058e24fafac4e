"""What the paper reports: ToNER (LREC-COLING 2024), its Tables 2 to 7 as they are printed, and a run beside them.

Scores are per cent, over unique (type, string) pairs of a sentence in the authors' code, as `toner_compatible` counts
them. A baseline's source is the paper that its name cites; ToNER's rows are the authors' own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from toner_jax.data.corpora.published import compare
from toner_jax.evaluation.scoring import Counts

CONLL, ONTONOTES, JNLPBA, ACE04, ACE05 = "conll2003", "ontonotes", "jnlpba", "ace2004", "ace2005"

# Table 2 and §4.3, by key of the configuration. Batches are of 32 for Flan-T5-large and xl, of 8 for xxl.
SETTINGS: Mapping[str, Any] = {
    "generator.batch_size": 32,
    "text.max_source": 512,
    "text.max_target": 512,
    "generator.learning_rate": 3e-5,
    "generator.lambda_c": 0.1,
    "matcher.tau": 0.05,
    "matcher.checkpoint": "thenlper/gte-large",
    "matcher.epochs": 1.0,
    "matcher.learning_rate": 8e-6,
    "matcher.weight_decay": 1e-3,
}
XXL_BATCH_SIZE = 8
THRESHOLDS: Mapping[str, float] = {
    CONLL: 0.8,
    JNLPBA: 0.7,
    ONTONOTES: 0.6,
    ACE04: 0.6,
    ACE05: 0.6,
}  # δ of Table 2

TITLES: Mapping[int, str] = {
    3: "All models' NER performance on CoNLL2003 and OntoNotes 5.0",
    4: "Results for JNLPBA",
    5: "Results for ACE2004 and ACE2005",
    6: "Ablation study results of ToNER-large and ToNER-xl on CoNLL2003",
    7: "ToNER and ToNER-EXP's performance on CoNLL2003",
}
_COMPARED = (3, 4, 5)  # with other systems; the rest compares ToNER with itself


class Result(NamedTuple):
    """A row of a table, on one data set; None where the table has a dash or no such column."""

    table: int
    dataset: str
    model: str
    precision: float | None
    recall: float | None
    f1: float


# By table and data set: `model | P R F1`, or `model | F1`.
_PRINTED: Mapping[tuple[int, str], str] = {
    (3, CONLL): """
        Strubell et al. (2017) | - - 90.65
        Devlin et al. (2019) | - - 92.80
        Yu et al. (2020a) | 92.91 92.13 92.52
        Li et al. (2020) | 92.33 94.61 93.04
        Yan et al. (2021) | 92.61 93.87 93.24
        Li et al. (2022b) | 92.71 93.44 93.07
        Wang et al. (2023) | - - 92.94
        Shen et al. (2023) | 92.99 92.56 92.78
        ToNER-large | 93.55 94.11 93.83
        ToNER-xl | 93.53 93.65 93.59
    """,
    (3, ONTONOTES): """
        Strubell et al. (2017) | - - 86.84
        Devlin et al. (2019) | 90.01 88.35 89.16
        Yu et al. (2020a) | 90.01 89.77 89.89
        Li et al. (2020) | 92.98 89.95 91.11
        Yan et al. (2021) | 89.99 90.77 90.38
        Li et al. (2022b) | 90.03 90.97 90.50
        Wang et al. (2023) | - - 90.19
        Shen et al. (2023) | 90.31 91.02 90.66
        ToNER-large | 91.16 91.35 91.25
        ToNER-xl | 91.11 91.50 91.30
    """,
    (4, JNLPBA): """
        Fu et al. (2021) | - - 74.49
        Wang et al. (2022b) | - - 77.03
        Sharma and Daniel Jr (2019) | - - 77.03
        Lee et al. (2019) | 72.68 83.21 77.59
        ToNER-large | 77.88 79.55 78.71
        ToNER-xl | 76.31 82.09 79.09
    """,
    (5, ACE04): """
        Yu et al. (2020a) | 87.30 86.00 86.70
        Li et al. (2020) | 85.05 86.32 85.98
        Yan et al. (2021) | 87.27 86.41 86.84
        Li et al. (2022b) | 87.33 87.71 87.52
        Shen et al. (2023) | 88.11 88.66 88.39
        ToNER-large | 88.39 85.29 86.81
        ToNER-xl | 90.03 86.24 88.09
    """,
    (5, ACE05): """
        Yu et al. (2020a) | 85.20 85.60 85.40
        Li et al. (2020) | 87.16 86.59 86.88
        Yan et al. (2021) | 83.16 86.38 84.74
        Li et al. (2022b) | 85.03 88.62 86.79
        Shen et al. (2023) | 86.15 87.72 86.93
        ToNER-large | 84.74 84.68 84.71
        ToNER-xl | 86.66 86.71 86.68
    """,
    (6, CONLL): """
        Flan-T5-large | 87.11
        Flan-T5-large + f_TM | 91.18
        Flan-T5-large + f_TM + TC | 92.23
        Flan-T5-large + f_TM + TC + TR | 93.83
        Flan-T5-xl | 89.05
        Flan-T5-xl + f_TM | 91.21
        Flan-T5-xl + f_TM + TC | 92.13
        Flan-T5-xl + f_TM + TC + TR | 93.59
    """,
    (7, CONLL): """
        ToNER-large | 93.55 94.11 93.83
        ToNER-large-EXP | 93.18 92.77 92.97
        ToNER-xl | 93.53 93.65 93.59
        ToNER-xl-EXP | 93.10 93.13 93.11
        ToNER-xxl | 92.74 92.28 92.52
        ToNER-xxl-EXP | 93.93 93.47 93.70
    """,
}


def _rows(table: int, dataset: str, rows: str) -> tuple[Result, ...]:
    """The rows of one text of `_PRINTED`."""
    found = []
    for line in rows.strip().splitlines():
        model, _, scores = line.partition("|")
        *pair, f1 = (None if score == "-" else float(score) for score in scores.split())
        precision, recall = pair or (None, None)
        if f1 is None:
            raise ValueError(f"no F1: {line}")
        found.append(Result(table, dataset, model.strip(), precision, recall, f1))
    return tuple(found)


RESULTS: tuple[Result, ...] = tuple(
    row for (table, dataset), rows in _PRINTED.items() for row in _rows(table, dataset, rows)
)


def beside(dataset: str, split: str, counts: Counts, size: tuple[int, int]) -> dict[str, Any] | None:
    """A run's result beside the paper's table of its data set; None where the paper has none.

    Args:
      counts: `toner_compatible`.
      size: sentences and entities of the split.

    Returns:
      {"table", "title", "same_test_set", "results"}: whether a published copy of the data set has a test split of this
      size, and of each row the model, its scores as shares, and by how many points of F1 the run is above it.
    """
    rows = [r for r in RESULTS if r.dataset == dataset and r.table in _COMPARED]
    if not rows or split != "test":
        return None
    return {
        "table": rows[0].table,
        "title": TITLES[rows[0].table],
        "same_test_set": any(c.agrees for c in compare(dataset, {split: size})),
        "results": [
            {
                "model": r.model,
                "precision": _share(r.precision),
                "recall": _share(r.recall),
                "f1": _share(r.f1),
                "points_above": round(100 * counts.f1 - r.f1, 2),
            }
            for r in rows
        ],
    }


def _share(score: float | None) -> float | None:
    return None if score is None else round(score / 100, 4)
