"""What an experiment's runs came to: means over seeds, and what each variant adds to the one before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from toner_jax.common.markdown import table
from toner_jax.experiments.grid import workdir_of
from toner_jax.experiments.variants import Study
from toner_jax.runs.workdir import read_report

# Columns of a table: the figure of a report, and its title.
_FIGURES = {
    "test_f1": "test F1",
    "test_pairs_f1": "test F1, unique pairs",
    "dev_f1": "dev F1",
    "types_f1": "F1 of T′ on test",
}
_DECIDES = "test_f1"  # the figure whose differences are shown


def collect(out: Path, study: Study, seeds: Sequence[int]) -> dict[str, Any]:
    """The results that are there.

    Returns:
      {"title", "seeds", "against", "variants"}: each variant with its figures, as shares: by seed, their mean and
      standard deviation (None of a single one), and of test F1 the differences to the variant that it is compared with,
      over the seeds that both have.
    """
    rows: list[dict[str, Any]] = []
    for variant in study.variants:
        runs = {seed: found for seed in seeds if (found := _figures(workdir_of(out, variant.folder, seed)))}
        row: dict[str, Any] = {
            "variant": variant.folder,
            "title": variant.title,
            "changes": dict(variant.changes),
            "published": None if variant.published is None else variant.published / 100,
            "figures": {
                name: spread({seed: value for seed, run in runs.items() if (value := run[name]) is not None})
                for name in _FIGURES
            },
        }
        other = rows[-1 if study.against == "before" else 0]["figures"][_DECIDES]["by_seed"] if rows else {}
        own = row["figures"][_DECIDES]["by_seed"]
        row["added"] = spread({seed: own[seed] - other[seed] for seed in own if seed in other})
        rows.append(row)
    return {"title": study.title, "seeds": list(seeds), "against": study.against, "variants": rows}


def spread(values: Mapping[int, float]) -> dict[str, Any]:
    """{"by_seed", "mean", "sd"} of values; None where there are none, or one too few."""
    found = list(values.values())
    return {
        "by_seed": dict(values),
        "mean": fmean(found) if found else None,
        "sd": stdev(found) if len(found) > 1 else None,
    }


def _figures(workdir: Path) -> dict[str, float | None]:
    """Of a run that is evaluated, {} of any other."""
    dev, test = (read_report(workdir, split) for split in ("dev", "test"))
    if dev is None or test is None:
        return {}
    return {
        "test_f1": test["strict"]["f1"],
        "test_pairs_f1": test["toner_compatible"]["f1"],
        "dev_f1": dev["strict"]["f1"],
        "types_f1": test["types"]["f1"] if "types" in test else None,
    }


def markdown(results: Mapping[str, Any]) -> str:
    """The results as a table, in points (per cent)."""
    rows = results["variants"]
    paper = any(row["published"] is not None for row in rows)
    heads = [
        "",
        *_FIGURES.values(),
        f"test F1 above the {'row before' if results['against'] == 'before' else 'first row'}",
        "seeds",
        *(["the paper's F1"] if paper else []),
    ]
    cells: list[list[str]] = []
    for row in rows:
        figures = [points(row["figures"][name]) for name in _FIGURES]
        count = len(row["figures"][_DECIDES]["by_seed"])
        last = [f"{100 * row['published']:.2f}" if row["published"] is not None else "–"] if paper else []
        cells.append([row["title"], *figures, points(row["added"], signed=True), str(count), *last])
    said = "Strict spans, in points: mean ± standard deviation over seeds; differences are of runs of the same seed."
    return "\n".join([*table_lines(results["title"], heads, cells), "", said, ""])


def table_lines(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A title and a table in Markdown, numbers right of the first column."""
    return [f"# {title}", "", *table(heads, rows, heads[1:])]


def points(found: Mapping[str, Any], *, signed: bool = False) -> str:
    """A mean in points, with its standard deviation where there is one; a dash for nothing."""
    mean, sd = found["mean"], found["sd"]
    if mean is None:
        return "–"
    text = f"{100 * mean:+.2f}" if signed else f"{100 * mean:.2f}"
    return text if sd is None else f"{text} ± {100 * sd:.2f}"
