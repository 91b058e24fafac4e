"""A benchmark's figures as a picture: how many times as fast ours is as each rival, or how cost grows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toner_jax.common.figures import new_figure, save_figure

_BLUE, _GREY = "#1f4e79", "#6b7280"


def write_picture(report: dict[str, Any], title: str, path: Path) -> None:
    """Draws a report's contenders; the name's suffix says in which form.

    Raises:
      ValueError: there is nothing to compare.
    """
    draw = _curves if report["benchmark"] == "growth" else _ratios
    figure = draw(report)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def comparisons(report: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    """How many times as fast as each rival those are that are none: a label, and median, least and greatest."""
    every = {c["name"]: c.get("times_as_fast_as", {}) for c in report["contenders"]}
    rivals = {rival for given in every.values() for rival in given}
    ours = {name: given for name, given in every.items() if name not in rivals}
    return list(_flat("", next(iter(ours.values()), {}) if len(ours) == 1 else ours))


def _flat(label: str, value: Any) -> Iterator[tuple[str, dict[str, float]]]:
    if isinstance(value, dict) and "median" not in value:
        for name, inner in value.items():
            yield from _flat(f"{label} / {name}" if label else name, inner)
    else:
        once = dict.fromkeys(("median", "least", "greatest"), value)  # where rounds are not told apart
        yield label, value if isinstance(value, dict) else once


def _ratios(report: dict[str, Any]) -> Any:
    found = comparisons(report)
    if not found:
        raise ValueError("no rival was measured")
    figure = new_figure(7.5, 1.3 + 0.42 * len(found))
    axes = figure.add_subplot()
    names = [label for label, _ in found]
    middle = [ratio["median"] for _, ratio in found]
    reach = [
        [r["median"] - r["least"] for _, r in found],
        [r["greatest"] - r["median"] for _, r in found],
    ]
    axes.barh(names, middle, xerr=reach, color=_BLUE, ecolor=_GREY, capsize=3, height=0.6)
    for i, (_, ratio) in enumerate(found):
        axes.text(ratio["greatest"], i, f"  {ratio['median']:.2f}×", va="center", fontsize=8)
    axes.axvline(1.0, color=_GREY, linewidth=1, linestyle=":")
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(1.0, *(ratio["greatest"] for _, ratio in found)))
    axes.set_xlabel("times as fast as its rival; whiskers: the slowest and the fastest round")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _curves(report: dict[str, Any]) -> Any:
    """Each axis by itself: a point twice as far right is twice as large, one twice as high takes twice as long."""
    names = list(dict.fromkeys(point["axis"] for point in report["contenders"]))
    rows, columns = -(-len(names) // 4), min(4, len(names))
    figure = new_figure(2.6 * columns, 2.6 * rows)
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel, name in zip(panels.flat, names, strict=False):
        points = [point for point in report["contenders"] if point["axis"] == name]
        values, ms = [p["value"] for p in points], [p["ms"] for p in points]
        panel.loglog(values, ms, color=_BLUE, marker="o", markersize=4)
        # What would grow as fast as its cause, for the eye.
        panel.loglog(values, [ms[0] * v / values[0] for v in values], color=_GREY, linewidth=1, linestyle=":")
        panel.set_xticks(values, [f"{v:,}" for v in values], fontsize=7)
        panel.minorticks_off()
        panel.set_title(name, fontsize=9)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels.flat[len(names) :]:
        panel.set_axis_off()
    panels[0, 0].set_ylabel("ms; dotted: in proportion", fontsize=8)
    return figure
