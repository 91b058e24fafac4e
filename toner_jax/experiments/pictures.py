"""An experiment's results as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toner_jax.common.figures import new_figure, save_figure
from toner_jax.experiments.similarities import Told

_BLUE, _ORANGE, _GREY = "#1f4e79", "#c2410c", "#6b7280"  # told apart by the colour-blind, and in grey


def draw_variants(
    results: Mapping[str, Any], path: Path, label_of_x: str = "strict span F1 on test (%)"
) -> None:
    """Test F1 of each variant: a point for each seed, a bar at their mean, a cross where the paper's is."""
    rows = results["variants"]
    figure = new_figure(7.5, 1.4 + 0.5 * len(rows))
    axes = figure.add_subplot()
    labelled: set[str] = set()

    def label(text: str) -> str:  # each once in the legend
        first = text not in labelled
        labelled.add(text)
        return text if first else "_"

    for i, row in enumerate(rows):
        found = row["figures"]["test_f1"]
        values = [100 * value for value in found["by_seed"].values()]
        axes.scatter(values, [i] * len(values), color=_BLUE, s=24, alpha=0.7, label=label("a run"))
        if values:
            mean = 100 * found["mean"]
            axes.plot([mean, mean], [i - 0.3, i + 0.3], color=_BLUE, linewidth=2, label=label("mean"))
            axes.annotate(f"{mean:.2f}", (mean, i - 0.32), ha="center", va="bottom", fontsize=8)
        if row["published"] is not None:
            published = 100 * row["published"]
            axes.scatter([published], [i], color=_ORANGE, marker="x", s=40, label=label("the paper"))
    axes.set_yticks(range(len(rows)), [row["title"] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.7)
    axes.set_xlabel(label_of_x)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if labelled:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.suptitle(results["title"], fontsize=10)
    save_figure(figure, path)


def draw_thresholds(rows: list[dict[str, Any]], chosen: float | None, title: str, path: Path) -> None:
    """Entities' F1 and that of T′ by δ.

    Args:
      rows: {"type_threshold", "f1", "types_f1"} of each δ, as shares.
      chosen: the run's own δ; None for none.
    """
    figure = new_figure(6.5, 3.6)
    axes = figure.add_subplot()
    rows = sorted(rows, key=lambda row: row["type_threshold"])
    deltas = [row["type_threshold"] for row in rows]
    for name, color, marker, label in (
        ("f1", _BLUE, "o", "entities, strict"),
        ("types_f1", _ORANGE, "s", "types of T′"),
    ):
        axes.plot(deltas, [100 * row[name] for row in rows], color=color, marker=marker, label=label)
    if chosen is not None:
        axes.axvline(chosen, color=_GREY, linewidth=1, linestyle=":", label=f"δ of the run, {chosen:.3g}")
    axes.set_xlabel("δ")
    axes.set_ylabel("F1 (%)")
    axes.grid(color="#e5e7eb", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def draw_similarities(found: Sequence[Told], title: str, path: Path) -> None:
    """Figure 4: cosines of present and of absent types, a row for each split, before and after training."""
    splits = list(dict.fromkeys(told.split for told in found))
    weights = list(dict.fromkeys(told.weights for told in found))
    figure = new_figure(4.4 * len(weights), 2.3 * len(splits) + 0.7)
    grid = figure.subplots(len(splits), len(weights), squeeze=False, sharex=True)
    low = min(float(values.min()) for told in found for values in (told.present, told.absent) if len(values))
    bins = [low + (1 - low) * i / 50 for i in range(51)]
    for told in found:
        axes = grid[splits.index(told.split)][weights.index(told.weights)]
        axes.hist(told.absent, bins=bins, density=True, color=_ORANGE, alpha=0.55, label="type absent")
        axes.hist(
            told.present,
            bins=bins,
            density=True,
            histtype="step",
            color=_BLUE,
            linewidth=1.6,
            label="type present",
        )
        delta = told.figures["type_threshold"]
        axes.axvline(delta, color=_GREY, linestyle="--", linewidth=1, label="δ")
        axes.set_title(
            f"{told.split}, {told.weights} training: AUC {told.figures['auc']:.3f}, F1 {100 * told.figures['f1']:.1f} "
            f"at δ = {delta:.3f}",
            fontsize=8,
        )
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("cosine of sentence and type")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)
