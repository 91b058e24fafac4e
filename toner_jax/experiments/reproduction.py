"""The paper's tables and figures by runs: which they take, and what came of them beside what is printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from toner_jax.evaluation.paper import ACE04, ACE05, CONLL, JNLPBA, ONTONOTES, RESULTS, TITLES
from toner_jax.experiments.grid import workdir_of
from toner_jax.experiments.results import points, spread, table_lines
from toner_jax.experiments.variants import Study, explanations, parts, thresholds, whole
from toner_jax.runs.workdir import read_report

ALL = (CONLL, ONTONOTES, JNLPBA, ACE04, ACE05)
# The data sets of each table and figure.
TABLES: Mapping[int, tuple[str, ...]] = {
    3: (CONLL, ONTONOTES), 4: (JNLPBA,), 5: (ACE04, ACE05), 6: (CONLL,), 7: (CONLL,),
}  # fmt: skip
FIGURES: Mapping[int, tuple[str, ...]] = {3: ALL, 4: ALL, 5: ALL}
FIGURE_TITLES = {
    3: "F1 by the threshold δ",
    4: "Similarity score distributions of all text-type pairs",
    5: "ToNER and ToNER-EXP by model size",
}
DELTAS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of Figure 3

_EXPLAINED = 2  # the first variants of the study of explanations: without and with
_SCORES = ("precision", "recall", "f1")


def study_of(kind: str, number: int, config: ConfigDict) -> Study | None:
    """The runs that a table or a figure takes on one data set, with one size of model; None: a matcher alone.

    Args:
      kind: "table" or "figure".
    """
    if (kind, number) == ("figure", 4):
        return None
    if (kind, number) == ("figure", 3):
        return thresholds(config, DELTAS)
    if (kind, number) == ("table", 6):
        return parts(config)
    if (kind, number) in (("table", 7), ("figure", 5)):
        study = explanations(config)
        return Study(study.name, study.title, study.variants[:_EXPLAINED])
    return whole(config)


def rows_of(
    number: int, dataset: str, runs: Mapping[str, tuple[Path, Study]], seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """A table's rows on one data set: the paper's, then ours.

    Args:
      runs: by the variant of the configuration, where its runs live and which they are.

    Returns:
      {"model", "ours", "precision", "recall", "f1", "strict_f1"} of each, as `spread` has values over seeds, in shares;
      the paper's are of one seed, 0. Ours count unique (type, string) pairs, as the paper does.
    """
    found = [
        {
            "model": r.model,
            "ours": False,
            **{
                name: spread({} if value is None else {0: value / 100})
                for name, value in zip(_SCORES, (r.precision, r.recall, r.f1), strict=True)
            },
            "strict_f1": spread({}),
        }
        for r in RESULTS
        if (r.table, r.dataset) == (number, dataset)
    ]
    return found + our_rows(runs, seeds)


def our_rows(runs: Mapping[str, tuple[Path, Study]], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each variant of each study, as `rows_of` has them."""
    return [
        {"model": f"ours, {name}: {variant.title}", "ours": True, **_scores(out, variant.folder, seeds)}
        for name, (out, study) in runs.items()
        for variant in study.variants
    ]


def _scores(out: Path, folder: str, seeds: Sequence[int]) -> dict[str, Any]:
    found = {seed: read_report(workdir_of(out, folder, seed), "test") for seed in seeds}
    reports = {seed: report for seed, report in found.items() if report is not None}
    return {
        **{name: spread({s: r["toner_compatible"][name] for s, r in reports.items()}) for name in _SCORES},
        "strict_f1": spread({s: r["strict"]["f1"] for s, r in reports.items()}),
    }


def markdown(title: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows as a table, in points."""
    cells = [
        [
            str(row["model"]),
            *(points(row[name]) for name in (*_SCORES, "strict_f1")),
            str(len(row["f1"]["by_seed"])) if row["ours"] else "the paper's",
        ]
        for row in rows
    ]
    return table_lines(title, ("", "P", "R", "F1", "strict F1", "seeds"), cells)


def title_of(kind: str, number: int) -> str:
    """As the paper captions it."""
    return f"{kind.capitalize()} {number}: {(TITLES if kind == 'table' else FIGURE_TITLES)[number]}"


def run_or_collect(
    kind: str,
    number: int,
    chosen: Mapping[tuple[str, str], ConfigDict],
    out: Path,
    run: Callable[[ConfigDict, Study | None, Path], None] | None,
) -> dict[str, dict[str, tuple[Path, Study | None]]]:
    """Does the runs, or none.

    Args:
      chosen: the configurations, by data set and variant.
      run: does what is not done of a study; None collects what is there.

    Returns:
      By data set and variant, where the runs live and which they are.
    """
    found: dict[str, dict[str, tuple[Path, Study | None]]] = {}
    for (dataset, variant), config in chosen.items():
        folder, study = out / f"{dataset}-{variant}", study_of(kind, number, config)
        if run is not None:
            run(config, study, folder)
        found.setdefault(dataset, {})[variant] = folder, study
    return found
